# yum_repository: {"name":"k","description":"K","baseurl":"https://example.org/","gpgkey":"https://example.org/k"}
# check
kw_state=present
kw_section=k
kw_repos=/etc/yum.repos.d
kw_file=k.repo
kw_sha=9f35325baa3d3a36e6c2bd716537544fc52bfa2cabb723e9ecc153cd8a457869
kw_diff=1
kw_owner=''
kw_group=''
kw_mexpr=''
kw_mode=''
kw_yumrepo_check
# apply
kw_yumrepo_apply
# blob 9f35325baa3d3a36e6c2bd716537544fc52bfa2cabb723e9ecc153cd8a457869 (75 bytes)
