# hostname: {"name":"n1.example.org"}
# check
kw_name=n1.example.org
kw_hostname_check
# apply
kw_hostname_apply
