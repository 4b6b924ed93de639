# get_url: {"url":"https://example.org/f","dest":"/opt/f","checksum":"sha256:AB","mode":"0755"}
# check
kw_url=https://example.org/f
kw_base=f
kw_dest=/opt/f
kw_checksum=sha256:ab
kw_force=''
kw_timeout=300
kw_insecure=''
kw_backup=''
kw_looks=''
kw_validate=''
kw_curl=''
kw_owner=''
kw_group=''
kw_mexpr=0755
kw_mode=0755
kw_get_url_check
# apply
kw_get_url_apply
