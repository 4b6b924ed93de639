# kubeadm_joined: {}
# check
kw_joined_check
