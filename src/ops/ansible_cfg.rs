//! `ansible.cfg`, and the environment variables that stand for its keys (ansible: config/base.yml): what a run takes from
//! there. Keys that only change Ansible's own display or speed are passed over; those that would change what happens on
//! hosts and are not supported are named.

use crate::text::{Problem, Problems};
use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    time::Duration,
};

/// Where roles are looked for when nothing says so (config/base.yml, `DEFAULT_ROLES_PATH`).
const ROLES_PATH: &str = "~/.ansible/roles:/usr/share/ansible/roles:/etc/ansible/roles";

/// Keys that would change what happens, each with what to do instead.
const UNSUPPORTED: &[(&str, &str, &str)] = &[
    ("defaults", "library", "modules in Python cannot be run: there is no Python on either side"),
    ("defaults", "action_plugins", "plugins in Python cannot be run"),
    ("defaults", "filter_plugins", "plugins in Python cannot be run"),
    ("defaults", "lookup_plugins", "plugins in Python cannot be run"),
    ("defaults", "test_plugins", "plugins in Python cannot be run"),
    ("defaults", "vars_plugins", "plugins in Python cannot be run"),
    ("defaults", "inventory_plugins", "plugins in Python cannot be run"),
    ("defaults", "connection_plugins", "plugins in Python cannot be run"),
    ("defaults", "strategy_plugins", "plugins in Python cannot be run"),
];

/// What `ansible.cfg` and the environment say.
#[derive(Clone, Debug, Default)]
pub struct AnsibleCfg {
    /// `inventory`.
    pub inventory: Vec<PathBuf>,
    /// `roles_path`.
    pub roles_path: Vec<PathBuf>,
    /// `remote_user`.
    pub remote_user: Option<String>,
    /// `remote_port`.
    pub remote_port: Option<u16>,
    /// `private_key_file`.
    pub private_key_file: Option<PathBuf>,
    /// `forks`.
    pub forks: Option<usize>,
    /// `timeout`, for connecting.
    pub timeout: Option<Duration>,
    /// `vault_password_file`.
    pub vault_password_file: Option<PathBuf>,
    /// `vault_identity_list`, as `--vault-id` takes them.
    pub vault_ids: Vec<String>,
    /// `ask_vault_pass`.
    pub ask_vault_pass: bool,
    /// `ask_pass`.
    pub ask_pass: bool,
    /// `[privilege_escalation] become`.
    pub become_: bool,
    /// `become_user`.
    pub become_user: Option<String>,
    /// `become_ask_pass`.
    pub become_ask_pass: bool,
    /// Whether plays gather facts that do not say so (`gathering`).
    pub gather_facts: Option<bool>,
    /// `force_handlers`.
    pub force_handlers: bool,
    /// `any_errors_fatal`.
    pub any_errors_fatal: bool,
    /// `[ssh_connection] ssh_args`, `ssh_common_args`, `ssh_extra_args`, as words.
    pub ssh_args: Vec<String>,
    /// What is not followed, and why.
    pub warnings: Vec<String>,
}

impl AnsibleCfg {
    /// Of this process: `ANSIBLE_CONFIG`, `./ansible.cfg`, `~/.ansible.cfg`, `/etc/ansible/ansible.cfg`, the first one there
    /// is.
    ///
    /// # Errors
    /// Values that cannot be read, all at once.
    pub fn read() -> Result<Self, Problems> {
        let env: HashMap<String, String> = std::env::vars().filter(|(k, _)| k.starts_with("ANSIBLE_") || k == "HOME").collect();
        let mut warnings = Vec::new();
        let file = find(&env, &mut warnings);
        let text = match &file {
            Some(path) => std::fs::read_to_string(path).map_err(|e| Problem::new(format!("cannot read {}: {e}", path.display())))?,
            None => String::new(),
        };
        let mut cfg = Self::from_text(&text, file.as_deref().unwrap_or(Path::new("ansible.cfg")), &env)?;
        cfg.warnings.splice(0..0, warnings);
        Ok(cfg)
    }

