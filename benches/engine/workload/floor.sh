# The checks of site.yml by hand, for a host on which nothing is left to do: what no tool can be faster than.
set -eu
b=/srv/bench
uname -srm; hostname; cat /etc/os-release /proc/meminfo /proc/cpuinfo /proc/mounts >/dev/null; ip -o address >/dev/null 2>&1 || :; id -u
is() { [ "$(stat -c "$3" "$1")" = "$2" ] || { echo "$1 differs" >&2; exit 1; }; }
is $b 755 %a
is $b/conf.d 'root root 750' '%U %G %a'
[ "$(dpkg-query -W -f '${db:Status-Status} ' kw-hello kw-lib)" = 'installed installed ' ]
getent group bench >/dev/null
getent passwd bench >/dev/null
is $b/motd 644 %a
is $b/conf.d/app.conf 'bench bench 640' '%U %G %a'
is $b/conf.d/listen.conf 644 %a
sha1sum $b/motd $b/conf.d/app.conf $b/conf.d/listen.conf >/dev/null
grep -qx '10.1.2.3 registry.internal' $b/hosts
grep -q '^workers = 4' $b/conf.d/app.conf
grep -q '# BEGIN ANSIBLE MANAGED BLOCK' $b/hosts
if grep -q 'debug = yes' $b/conf.d/app.conf; then exit 1; fi
[ "$(readlink $b/current)" = $b/conf.d ]
test -d $b/conf.d
[ "$(grep -c internal $b/hosts)" -ge 3 ]
systemctl is-enabled -q cron
systemctl is-active -q cron ssh
crontab -l | grep -q '^#Ansible: bench'
find $b/conf.d -name '*.conf' >/dev/null
echo done
