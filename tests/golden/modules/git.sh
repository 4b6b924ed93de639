# git: {"repo":"https://example.org/r.git","dest":"/srv/r","version":"v1"}
# check
kw_repo=https://example.org/r.git
kw_dest=/srv/r
kw_version=v1
kw_remote=origin
kw_ssh='ssh -o BatchMode=yes'
kw_force=''
kw_update=1
kw_clone=1
kw_depth=''
kw_bare=''
kw_recursive=1
kw_git_check
# apply
kw_git_apply
