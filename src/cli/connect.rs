//! Options of `playbook` and `run`: which hosts, how to get there, as whom. Those of ansible-playbook, over what `ansible.cfg` says.

use super::{ClusterArgs, Failure, OutputArgs, global::ask_secret, vault::VaultArgs};
use crate::{
    engine::{Ask, LoginDefaults, Network, NoServices, RunOptions},
    inventory::Inventory,
    ops::{self, ansible_cfg::AnsibleCfg, playbooks::Hosts},
    playbook::LoadOptions,
    report,
    text::{Problem, Secret},
    vault::Vault,
};
use std::{io::IsTerminal as _, path::PathBuf, sync::Arc, time::Duration};

/// Which hosts, and how to get there: the options of ansible-playbook.
#[derive(Debug, clap::Args)]
pub struct Connect {
    /// Inventory file, directory or cluster directory (several allowed), or a list of hosts with a comma: `a,b,`
    #[arg(short, long, value_name = "INVENTORY", env = "KUBEWRIGHT_INVENTORY")]
    inventory: Vec<PathBuf>,
    /// Only these hosts
    #[arg(short, long, value_name = "PATTERN")]
    pub(super) limit: Option<String>,
    /// Login user
    #[arg(short, long, value_name = "USER")]
    user: Option<String>,
    /// Private key file
    #[arg(long, visible_alias = "key-file", value_name = "FILE")]
    private_key: Option<PathBuf>,
    /// Ask for the login user's password
    #[arg(short = 'k', long)]
    ask_pass: bool,
    /// `ssh` or `local`
    #[arg(short, long, value_name = "TYPE")]
    connection: Option<String>,
    /// How many seconds connecting may take
    #[arg(short = 'T', long, value_name = "SECONDS")]
    timeout: Option<u64>,
    /// Arguments as ssh takes them: `-J bastion`, `-o ProxyCommand=…`, `-F file`
    #[arg(long, value_name = "ARGS", allow_hyphen_values = true)]
    ssh_common_args: Option<String>,
    /// The same; both are taken
    #[arg(long, value_name = "ARGS", allow_hyphen_values = true)]
    ssh_extra_args: Option<String>,
    /// Variables: `key=value`, JSON/YAML, or `@file`
    #[arg(short, long, value_name = "VARS")]
    extra_vars: Vec<String>,
    /// How many hosts work at the same time; 50 where nothing says so
    #[arg(short, long)]
    forks: Option<usize>,
    /// Run tasks as root
    #[arg(short = 'b', long = "become")]
    become_root: bool,
    /// Run tasks as this user
    #[arg(long, value_name = "USER")]
    become_user: Option<String>,
    /// `sudo` is the only one
    #[arg(long, value_name = "METHOD", value_parser = ["sudo", "ansible.builtin.sudo"], hide = true)]
    become_method: Option<String>,
    /// Ask for sudo's password
    #[arg(short = 'K', long)]
    ask_become_pass: bool,
    #[command(flatten)]
    vault: VaultArgs,
}

/// What holds on this side: `ansible.cfg`, and passwords that were given once.
pub struct Controller {
    cfg: AnsibleCfg,
    vault: Vault,
}

impl Controller {
    /// How playbooks are read.
    pub(super) fn load_options(&self) -> LoadOptions {
        ops::playbooks::load_options_with(&self.cfg, self.vault.clone())
    }
}

impl Connect {
    /// Reads `ansible.cfg` and the vault's passwords.
    pub(super) fn controller(&self) -> Result<Controller, Failure> {
        let cfg = AnsibleCfg::read()?;
        report::err(&cfg.warnings.iter().map(|w| format!("warning: {w}\n")).collect::<Vec<_>>().concat());
        let vault = self.vault.open(&cfg)?;
        Ok(Controller { cfg, vault })
    }

