# systemd: {"name":"containerd","state":"started","enabled":true,"daemon_reload":true}
# check
kw_unit=containerd.service
kw_state=started
kw_enabled=yes
kw_masked=''
kw_reload=1
kw_reexec=''
kw_no_block=''
kw_force=''
kw_scope=''
kw_unit_check
# apply
kw_unit_apply
