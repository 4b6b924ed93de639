# etcd_restore: {"image":"registry.k8s.io/etcd:3.6.8-0","name":"n1","address":"10.0.0.10","token":"t"}
# check
kw_image=registry.k8s.io/etcd:3.6.8-0
kw_node=n1
kw_address=10.0.0.10
kw_token=t
kw_hosts=/etc/containerd/certs.d
kw_background=''
kw_restore_check
# apply
kw_restore_apply
