# apt: {"name":["kubelet=1.36.3-*","curl"],"update_cache":true,"cache_valid_time":3600,"lock_timeout":300,"install_recommends":false,"allow_change_held_packages":true}
# check
kw_state=present
kw_names='kubelet curl'
kw_update=1
kw_valid=3600
kw_lock=300
kw_options='--allow-change-held-packages -oAPT::Install-Recommends=no'
kw_dpkg='-oDpkg::Options::=--force-confdef -oDpkg::Options::=--force-confold'
kw_only=''
kw_purge=''
kw_upgrade=''
kw_autoremove=''
kw_clean=''
kw_policy=''
kw_deb=''
set -- 'kubelet=1.36.3-*' curl
kw_apt_check "$@"
# apply
kw_apt_apply "$@"
