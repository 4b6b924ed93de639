# yum_repository: {"name":"k","baseurl":"https://example.org/","gpgkey":"https://example.org/k"}
# check
kw_state=present
kw_dest=/etc/yum.repos.d/k.repo
kw_keyfile=''
kw_key_url=''
kw_sha=88016a868e1a034af2d2c016aa0b61315c0c2a53825f0de324363f3024df10a3
kw_force=1
kw_validate=''
kw_backup=''
kw_diff=1
kw_owner=''
kw_group=''
kw_mexpr=''
kw_mode=''
kw_deb822_check
# apply
kw_deb822_apply
# blob 88016a868e1a034af2d2c016aa0b61315c0c2a53825f0de324363f3024df10a3 (75 bytes)
