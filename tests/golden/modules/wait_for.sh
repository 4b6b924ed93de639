# wait_for: {"port":6443,"host":"10.0.0.10"}
# check
kw_host=10.0.0.10
kw_port=6443
kw_path=''
kw_state=started
kw_timeout=300
kw_connect=5
kw_delay=0
kw_sleep=1
kw_regex=''
kw_msg=''
exit 10
# apply
kw_wait_apply