    /// The options of a run that stand here.
    pub(super) fn options(&self, controller: &Controller, output: &OutputArgs) -> Result<RunOptions, Failure> {
        let cfg = &controller.cfg;
        let become_password = match self.ask_become_pass || cfg.become_ask_pass {
            true => Some(Secret::new(ask_secret("BECOME password: ")?)),
            false => None,
        };
        let defaults = RunOptions::default();
        Ok(RunOptions {
            limit: self.limit.clone(),
            forks: self.forks.or(cfg.forks).unwrap_or(defaults.forks),
            become_: self.become_root || cfg.become_,
            become_user: self.become_user.clone().or_else(|| cfg.become_user.clone()),
            become_password,
            verbosity: output.verbose,
            extra_vars: crate::inventory::extra_vars_with(&self.extra_vars, &controller.vault)?,
            gather_facts: cfg.gather_facts.unwrap_or(defaults.gather_facts),
            force_handlers: cfg.force_handlers,
            any_errors_fatal: cfg.any_errors_fatal,
            ..defaults
        })
    }

    fn sources<'a>(&'a self, controller: &'a Controller) -> &'a [PathBuf] {
        if self.inventory.is_empty() && !std::path::Path::new("cluster.yaml").exists() {
            &controller.cfg.inventory
        } else {
            &self.inventory
        }
    }

    /// The cluster, where the inventory is one's directory.
    pub(super) async fn cluster(&self, controller: &Controller) -> Result<Option<ops::Cluster>, Failure> {
        let directory = match self.sources(controller) {
            [] if std::path::Path::new("cluster.yaml").exists() => PathBuf::from("."),
            [only] if crate::inventory::is_cluster_dir(only) => only.clone(),
            _ => return Ok(None),
        };
        Ok(Some(ops::Cluster::open(&ClusterArgs { inventory: Some(directory) }.directory()?).await?))
    }

    /// The hosts, and where logs go when they are a cluster's.
    pub(super) async fn hosts(&self, controller: &Controller, playbook: Option<&PathBuf>) -> Result<(Hosts, Option<PathBuf>), Failure> {
        if let Some(cluster) = self.cluster(controller).await? {
            let provision = cluster.discover().await?;
            let log = cluster.state.new_log_directory("playbook")?;
            return Ok((ops::playbooks::cluster_hosts(&cluster, &provision).await?, Some(log)));
        }
        let directory = playbook.map(|p| p.parent().map_or_else(|| PathBuf::from("."), PathBuf::from));
        let sources = self.sources(controller);
        let inventory =
            if sources.is_empty() { Inventory::default() } else { Inventory::load_with(sources, directory.as_deref(), &controller.vault)? };
        let connector = Arc::new(Network::new(std::collections::HashMap::new(), self.login(&controller.cfg)?));
        Ok((Hosts { inventory, connector, services: Arc::new(NoServices) }, None))
    }

    fn login(&self, cfg: &AnsibleCfg) -> Result<LoginDefaults, Failure> {
        let connection = match self.connection.as_deref() {
            None | Some("ssh" | "smart") => None,
            Some("local") => Some("local".to_owned()),
            Some(other) => return Err(Problem::new(format!("connection type {other} is not supported")).hint("use ssh or local").into()),
        };
        let password = if self.ask_pass || cfg.ask_pass { Some(Secret::new(ask_secret("SSH password: ")?)) } else { None };
        let mut ssh_args = cfg.ssh_args.clone();
        for text in [&self.ssh_common_args, &self.ssh_extra_args].into_iter().flatten() {
            ssh_args.extend(shlex::split(text).ok_or_else(|| Problem::new(format!("the quotes in `{text}` do not match")))?);
        }
        let defaults = LoginDefaults::default();
        let deadline = self.timeout.map(Duration::from_secs).or(cfg.timeout).unwrap_or(defaults.deadline);
        Ok(LoginDefaults {
            user: self.user.clone().or_else(|| cfg.remote_user.clone()),
            port: cfg.remote_port,
            key_file: self.private_key.clone().or_else(|| cfg.private_key_file.clone()),
            password,
            ssh_args,
            deadline,
            connection,
            ask: passphrases(),
            ..defaults
        })
    }
}

/// Asks on the terminal, where there is one and no agent that may hold the key.
fn passphrases() -> Ask {
    if !std::io::stderr().is_terminal() || std::env::var_os("SSH_AUTH_SOCK").is_some() {
        return Ask::default();
    }
    Ask(Some(Arc::new(|path| ask_secret(&format!("Passphrase of {}: ", path.display())).ok().filter(|p| !p.is_empty()).map(Secret::new))))
}
