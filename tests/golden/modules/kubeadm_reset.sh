# kubeadm_reset: {}
# check
kw_reset_check
# apply
kw_reset_apply
