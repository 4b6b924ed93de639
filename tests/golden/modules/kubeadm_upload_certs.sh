# kubeadm_upload_certs: {"config":"apiVersion: kubeadm.k8s.io/v1beta4\n"}
# check
kw_config=e3e8ff191b49bde2048b3bca2bfed2b64587d670c0b59918cc4bbbd4dac2e482
kw_ignore=''
kw_upload_check
# apply
kw_upload_apply
# blob e3e8ff191b49bde2048b3bca2bfed2b64587d670c0b59918cc4bbbd4dac2e482 (35 bytes, secret)
