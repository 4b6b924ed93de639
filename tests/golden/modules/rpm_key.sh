# rpm_key: {"key":"https://example.org/k","fingerprint":"AB CD"}
# check
kw_key=https://example.org/k
kw_id=''
kw_state=present
kw_prints=abcd
kw_insecure=''
kw_rpmkey_check
# apply
kw_rpmkey_apply
