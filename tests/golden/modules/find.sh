# find: {"paths":"/var/log","patterns":"*.log","recurse":true,"depth":2}
# check
kw_depth=3
kw_follow=''
kw_contains=''
kw_sums=''
kw_aged=''
set -- /var/log
kw_find_check "$@"
