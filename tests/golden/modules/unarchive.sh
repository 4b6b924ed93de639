# unarchive: {"src":"https://example.org/x.tgz","dest":"/opt","remote_src":true}
# check
kw_blob=''
kw_src=https://example.org/x.tgz
kw_dest=/opt
kw_creates=''
kw_opts=''
kw_members=''
kw_names=''
kw_looks=''
kw_insecure=''
kw_owner=''
kw_group=''
kw_mexpr=''
kw_mode=''
kw_unarchive_check
# apply
kw_unarchive_apply
