//! `~/.ssh/config` for one host, as far as it says how to get there: names, users, ports, keys, jump hosts, known_hosts.
//! The oracle of its tests is `ssh -G`.

mod parse;
#[cfg(test)]
mod tests;

use parse::{Asked, Setting, Settings, parse_line};
use std::path::{Path, PathBuf};

/// Where to look and what was said on the command line.
#[derive(Clone, Debug)]
pub struct Sources {
    /// Files in the order of precedence.
    pub files: Vec<PathBuf>,
    /// Home directory.
    pub home: PathBuf,
    /// User on this machine.
    pub local_user: String,
    /// Options that win over all files, as `-o` takes them: `Port=22`.
    pub options: Vec<String>,
}

impl Sources {
    /// `~/.ssh/config` and `/etc/ssh/ssh_config`, of the user this process runs as.
    pub fn of_this_user() -> Self {
        let home = std::env::var_os("HOME").map_or_else(|| PathBuf::from("/"), PathBuf::from);
        let local_user = std::env::var("USER").or_else(|_| std::env::var("LOGNAME")).unwrap_or_else(|_| "root".to_owned());
        let files = vec![home.join(".ssh/config"), PathBuf::from("/etc/ssh/ssh_config")];
        Self { files, home, local_user, options: Vec::new() }
    }
}

/// What the configuration comes to for a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostConfig {
    /// Name or address to dial.
    pub host_name: String,
    /// TCP port.
    pub port: u16,
    /// Login user, where one is named.
    pub user: Option<String>,
    /// Key files in order; OpenSSH's default ones where none is named.
    pub identity_files: Vec<PathBuf>,
    /// Only those files' keys, even if the agent has more.
    pub identities_only: bool,
    /// known_hosts files: the user's, then the system's.
    pub known_hosts: Vec<PathBuf>,
    /// Hosts to go through, the first one first.
    pub jumps: Vec<Jump>,
    /// A proxy that is none of `jumps`: the host cannot be reached as it is meant to be.
    pub refused: Option<String>,
    /// The identity files are named: they go before what the agent holds.
    pub identities_named: bool,
    /// What is not supported or ignored on purpose.
    pub warnings: Vec<String>,
}

/// A jump host as it was named; its own configuration says the rest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Jump {
    /// Name to resolve in turn.
    pub host: String,
    /// User, if named.
    pub user: Option<String>,
    /// Port, if named.
    pub port: Option<u16>,
    /// Key files, if named (`-i` of a ProxyCommand).
    pub identity_files: Vec<PathBuf>,
}

/// The default keys, in OpenSSH's order (ssh_config(5), IdentityFile), those of hardware tokens left out.
const DEFAULT_KEYS: [&str; 3] = ["id_rsa", "id_ecdsa", "id_ed25519"];

/// What is written for `host`.
pub fn resolve(host: &str, sources: &Sources) -> HostConfig {
    let mut settings = Settings::default();
    settings.all.extend(sources.options.iter().filter_map(|o| parse_line(o)));
    let user = settings.all.iter().find(|s| s.keyword == "user").and_then(|s| s.words.first()).cloned();
    let asked = Asked { original: host, user: user.as_deref(), local_user: &sources.local_user, home: &sources.home };
    for file in &sources.files {
        settings.read(file, &asked, 0);
    }
    from_settings(host, settings, sources)
}

fn from_settings(host: &str, settings: Settings, sources: &Sources) -> HostConfig {
    let Settings { all, mut warnings } = settings;
    let first = |keyword: &str| all.iter().find(|s| s.keyword == keyword);
    let word = |keyword: &str| first(keyword).and_then(|s| s.words.first()).cloned();

    let host_name = word("hostname").map_or_else(|| host.to_owned(), |name| name.replace("%h", host).replace("%%", "%"));
    let host_name = host_name.to_ascii_lowercase();
    let port = word("port").map_or(22, |text| {
        text.parse().unwrap_or_else(|_| {
            warnings.push(format!("Port {text} is no port: 22 is used"));
            22
        })
    });
    let user = word("user");
    let remote_user = user.as_deref().unwrap_or(&sources.local_user);
    let expand = |path: &str| expand(path, sources, &[("%h", &host_name), ("%n", host), ("%p", &port.to_string()), ("%r", remote_user)]);

    let named: Vec<&String> = all.iter().filter(|s| s.keyword == "identityfile").filter_map(|s| s.words.first()).collect();
    let identity_files = if named.is_empty() {
        DEFAULT_KEYS.iter().map(|name| sources.home.join(".ssh").join(name)).collect()
    } else {
        let mut files: Vec<PathBuf> = Vec::new();
        for path in named.iter().filter(|p| !p.eq_ignore_ascii_case("none")).map(|p| expand(p)) {
            if !files.contains(&path) {
                files.push(path);
            }
        }
        files
    };

    let lists = |keyword: &str, default: [PathBuf; 2]| match first(keyword) {
        Some(setting) if setting.words[0].eq_ignore_ascii_case("none") => Vec::new(),
        Some(setting) => setting.words.iter().map(|w| expand(w)).collect(),
        None => Vec::from(default),
    };
    let ssh = sources.home.join(".ssh");
    let mut known_hosts = lists("userknownhostsfile", [ssh.join("known_hosts"), ssh.join("known_hosts2")]);
    known_hosts.extend(lists("globalknownhostsfile", ["/etc/ssh/ssh_known_hosts".into(), "/etc/ssh/ssh_known_hosts2".into()]));

    if word("stricthostkeychecking").is_some_and(|v| ["no", "off", "accept-new"].contains(&v.to_ascii_lowercase().as_str())) {
        warnings.push("StrictHostKeyChecking is ignored: an unknown host key is never accepted; add it to known_hosts".to_owned());
    }
    if let Some(alias) = word("hostkeyalias") {
        warnings.push(format!("HostKeyAlias {alias} is ignored: the key is looked up as {host_name}"));
    }
    // Whichever of the two stands first is meant (ssh_config(5), ProxyJump).
    let proxy = all.iter().find(|s| s.keyword == "proxyjump" || s.keyword == "proxycommand");
    let (jumps, refused) = match proxy.map_or(Ok(Vec::new()), jumps) {
        Ok(jumps) => (jumps, None),
        Err(why) => (Vec::new(), Some(why)),
    };
    let jumps = jumps
        .into_iter()
        .map(|jump| Jump { identity_files: jump.identity_files.iter().map(|p| expand(&p.to_string_lossy())).collect(), ..jump })
        .collect();
    let identities_only = word("identitiesonly").is_some_and(|v| v.eq_ignore_ascii_case("yes"));
    HostConfig {
        host_name,
        port,
        user,
        identity_files,
        identities_only,
        known_hosts,
        jumps,
        refused,
        identities_named: !named.is_empty(),
        warnings,
    }
}

