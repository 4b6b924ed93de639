# kubeadm_init: {"config":"apiVersion: kubeadm.k8s.io/v1beta4\n","ignore_preflight_errors":["Swap"]}
# check
kw_config=e3e8ff191b49bde2048b3bca2bfed2b64587d670c0b59918cc4bbbd4dac2e482
kw_ignore=Swap
kw_restored=''
kw_init_check
# apply
kw_init_apply
# blob e3e8ff191b49bde2048b3bca2bfed2b64587d670c0b59918cc4bbbd4dac2e482 (35 bytes, secret)
