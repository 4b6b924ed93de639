//! From a host's variables, ssh's arguments and `~/.ssh/config` to where it is dialled.

use super::{LoginDefaults, Target};
use crate::connection::{
    ConnectionError, Endpoint, HostKeys, Identity, Retry,
    ssh_config::{HostConfig, Jump, Sources, resolve},
};
use std::{path::PathBuf, sync::Arc};

/// How many jump hosts may stand behind each other; a configuration that names itself ends here.
const HOPS: usize = 8;

/// Where to dial. What counts, the first that says something: variables and options, ssh's arguments, the files of
/// ssh_config(5). Dials nothing.
///
/// # Errors
/// A proxy that is not supported; jump hosts that lead in a circle.
pub fn endpoint(target: &Target, defaults: &LoginDefaults) -> Result<Endpoint, ConnectionError> {
    let login = &target.login;
    let mut sources = defaults.config.clone();
    let mut said = Vec::new();
    let mut say = |keyword: &str, value: Option<String>| said.extend(value.map(|v| format!("{keyword}={v}")));
    say("Port", login.port.or(defaults.port).map(|p| p.to_string()));
    let key = login.key_file.clone().or_else(|| defaults.key_file.clone());
    say("IdentityFile", key.map(|k| format!("\"{}\"", k.display())));
    say("User", login.user.clone().or_else(|| defaults.user.clone()));
    // As Ansible builds the command line: ssh_args, then variables, then ssh_common_args and ssh_extra_args.
    let mut options = Vec::new();
    arguments(&defaults.ssh_args, &mut options, &mut sources);
    options.append(&mut said);
    arguments(&login.ssh_args, &mut options, &mut sources);
    options.append(&mut sources.options);
    sources.options = options;

    let address = login.address.clone().unwrap_or_else(|| target.host.clone());
    let password = login.password.clone().or_else(|| defaults.password.clone());
    let ways = Ways { defaults, base: &sources, host: &target.host };
    let mut found = ways.to(&target.host, &address, &sources, 0)?;
    found.identities.extend(password.map(Identity::Password));
    Ok(found)
}

/// ssh's arguments as options of ssh_config.
fn arguments(words: &[String], options: &mut Vec<String>, sources: &mut Sources) {
    let mut words = words.iter().peekable();
    while let Some(word) = words.next() {
        let Some(option) = word.strip_prefix('-').filter(|o| !o.is_empty()) else { continue };
        let letter = option.chars().next().unwrap_or_default();
        // Options with a value, attached or in the next word (ssh(1)).
        if !"BbcDEeFIiJLlmOopPQRSWw".contains(letter) {
            continue;
        }
        let attached = &option[letter.len_utf8()..];
        let Some(value) = (if attached.is_empty() { words.next().cloned() } else { Some(attached.to_owned()) }) else { break };
        match letter {
            'o' => options.push(value),
            'J' => options.push(format!("ProxyJump={value}")),
            'i' => options.push(format!("IdentityFile=\"{value}\"")),
            'l' => options.push(format!("User={value}")),
            'p' => options.push(format!("Port={value}")),
            'F' => sources.files = if value == "none" { Vec::new() } else { vec![PathBuf::from(value)] },
            _ => {}
        }
    }
}

/// What all hops of a host share.
struct Ways<'a> {
    defaults: &'a LoginDefaults,
    base: &'a Sources,
    host: &'a str,
}

impl Ways<'_> {
    fn to(&self, name: &str, address: &str, sources: &Sources, depth: usize) -> Result<Endpoint, ConnectionError> {
        let failed = |why: String| ConnectionError::Local { host: self.host.to_owned(), why };
        if depth > HOPS {
            return Err(failed(format!("more than {HOPS} jump hosts behind each other (does ssh's configuration lead in a circle?)")));
        }
        let config = resolve(address, sources);
        if let Some(why) = config.refused {
            return Err(failed(why));
        }
        let mut via = None;
        for jump in &config.jumps {
            let mut hop = self.hop(jump, via.is_some(), depth)?;
            if let Some(before) = via {
                hop.via = vec![before];
            }
            via = Some(Arc::new(hop));
        }
        Ok(Endpoint {
            name: name.to_owned(),
            address: config.host_name.clone(),
            port: config.port,
            user: config.user.clone().unwrap_or_else(|| sources.local_user.clone()),
            identities: identities(&config),
            host_keys: HostKeys::KnownHosts(config.known_hosts),
            via: via.into_iter().collect(),
            deadline: self.defaults.deadline,
            retry: Retry::Never,
        })
    }

    /// A jump host by its own configuration: OpenSSH's client starts another one for it. That one gets none of the options but
    /// those that `ProxyJump` names; the files of known hosts and keys go with it here, so that what Ansible's variables say is
    /// enough.
    fn hop(&self, jump: &Jump, reached: bool, depth: usize) -> Result<Endpoint, ConnectionError> {
        let mut options = Vec::new();
        options.extend(jump.user.as_ref().map(|u| format!("User={u}")));
        options.extend(jump.port.map(|p| format!("Port={p}")));
        options.extend(jump.identity_files.iter().map(|f| format!("IdentityFile=\"{}\"", f.display())));
        if reached {
            options.push("ProxyJump=none".to_owned());
        }
        let shared = |o: &&String| {
            let keyword = o.split(['=', ' ']).next().unwrap_or_default().to_ascii_lowercase();
            ["identityfile", "identitiesonly", "userknownhostsfile", "globalknownhostsfile"].contains(&keyword.as_str())
        };
        options.extend(self.base.options.iter().filter(shared).cloned());
        let sources = Sources { options, ..self.base.clone() };
        self.to(&jump.host, &jump.host, &sources, depth + 1)
    }
}

