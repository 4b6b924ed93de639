# cri_image: {"name":["registry.k8s.io/pause:3.10"],"background":true}
# check
kw_background=1
kw_hosts=/etc/containerd/certs.d
set -- registry.k8s.io/pause:3.10
kw_image_check "$@"
# apply
kw_image_apply "$@"
