# uri: {"url":"https://example.org/","headers":{"Authorization":"Bearer t"}}
# check
kw_body=''
kw_curl=eb91627fa9f9f15a5fd1966f9637a077b2cc8cba84c25a864b109fcd931a66bf
kw_creates=''
kw_removes=''
kw_reads=1
kw_uri_check
# apply
kw_uri_run
# blob eb91627fa9f9f15a5fd1966f9637a077b2cc8cba84c25a864b109fcd931a66bf (105 bytes, secret)
