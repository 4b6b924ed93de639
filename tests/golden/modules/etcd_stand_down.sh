# etcd_stand_down: {}
# check
kw_stand_down_check
# apply
kw_stand_down
