# service: {"name":"ssh","state":"restarted"}
# check
kw_unit=ssh.service
kw_state=restarted
kw_enabled=''
kw_masked=''
kw_reload=''
kw_reexec=''
kw_no_block=''
kw_force=''
kw_scope=''
kw_service_check
# apply
kw_service_apply
