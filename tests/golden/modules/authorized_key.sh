# authorized_key: {"user":"ubuntu","key":"ssh-ed25519 AAAA me@laptop"}
# check
kw_tells=''
kw_user=ubuntu
kw_file=''
kw_home_now=''
kw_state=present
kw_exclusive=''
kw_manage=1
kw_list='ssh-ed25519 AAAA me@laptop'
kw_keys_check
# apply
kw_keys_apply
