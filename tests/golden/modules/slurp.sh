# slurp: {"src":"/etc/hostname"}
# check
kw_path=/etc/hostname
kw_slurp_check
