# uri: {"url":"https://example.org/","headers":{"Authorization":"Bearer t"}}
# check
kw_body=''
kw_send=''
kw_curl=4f845b82968ca0168fb2371dca5993244281464c5cf6b418477e3ccdd768b2de
kw_creates=''
kw_removes=''
kw_dest=''
kw_base=''
kw_backup=''
kw_validate=''
kw_owner=''
kw_group=''
kw_mexpr=''
kw_mode=''
kw_uri_check
# apply
kw_uri_run
# blob 4f845b82968ca0168fb2371dca5993244281464c5cf6b418477e3ccdd768b2de (134 bytes, secret)
