"""The same as site.yml, for pyinfra 3."""

from pyinfra import host
from pyinfra.facts.files import FindFiles, File
from pyinfra.operations import apt, crontab, files, server, systemd

base = "/srv/bench"
files.directory(base, mode="755")
files.directory(f"{base}/conf.d", user="root", group="root", mode="750")
apt.packages(["kw-hello", "kw-lib"])
server.group("bench", system=True)
server.user("bench", group="bench", system=True, shell="/usr/sbin/nologin", create_home=False)
files.put(src="files/motd", dest=f"{base}/motd", mode="644")
files.put(src="files/app.conf", dest=f"{base}/conf.d/app.conf", user="bench", group="bench", mode="640")
files.template(src="templates/listen.conf.j2", dest=f"{base}/conf.d/listen.conf", mode="644", listen=8080)
files.line(f"{base}/hosts", "10.1.2.3 registry.internal")
files.line(f"{base}/conf.d/app.conf", "^workers.*", replace="workers = 4")
files.block(f"{base}/hosts", content="10.1.2.4 a.internal\n10.1.2.5 b.internal")
files.replace(f"{base}/conf.d/app.conf", "debug = yes", replace="debug = no")
files.link(f"{base}/current", target=f"{base}/conf.d")
assert host.get_fact(File, f"{base}/conf.d/app.conf") is not False
server.shell(f"test -d {base}/conf.d")
server.shell(f"grep -c internal {base}/hosts")
systemd.service("cron", running=True, enabled=True)
systemd.service("ssh", running=True)
crontab.crontab("true", cron_name="bench", minute="7")
host.get_fact(FindFiles, f"{base}/conf.d")
