# mount: {"path":"/mnt/d","src":"/dev/sdb1","fstype":"ext4","state":"mounted"}
# check
kw_path=/mnt/d
kw_src=/dev/sdb1
kw_fstype=ext4
kw_opts=defaults
kw_dump=0
kw_passno=0
kw_state=mounted
kw_fstab=/etc/fstab
kw_mount_check
# apply
kw_mount_apply
