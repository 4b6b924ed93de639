# cron: {"name":"n","job":"x '%' y","hour":3,"user":"root"}
# check
kw_mark='#Ansible: n'
kw_env_name=''
kw_job='* 3 * * * x '\''%'\'' y'
kw_state=present
kw_user=root
kw_file=''
kw_cron_check
# apply
kw_cron_apply
