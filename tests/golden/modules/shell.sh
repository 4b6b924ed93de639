# shell: {"_free":"set -o pipefail; a | b && it's","executable":"/bin/bash"}
# check
kw_chdir=''
kw_creates=''
kw_removes=''
kw_command_check
# apply
exec /bin/bash -c 'set -o pipefail; a | b && it'\''s'