    fn from_text(text: &str, path: &Path, env: &HashMap<String, String>) -> Result<Self, Problems> {
        let mut problems = Problems::default();
        let (values, found) = parse(text, path);
        problems.extend(found);
        let mut source = Source { values, env, path, directory: path.parent().unwrap_or(Path::new("")), problems };
        let mut ssh_args = Vec::new();
        for key in ["ssh_args", "ssh_common_args", "ssh_extra_args"] {
            let text = source.text("ssh_connection", key, &format!("ANSIBLE_{}", key.to_uppercase()));
            ssh_args.extend(text.map(|t| shlex::split(&t).unwrap_or_default()).unwrap_or_default());
        }
        let gathering = source.text("defaults", "gathering", "ANSIBLE_GATHERING").map(|g| g.to_lowercase());
        let cfg = Self {
            inventory: source.paths("defaults", "inventory", "ANSIBLE_INVENTORY", ',').unwrap_or_default(),
            roles_path: source
                .paths("defaults", "roles_path", "ANSIBLE_ROLES_PATH", ':')
                .unwrap_or_else(|| ROLES_PATH.split(':').map(|p| expand(p, env)).collect()),
            remote_user: source.text("defaults", "remote_user", "ANSIBLE_REMOTE_USER"),
            remote_port: source.number("defaults", "remote_port", "ANSIBLE_REMOTE_PORT"),
            private_key_file: source.path("defaults", "private_key_file", "ANSIBLE_PRIVATE_KEY_FILE"),
            forks: source.number("defaults", "forks", "ANSIBLE_FORKS"),
            timeout: source.number("defaults", "timeout", "ANSIBLE_TIMEOUT").map(Duration::from_secs),
            vault_password_file: source.path("defaults", "vault_password_file", "ANSIBLE_VAULT_PASSWORD_FILE"),
            vault_ids: source.list("defaults", "vault_identity_list", "ANSIBLE_VAULT_IDENTITY_LIST"),
            ask_vault_pass: source.flag("defaults", "ask_vault_pass", "ANSIBLE_ASK_VAULT_PASS"),
            ask_pass: source.flag("defaults", "ask_pass", "ANSIBLE_ASK_PASS"),
            become_: source.flag("privilege_escalation", "become", "ANSIBLE_BECOME"),
            become_user: source.text("privilege_escalation", "become_user", "ANSIBLE_BECOME_USER"),
            become_ask_pass: source.flag("privilege_escalation", "become_ask_pass", "ANSIBLE_BECOME_ASK_PASS"),
            gather_facts: gathering.as_deref().map(|g| g != "explicit"),
            force_handlers: source.flag("defaults", "force_handlers", "ANSIBLE_FORCE_HANDLERS"),
            any_errors_fatal: source.flag("defaults", "any_errors_fatal", "ANSIBLE_ANY_ERRORS_FATAL"),
            ssh_args,
            warnings: source.warnings(),
        };
        source.refuse();
        source.problems.into_result(cfg)
    }
}

/// The file that counts.
fn find(env: &HashMap<String, String>, warnings: &mut Vec<String>) -> Option<PathBuf> {
    let mut places = Vec::new();
    if let Some(named) = env.get("ANSIBLE_CONFIG").filter(|v| !v.is_empty()) {
        let path = expand(named, env);
        places.push(if path.is_dir() { path.join("ansible.cfg") } else { path });
    }
    if world_writable(Path::new(".")) {
        if Path::new("ansible.cfg").exists() {
            warnings.push(
                "ansible.cfg is not read: everybody may write to this directory (name it with ANSIBLE_CONFIG if that is meant)".to_owned(),
            );
        }
    } else {
        places.push("ansible.cfg".into());
    }
    places.extend([expand("~/.ansible.cfg", env), "/etc/ansible/ansible.cfg".into()]);
    places.into_iter().find(|p| p.is_file())
}

fn world_writable(directory: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata(directory).is_ok_and(|m| m.mode() & 0o002 != 0)
}

/// `~` and `$NAME`.
fn expand(path: &str, env: &HashMap<String, String>) -> PathBuf {
    let home = env.get("HOME").map_or("/", String::as_str);
    let mut out = String::new();
    let text =
        path.strip_prefix('~').filter(|r| r.is_empty() || r.starts_with('/')).map_or_else(|| path.to_owned(), |r| format!("{home}{r}"));
    let mut rest = text.as_str();
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        let (name, end) = match after.strip_prefix('{').and_then(|a| a.split_once('}')) {
            Some((name, _)) => (name, at + name.len() + 3),
            None => {
                let len = after.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(after.len());
                (&after[..len], at + 1 + len)
            }
        };
        match env.get(name).cloned().or_else(|| std::env::var(name).ok()) {
            Some(value) => out.push_str(&value),
            None => out.push_str(&rest[at..end]),
        }
        rest = &rest[end..];
    }
    out.push_str(rest);
    out.into()
}

type Values = HashMap<(String, String), (String, usize)>;

