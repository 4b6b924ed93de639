//! What is on a machine: files with their mode, owner and content, packages and units of ours; and what a run made of it.

use super::machine::Machine;
use std::collections::BTreeMap;

/// A line for each thing, by what it is about.
pub type Snapshot = BTreeMap<String, String>;

/// Where cases may write. What systems and tools keep for themselves is left out.
const LOOK: &str = r#"
find /etc /home /root /opt /srv /usr/local /var/spool/cron /var/tmp /tmp/t -xdev \
  \( -path '*/.ansible' -o -path '*/.cache' -o -path '/etc/python3*' -o -path /srv/repo -o -path /srv/rpms -o -path /srv/www -o -path '/usr/local/lib/python*' \
     -o -path '/etc/systemd/system/sysinit.target.wants' -o -path /etc/ssl/certs -o -path /etc/alternatives -o -path /var/tmp/systemd-private* \) -prune -o \
  ! -name .pwd.lock ! -name ld.so.cache ! -name mtab ! -name '*-' -printf '%p\t%y %m %u:%g %l\n' 2>/dev/null
find /etc /home /root /opt /srv /usr/local /var/spool/cron /var/tmp /tmp/t -xdev -type f -size -2M \
  ! -path '*/.ansible/*' ! -path '*/.cache/*' ! -path '/etc/python3*' ! -path '/srv/repo/*' ! -path '/srv/rpms/*' ! -path '/srv/www/*' ! -path '/usr/local/lib/python*' \
  ! -path '/etc/systemd/system/sysinit.target.wants/*' ! -path '/etc/ssl/certs/*' ! -path '/etc/alternatives/*' \
  ! -name .pwd.lock ! -name ld.so.cache ! -name mtab ! -name '*-' -exec sha256sum {} + 2>/dev/null | sed 's/^\\\?\([0-9a-f]*\)  \(.*\)/\2\tsha256 \1/'
dpkg-query -W -f '${Package}\tpackage ${Version} ${db:Status-Abbrev} ${db:Status-Want}\n' 'kw-*' 2>/dev/null
rpm -qa --qf '%{NAME}\trpm %{VERSION}-%{RELEASE} %{ARCH}\n' 'kw-*' 2>/dev/null
rpm -qa --qf '%{NAME}\trpm %{SUMMARY}\n' gpg-pubkey 2>/dev/null
systemctl list-unit-files --no-legend 'kw-*' | awk '{print $1 "\tunit file " $2}'
systemctl list-units --all --no-legend --plain 'kw-*' | awk '{print $1 "\tunit " $3 " " $4}'
"#;

/// Looks at a machine.
pub fn take(machine: &Machine) -> Snapshot {
    let mut out = Snapshot::new();
    // A directory that vanishes while find is in it ends the walk: it is looked at again.
    let text = loop {
        let text = machine.inside(LOOK);
        if ["/etc/passwd\t", "/home/ubuntu\t", "/srv/t\t", "kw-plain.service\t"].iter().all(|part| text.contains(part)) {
            break text;
        }
    };
    // Several backups of a file share a name; which is first depends on the second they were made in.
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_by_key(|line| line.split_once('\t').map_or("", |(_, state)| state));
    for line in lines {
        let (what, state) = line.split_once('\t').unwrap_or((line, ""));
        let entry = out.entry(normal_name(what)).or_default();
        if !entry.is_empty() {
            entry.push_str(", ");
        }
        entry.push_str(state.trim_end());
    }
    out
}

/// `file.1234.2026-11-25@10:11:12~` (a backup) → `file.BACKUP`.
pub fn normal_name(path: &str) -> String {
    let backup = path.strip_suffix('~').and_then(|p| {
        let (head, time) = p.rsplit_once('.')?;
        let (base, pid) = head.rsplit_once('.')?;
        (time.contains('@') && pid.bytes().all(|b| b.is_ascii_digit())).then(|| format!("{base}.BACKUP"))
    });
    backup.unwrap_or_else(|| path.to_owned())
}

/// What is different between two looks.
pub fn delta(before: &Snapshot, after: &Snapshot) -> Snapshot {
    let gone = before.keys().filter(|k| !after.contains_key(*k)).map(|k| (k.clone(), "gone".to_owned()));
    let new = after.iter().filter(|(k, v)| before.get(*k) != Some(v)).map(|(k, v)| (k.clone(), v.clone()));
    gone.chain(new).collect()
}
