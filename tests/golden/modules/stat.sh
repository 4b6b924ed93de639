# stat: {"path":"/etc/hosts"}
# check
kw_path=/etc/hosts
kw_follow=''
kw_algorithm=sha1
kw_mime=1
kw_stat_check