/// The sections of the file as Python's configparser reads them: `key = value` or `key: value`, what is indented goes on with
/// the value before, `#` and `;` begin comments.
fn parse(text: &str, path: &Path) -> (Values, Problems) {
    let (mut values, mut problems) = (Values::new(), Problems::default());
    let mut section = String::new();
    let mut last: Option<(String, String)> = None;
    for (number, line) in text.lines().enumerate() {
        let number = number + 1;
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with(['#', ';']) {
            continue;
        }
        let end =
            trimmed.match_indices(';').find(|(at, _)| trimmed[..*at].ends_with(char::is_whitespace)).map_or(trimmed.len(), |(at, _)| at);
        let content = trimmed[..end].trim_end();
        if line.starts_with(char::is_whitespace)
            && let Some((value, _)) = last.as_ref().and_then(|key| values.get_mut(key))
        {
            value.push('\n');
            value.push_str(content);
            continue;
        }
        if let Some(name) = content.strip_prefix('[').and_then(|c| c.strip_suffix(']')) {
            name.trim().clone_into(&mut section);
            last = None;
            continue;
        }
        match content.split_once(['=', ':']) {
            Some((key, value)) if !section.is_empty() => {
                let key = (section.clone(), key.trim().to_lowercase());
                values.insert(key.clone(), (value.trim().to_owned(), number));
                last = Some(key);
            }
            _ => problems.push(Problem::new(format!("{}:{number}: neither a section nor `key = value`: {content}", path.display()))),
        }
    }
    (values, problems)
}

struct Source<'a> {
    values: Values,
    env: &'a HashMap<String, String>,
    path: &'a Path,
    directory: &'a Path,
    problems: Problems,
}

