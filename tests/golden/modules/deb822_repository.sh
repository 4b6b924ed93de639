# deb822_repository: {"name":"kubernetes","uris":"https://pkgs.k8s.io/x/deb/","suites":"./","signed_by":"https://pkgs.k8s.io/x/deb/Release.key"}
# check
kw_state=present
kw_dest=/etc/apt/sources.list.d/kubernetes.sources
kw_keyfile=/etc/apt/keyrings/kubernetes.gpg
kw_key_url=https://pkgs.k8s.io/x/deb/Release.key
kw_key_sha=e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
kw_sha=14c6a1b1996509ce2f71971ccc332f1641f488216c353c0d6f556a06ac11edc4
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
# blob e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 (0 bytes)
# blob 14c6a1b1996509ce2f71971ccc332f1641f488216c353c0d6f556a06ac11edc4 (220 bytes)
