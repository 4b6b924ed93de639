# sysctl: {"name":"net.ipv4.ip_forward","value":1,"sysctl_file":"/etc/sysctl.d/99-kubernetes.conf"}
# check
kw_key=net.ipv4.ip_forward
kw_key_path=net/ipv4/ip_forward
kw_value=1
kw_state=present
kw_file=/etc/sysctl.d/99-kubernetes.conf
kw_set=1
kw_ignore=''
kw_sysctl_check
# apply
kw_sysctl_apply
