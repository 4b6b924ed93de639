# apt_repository: {"repo":"deb [signed-by=/k.gpg] https://example.org/x noble main","filename":"x"}
# check
kw_repo='deb [signed-by=/k.gpg] https://example.org/x noble main'
kw_file=/etc/apt/sources.list.d/x.list
kw_state=present
kw_mexpr=0644
kw_update=1
kw_lock=60
kw_valid=0
kw_repo_check
# apply
kw_repo_apply
