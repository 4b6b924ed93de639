# selinux: {"state":"permissive","policy":"targeted"}
# check
kw_state=permissive
kw_policy=targeted
kw_configfile=/etc/selinux/config
kw_grub=''
kw_selinux_check
# apply
kw_selinux_apply
