# find: {"paths":"/var/log","patterns":"*.log","recurse":true,"depth":2}
# check
kw_depth=2
kw_follow=''
set -- /var/log
kw_find_check "$@"
