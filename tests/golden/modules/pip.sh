# pip: {"name":"a","version":"1.0","virtualenv":"~/v","extra_args":"--index-url x"}
# check
kw_pip=pip3
kw_venv="$HOME"/v
kw_venv_command='python3 -m venv'
kw_venv_python=''
kw_venv_site=''
kw_requirements=''
kw_state=present
kw_extra='--index-url
x'
kw_editable=''
kw_break=''
kw_umask=''
kw_chdir=''
kw_freeze=''
kw_looks=''
set -- a==1.0
kw_pip_check "$@"
# apply
kw_pip_apply "$@"
