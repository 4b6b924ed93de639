# iptables: {"chain":"INPUT","protocol":"tcp","destination_port":22,"jump":"ACCEPT"}
# check
kw_program=iptables
kw_table=filter
kw_chain=INPUT
kw_state=present
kw_action=append
kw_number=''
kw_policy=''
kw_flush=''
kw_chain_only=''
set -- -p tcp -j ACCEPT --destination-port 22
kw_iptables_check "$@"
# apply
kw_iptables_apply "$@"
