# raw: {"_free":"id; echo $X"}
# check
kw_chdir=''
kw_creates=''
kw_removes=''
kw_command_check
# apply
exec /bin/sh -c 'id; echo $X'
