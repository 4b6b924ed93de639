# script: {"_free":"run.sh one"}
# check
kw_script=a753a417d56a3d56317cd596179998e2a0a60eb0f3deb863ae5d6a129fc4a3cd
kw_chdir=''
kw_creates=''
kw_removes=''
kw_command_check
# apply
exec /bin/sh "$KW_BLOBS/$kw_script" one
# blob a753a417d56a3d56317cd596179998e2a0a60eb0f3deb863ae5d6a129fc4a3cd (31 bytes)