impl Source<'_> {
    /// The value, where it stands, and whether it is the environment's.
    fn get(&self, section: &str, key: &str, variable: &str) -> Option<(String, String, bool)> {
        if let Some(value) = self.env.get(variable) {
            return Some((value.clone(), variable.to_owned(), true));
        }
        let (value, line) = self.values.get(&(section.to_owned(), key.to_owned()))?;
        let quoted = |q: char| value.strip_prefix(q).and_then(|v| v.strip_suffix(q));
        let value = quoted('"').or_else(|| quoted('\'')).unwrap_or(value);
        Some((value.to_owned(), format!("{}:{line}: {key}", self.path.display()), false))
    }

    fn text(&self, section: &str, key: &str, variable: &str) -> Option<String> {
        self.get(section, key, variable).map(|(value, ..)| value).filter(|v| !v.is_empty())
    }

    fn number<T: std::str::FromStr>(&mut self, section: &str, key: &str, variable: &str) -> Option<T> {
        let (value, place, _) = self.get(section, key, variable)?;
        let parsed = value.trim().parse().ok();
        if parsed.is_none() && !value.is_empty() {
            self.problems.push(Problem::new(format!("{place}: {value} is no number that fits")));
        }
        parsed
    }

    fn flag(&mut self, section: &str, key: &str, variable: &str) -> bool {
        let Some((value, place, _)) = self.get(section, key, variable) else { return false };
        match value.to_lowercase().as_str() {
            "yes" | "on" | "1" | "true" | "t" | "y" => true,
            "no" | "off" | "0" | "false" | "f" | "n" | "" => false,
            _ => {
                self.problems.push(Problem::new(format!("{place}: {value} is neither yes nor no")));
                false
            }
        }
    }

    fn list(&self, section: &str, key: &str, variable: &str) -> Vec<String> {
        let text = self.text(section, key, variable).unwrap_or_default();
        text.split([',', '\n']).map(str::trim).filter(|v| !v.is_empty()).map(str::to_owned).collect()
    }

    /// Paths in the file are relative to it, those of the environment to the current directory.
    fn paths(&self, section: &str, key: &str, variable: &str, separator: char) -> Option<Vec<PathBuf>> {
        let (text, _, from_env) = self.get(section, key, variable)?;
        let parts: Vec<&str> = text.split([separator, '\n']).map(str::trim).filter(|v| !v.is_empty()).collect();
        // `a,b,` is a list of hosts, not of files.
        if separator == ',' && text.trim_end().ends_with(',') {
            return Some(vec![PathBuf::from(text.trim())]);
        }
        let base = if from_env { Path::new("") } else { self.directory };
        Some(parts.into_iter().map(|p| base.join(expand(p, self.env))).collect())
    }

    fn path(&self, section: &str, key: &str, variable: &str) -> Option<PathBuf> {
        self.paths(section, key, variable, '\n')?.into_iter().next()
    }

    /// What is read and not followed.
    fn warnings(&self) -> Vec<String> {
        let mut out = Vec::new();
        for (section, key, why) in UNSUPPORTED {
            if let Some((_, place, _)) = self.get(section, key, &format!("ANSIBLE_{}", key.to_uppercase())) {
                out.push(format!("{place} is not followed: {why}"));
            }
        }
        if let Some((value, place, _)) = self.get("defaults", "host_key_checking", "ANSIBLE_HOST_KEY_CHECKING")
            && ["no", "false", "0", "off"].contains(&value.to_lowercase().as_str())
        {
            out.push(format!("{place} is not followed: an unknown host key is never accepted; put the hosts' keys into known_hosts"));
        }
        if let Some((value, place, _)) = self.get("defaults", "error_on_undefined_vars", "ANSIBLE_ERROR_ON_UNDEFINED_VARS")
            && ["no", "false", "0", "off"].contains(&value.to_lowercase().as_str())
        {
            out.push(format!("{place} is not followed: an undefined variable is an error where it is used"));
        }
        out
    }

    /// What would make a playbook mean something else.
    fn refuse(&mut self) {
        let refused = [
            (
                "defaults",
                "hash_behaviour",
                "ANSIBLE_HASH_BEHAVIOUR",
                "replace",
                "use the filter combine(recursive=true) where dictionaries are to be merged",
            ),
            ("privilege_escalation", "become_method", "ANSIBLE_BECOME_METHOD", "sudo", "sudo is the only method"),
            ("defaults", "strategy", "ANSIBLE_STRATEGY", "linear", "say `strategy: free` in the plays that are meant"),
        ];
        for (section, key, variable, only, hint) in refused {
            if let Some((value, place, _)) = self.get(section, key, variable)
                && !value.is_empty()
                && value.to_lowercase().rsplit('.').next() != Some(only)
            {
                self.problems.push(Problem::new(format!("{place}: {value} is not supported, only {only} is")).hint(hint));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(pairs: &[(&str, &str)]) -> HashMap<String, String> {
        let home = std::iter::once(("HOME", "/home/u"));
        home.chain(pairs.iter().copied()).map(|(k, v)| (k.to_owned(), v.to_owned())).collect()
    }

    #[test]
    fn keys_that_people_use() {
        let text = "\
[defaults]
# a comment
inventory = hosts.ini, ~/more ; of another kind
roles_path=./roles:/opt/roles
  ~/below
Remote_User = ubuntu
forks: 20
timeout = 5
gathering = explicit
host_key_checking = False
vault_identity_list = dev@~/dev, prod@prompt
private_key_file = \"keys/id\"
[privilege_escalation]
become = True
[ssh_connection]
ssh_args = -o ControlMaster=auto -J \"a b\"
pipelining = True
";
        let cfg = AnsibleCfg::from_text(text, Path::new("/p/ansible.cfg"), &env(&[("ANSIBLE_FORKS", "7")])).unwrap();
        assert_eq!(cfg.inventory, [PathBuf::from("/p/hosts.ini"), "/home/u/more".into()]);
        assert_eq!(cfg.roles_path, [PathBuf::from("/p/./roles"), "/opt/roles".into(), "/home/u/below".into()]);
        assert_eq!((cfg.remote_user.as_deref(), cfg.forks, cfg.timeout), (Some("ubuntu"), Some(7), Some(Duration::from_secs(5))));
        assert_eq!((cfg.gather_facts, cfg.become_, cfg.force_handlers), (Some(false), true, false));
        assert_eq!(cfg.vault_ids, ["dev@~/dev", "prod@prompt"]);
        assert_eq!(cfg.private_key_file, Some("/p/keys/id".into()));
        assert_eq!(cfg.ssh_args, ["-o", "ControlMaster=auto", "-J", "a b"]);
        assert_eq!(cfg.warnings.len(), 1, "{:?}", cfg.warnings);
        assert!(cfg.warnings[0].starts_with("/p/ansible.cfg:10: host_key_checking is not followed"), "{:?}", cfg.warnings);
    }

    #[test]
    fn what_would_change_the_meaning_is_refused_all_at_once() {
        let text = "stray\n[defaults]\nhash_behaviour = merge\nforks = many\nforce_handlers = perhaps\n[privilege_escalation]\nbecome_method = su\n";
        let problems = AnsibleCfg::from_text(text, Path::new("a.cfg"), &env(&[])).unwrap_err().to_string();
        for line in ["a.cfg:1:", "a.cfg:3:", "a.cfg:4:", "a.cfg:5:", "a.cfg:7:"] {
            assert!(problems.contains(line), "{line} in {problems}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in "(\\PC|\n){0,120}") {
            let _ = AnsibleCfg::from_text(&format!("[defaults]\n{text}"), Path::new("a.cfg"), &env(&[]));
            let _ = expand(&text, &env(&[]));
        }
    }
}
