# modprobe: {"name":"br_netfilter","persistent":"present"}
# check
kw_mod=br_netfilter
kw_name=br_netfilter
kw_state=present
kw_params=''
kw_persistent=present
kw_modprobe_check
# apply
kw_modprobe_apply
