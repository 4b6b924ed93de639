# apt_key: {"url":"https://example.org/key.asc"}
# check
kw_ring=''
kw_keyfile=/etc/apt/trusted.gpg.d/kubewright-fc5645ae4a88.gpg
kw_key_url=https://example.org/key.asc
kw_key_sha=e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
kw_keyserver=''
kw_id=''
kw_state=present
kw_insecure=''
kw_aptkey_check
# apply
kw_aptkey_apply
# blob e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 (0 bytes)
