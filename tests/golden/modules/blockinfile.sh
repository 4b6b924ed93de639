# blockinfile: {"path":"/etc/x","block":"a"}
# check
kw_full=''
kw_path=/etc/x
kw_owner=''
kw_group=''
kw_mexpr=''
kw_mode=''
kw_edit_read
