# group: {"name":"g"}
# check
kw_name=g
kw_state=present
kw_gid=''
kw_system=''
kw_non_unique=''
kw_group_check
# apply
kw_group_apply
