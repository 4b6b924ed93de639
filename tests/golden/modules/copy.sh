# copy: {"content":"it's\n","dest":"/etc/x y","mode":"u=rw,g=r,o=","owner":"root","backup":true}
# check
kw_dest='/etc/x y'
kw_base=''
kw_sha=a53006eb431e3d7bd1016d0cb428baaa300d48273f3b6bc3909d098ec79fd6ba
kw_force=1
kw_follow=''
kw_backup=1
kw_validate=''
kw_mkdir=''
kw_diff=1
kw_owner=root
kw_group=''
kw_mexpr='(((((((((m)&~0700)|0600))&~070)|040))&~07)|00)'
kw_mode=u=rw,g=r,o=
kw_copy_check
# apply
kw_copy_apply
# blob a53006eb431e3d7bd1016d0cb428baaa300d48273f3b6bc3909d098ec79fd6ba (5 bytes)
