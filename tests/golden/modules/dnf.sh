# dnf: {"name":"kubelet","disable_excludes":"kubernetes"}
# check
kw_dnf=dnf
kw_state=present
kw_rpm_root=''
kw_options='--disableexcludes=kubernetes --setopt=gpgcheck=1 --setopt=localpkg_gpgcheck=1 --setopt=clean_requirements_on_remove=0'
kw_update=''
kw_autoremove=''
kw_downgrade=''
kw_only=''
kw_looks=''
kw_lock=1800
set -- kubelet
kw_dnf_check "$@"
# apply
kw_dnf_apply "$@"
