# dpkg_selections: {"name":"kubelet","selection":"hold"}
# check
kw_name=kubelet
kw_selection=hold
kw_selection_check
# apply
kw_selection_apply
