# swap: {"state":"absent"}
# check
kw_shared=''
kw_swap_check
# apply
kw_swap_apply
