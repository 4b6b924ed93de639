# dnf: {"name":"kubelet","disable_excludes":"kubernetes"}
# check
kw_dnf=dnf
kw_state=present
kw_repos=''
kw_options=--disableexcludes=kubernetes
kw_update=''
kw_autoremove=''
kw_lock=1800
set -- kubelet
kw_dnf_check "$@"
# apply
kw_dnf_apply "$@"
