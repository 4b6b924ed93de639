# file: {"path":"~/d","state":"directory","mode":493,"recurse":true}
# check
kw_path="$HOME"/d
kw_state=directory
kw_src=''
kw_recurse=1
kw_force=''
kw_follow=1
kw_keep_times=''
kw_times=''
kw_owner=''
kw_group=''
kw_mexpr=0755
kw_mode=0755
kw_file_check
# apply
kw_file_apply
