# template: {"src":"motd","dest":"/etc/motd"}
# check
kw_dest=/etc/motd
kw_base=motd
kw_sha=5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03
kw_force=1
kw_follow=''
kw_backup=''
kw_validate=''
kw_mkdir=''
kw_diff=1
kw_owner=''
kw_group=''
kw_mexpr=''
kw_mode=''
kw_copy_check
# apply
kw_copy_apply
# blob 5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03 (6 bytes)
