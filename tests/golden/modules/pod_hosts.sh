# pod_hosts: {"container":"kube-proxy","host":"api.c.internal","addresses":["10.0.0.6","10.0.0.10"]}
# check
kw_container=kube-proxy
kw_host=api.c.internal
set -- 10.0.0.6 10.0.0.10
kw_pod_hosts_check "$@"
