# command: {"_free":"echo $HOME 'a b' it","chdir":"/tmp","creates":"/x/*.done"}
# check
kw_chdir=/tmp
kw_creates='/x/*.done'
kw_removes=''
kw_command_check
# apply
exec env echo "$(kw_env HOME)" 'a b' it
