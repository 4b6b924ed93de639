# user: {"name":"u","groups":"a,b","append":true,"password":"$6$x"}
# check
kw_name=u
kw_state=present
kw_uid=''
kw_group=''
kw_has_groups=1
kw_groups=a,b
kw_append=1
kw_shell=''
kw_home=''
kw_move=''
kw_create_home=1
kw_skeleton=''
kw_has_comment=''
kw_comment=''
kw_system=''
kw_non_unique=''
kw_update_password=always
kw_expires=''
kw_lock=''
kw_remove=''
kw_force=''
kw_ssh_key=''
kw_ssh_type=rsa
kw_ssh_bits=''
kw_ssh_file=''
kw_ssh_comment=''
kw_password=3fd32fa78ab4bfbc3de029a9d23f616b35941f787b2ad46d0de8bcbf59032d23
kw_user_check
# apply
kw_user_apply
# blob 3fd32fa78ab4bfbc3de029a9d23f616b35941f787b2ad46d0de8bcbf59032d23 (5 bytes, secret)
