# selinux: {"state":"permissive"}
# check
kw_state=permissive
kw_policy=''
kw_selinux_check
# apply
kw_selinux_apply