fn expand(path: &str, sources: &Sources, tokens: &[(&str, &str)]) -> PathBuf {
    let home = sources.home.to_string_lossy();
    let mut out = String::new();
    let mut rest = path;
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        let token = rest.get(at..at + 2).unwrap_or("%");
        match token {
            "%%" => out.push('%'),
            "%d" => out.push_str(&home),
            "%u" => out.push_str(&sources.local_user),
            other => out.push_str(tokens.iter().find(|(t, _)| *t == other).map_or(other, |(_, value)| value)),
        }
        rest = &rest[at + token.len()..];
    }
    out.push_str(rest);
    match out.strip_prefix("~/") {
        Some(below) => sources.home.join(below),
        None => PathBuf::from(out),
    }
}

fn jumps(proxy: &Setting) -> Result<Vec<Jump>, String> {
    let text = proxy.words.join(" ");
    if text.eq_ignore_ascii_case("none") {
        return Ok(Vec::new());
    }
    if proxy.keyword == "proxyjump" {
        return text.split(',').map(|hop| jump(hop).ok_or_else(|| format!("ProxyJump {hop}: no host"))).collect();
    }
    proxy_command(&text).ok_or_else(|| format!("ProxyCommand {text}: only `ssh … -W %h:%p HOST` is supported"))
}

/// `[ssh://][user@]host[:port]`, the host perhaps in brackets.
fn jump(text: &str) -> Option<Jump> {
    let text = text.trim();
    let text = text.strip_prefix("ssh://").unwrap_or(text).trim_end_matches('/');
    let (user, place) = text.rsplit_once('@').map_or((None, text), |(user, place)| (Some(user.to_owned()), place));
    let (host, port) = match place.strip_prefix('[').and_then(|p| p.split_once(']')) {
        Some((host, "")) => (host, None),
        Some((host, port)) => (host, Some(port.strip_prefix(':')?.parse().ok()?)),
        // More than one colon without brackets is an IPv6 address.
        None => match place.split_once(':') {
            Some((host, port)) if !port.contains(':') => (host, Some(port.parse().ok()?)),
            _ => (place, None),
        },
    };
    (!host.is_empty()).then(|| Jump { host: host.to_owned(), user, port, identity_files: Vec::new() })
}

/// The old form of a jump host: `ssh -W %h:%p [options] [user@]host`. `None` for anything else.
fn proxy_command(text: &str) -> Option<Vec<Jump>> {
    let mut words = shlex::split(text)?.into_iter().skip_while(|w| w == "exec");
    if Path::new(&words.next()?).file_name()? != "ssh" {
        return None;
    }
    let (mut found, mut before) = (Jump::default(), Vec::new());
    let (mut forwards, mut target) = (false, None);
    while let Some(word) = words.next() {
        let Some(option) = word.strip_prefix('-') else {
            // `ssh host nc %h %p` and the like run a command there.
            if target.replace(word).is_some() {
                return None;
            }
            continue;
        };
        let letter = option.chars().next()?;
        let attached = &option[letter.len_utf8()..];
        let mut value = || if attached.is_empty() { words.next() } else { Some(attached.to_owned()) };
        match letter {
            'W' => forwards = value()? == "%h:%p",
            'l' => found.user = Some(value()?),
            'p' => found.port = Some(value()?.parse().ok()?),
            'i' => found.identity_files.push(value()?.into()),
            'J' => before = value()?.split(',').map(jump).collect::<Option<_>>()?,
            'o' => match parse_line(&value()?)? {
                Setting { keyword, words } if keyword == "port" => found.port = Some(words[0].parse().ok()?),
                Setting { keyword, words } if keyword == "user" => found.user = Some(words[0].clone()),
                Setting { keyword, words } if keyword == "identityfile" => found.identity_files.push((&words[0]).into()),
                Setting { keyword, words } if keyword == "proxyjump" => {
                    before = words[0].split(',').map(jump).collect::<Option<_>>()?;
                }
                _ => {}
            },
            'F' | 'E' | 'c' | 'm' | 'S' | 'b' | 'e' => drop(value()?),
            // Flags: -q, -T, -A, -4, …
            _ => {}
        }
    }
    let named = jump(&target?)?;
    before.push(Jump { user: found.user.or(named.user), port: found.port.or(named.port), host: named.host, ..found });
    forwards.then_some(before)
}
