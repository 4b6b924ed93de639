# lineinfile: {"path":"/etc/hosts","line":"1 a"}
# check
kw_full=''
kw_path=/etc/hosts
kw_owner=''
kw_group=''
kw_mexpr=''
kw_mode=''
kw_edit_read
