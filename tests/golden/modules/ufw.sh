# ufw: {"rule":"allow","port":"6443","proto":"tcp","insert":1}
# check
kw_state=''
kw_default=''
kw_direction=incoming
kw_logging=''
kw_route=''
kw_delete=''
kw_insert=1
kw_beside=zero
kw_looks=''
set -- allow from any to any port 6443 proto tcp
kw_ufw_check "$@"
# apply
kw_ufw_apply "$@"
