# kubeadm_join: {"config":"apiVersion: kubeadm.k8s.io/v1beta4\n    apiServerEndpoint: api:6443\n"}
# check
kw_config=f6326aaa499869bf23ad8791f50a35327d9ee6130a942cea430c51e5c645fe81
kw_ignore=''
kw_endpoint=api:6443
kw_node=''
kw_control_plane=''
kw_force=''
kw_join_check
# apply
kw_join_apply
# blob f6326aaa499869bf23ad8791f50a35327d9ee6130a942cea430c51e5c645fe81 (67 bytes, secret)