/// In OpenSSH's order: keys that are named, the agent's, the default ones that are there.
fn identities(config: &HostConfig) -> Vec<Identity> {
    let file = |path: &PathBuf| Identity::KeyFile { path: path.clone(), passphrase: None };
    if config.identities_named {
        let agent = (!config.identities_only).then_some(Identity::Agent);
        return config.identity_files.iter().map(file).chain(agent).collect();
    }
    let there = config.identity_files.iter().filter(|p| p.is_file()).map(file);
    std::iter::once(Identity::Agent).chain(there).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{engine::Login, session::Become};

    fn target(args: &str) -> Target {
        let login = Login { user: Some("u".into()), ssh_args: shlex::split(args).unwrap(), ..Login::default() };
        Target { host: "h".into(), login, become_: Become::No }
    }

    fn defaults(directory: &std::path::Path, config: &str) -> LoginDefaults {
        let file = directory.join("config");
        std::fs::write(&file, config).unwrap();
        let config = Sources { files: vec![file], home: directory.into(), local_user: "me".into(), options: Vec::new() };
        LoginDefaults { config, ..LoginDefaults::default() }
    }

    fn shown(found: &Endpoint) -> String {
        let mut out = format!("{}@{}:{}", found.user, found.address, found.port);
        let mut next = found.via.clone();
        while let Some(hop) = next.first().cloned() {
            out.push_str(&format!(" < {}@{}:{}", hop.user, hop.address, hop.port));
            next.clone_from(&hop.via);
        }
        out
    }

    #[test]
    fn jump_hosts_are_read_from_ssh_arguments() {
        let dir = tempfile::tempdir().unwrap();
        let chain = |args: &str| shown(&endpoint(&target(args), &defaults(dir.path(), "")).unwrap());
        assert_eq!(chain("-J a@b:2222,c"), "u@h:22 < me@c:22 < a@b:2222");
        assert_eq!(chain("-o ProxyJump=b -o StrictHostKeyChecking=no"), "u@h:22 < me@b:22");
        assert_eq!(chain(r#"-o ProxyCommand="ssh -p 2222 -W %h:%p -q x@bastion""#), "u@h:22 < x@bastion:2222");
        assert_eq!(chain("-4 -q -oPort=23 -p 24"), "u@h:23");
        assert_eq!(chain(""), "u@h:22");
        let refused = endpoint(&target(r#"-o ProxyCommand="nc %h %p""#), &defaults(dir.path(), "")).unwrap_err();
        assert!(refused.to_string().contains("ProxyCommand nc %h %p: only"), "{refused}");
    }

    #[test]
    fn the_configuration_of_ssh_says_the_rest() {
        let dir = tempfile::tempdir().unwrap();
        let config = "Host h\n HostName 10.0.0.9\n Port 2200\n User other\n ProxyJump gate\n IdentityFile ~/one\n IdentitiesOnly yes\n UserKnownHostsFile /k\nHost gate\n HostName gate.example.com\n User ops\n ProxyJump outer\nHost outer\n Port 99\nHost loop\n ProxyJump loop\n";
        let defaults = defaults(dir.path(), config);
        let found = endpoint(&target(""), &defaults).unwrap();
        // The variable wins over the file, and a jump host has its own user.
        assert_eq!(shown(&found), "u@10.0.0.9:2200 < ops@gate.example.com:22 < me@outer:99");
        assert!(matches!(found.identities.as_slice(), [Identity::KeyFile { path, .. }] if *path == dir.path().join("one")), "{found:?}");
        assert!(matches!(&found.host_keys, HostKeys::KnownHosts(files) if files[0] == std::path::Path::new("/k")), "{found:?}");
        let circle = Target { host: "loop".into(), ..target("") };
        assert!(endpoint(&circle, &defaults).unwrap_err().to_string().contains("in a circle"));
    }
}
