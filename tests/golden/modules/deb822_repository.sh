# deb822_repository: {"name":"kubernetes","uris":"https://pkgs.k8s.io/x/deb/","suites":"./","signed_by":"https://pkgs.k8s.io/x/deb/Release.key"}
# check
kw_state=present
kw_dest=/etc/apt/sources.list.d/kubernetes.sources
kw_keyfile=/etc/apt/keyrings/kubernetes.gpg
kw_key_url=https://pkgs.k8s.io/x/deb/Release.key
kw_sha=0982631bc773e329bcc7533c5ab3a1168f78feaf7569529fbbc78ef54296e624
kw_owner=''
kw_group=''
kw_mexpr=0644
kw_force=1
kw_validate=''
kw_backup=''
kw_diff=1
kw_deb822_check
# apply
kw_deb822_apply
# blob 0982631bc773e329bcc7533c5ab3a1168f78feaf7569529fbbc78ef54296e624 (175 bytes)
