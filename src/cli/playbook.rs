//! `kubewright playbook`

use super::{ClusterArgs, Exit, Failure, LockArgs, OutputArgs, lock::Locked, shown::Shown};
use crate::{
    engine::{LoginDefaults, Network, NoServices, RunOptions},
    inventory::Inventory,
    ops::{self, playbooks::Hosts},
    playbook::PlaybookSource,
    report,
    text::{Problem, Secret},
};
use std::{fmt::Write as _, path::PathBuf, sync::Arc};

/// Run Ansible playbooks, with nothing but sh on the hosts
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    connect: Connect,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    lock: LockArgs,
    /// Playbook files
    #[arg(required = true)]
    playbooks: Vec<PathBuf>,
    /// Only tasks with these tags
    #[arg(short, long, value_delimiter = ',', value_name = "TAGS")]
    tags: Vec<String>,
    /// Not the tasks with these tags
    #[arg(long, value_delimiter = ',', value_name = "TAGS")]
    skip_tags: Vec<String>,
    /// Change nothing, say what would be changed
    #[arg(short = 'C', long)]
    check: bool,
    /// Show what changes in files
    #[arg(short = 'D', long)]
    diff: bool,
    /// Begin with the task of this name
    #[arg(long, value_name = "NAME")]
    start_at_task: Option<String>,
    /// Run handlers even when a task failed
    #[arg(long)]
    force_handlers: bool,
    /// Read and check everything, touch no host
    #[arg(long)]
    syntax_check: bool,
    /// List the hosts that plays are about
    #[arg(long)]
    list_hosts: bool,
    /// List the tasks
    #[arg(long)]
    list_tasks: bool,
    /// List the tags
    #[arg(long)]
    list_tags: bool,
    /// Old habits that ansible-core 2.19 refuses are errors
    #[arg(long)]
    strict: bool,
}

/// Which hosts, and how to get there: the options of ansible-playbook.
#[derive(Debug, clap::Args)]
pub struct Connect {
    /// Inventory file, directory or cluster directory (several allowed), or a list of hosts with a comma: `a,b,`
    #[arg(short, long, value_name = "INVENTORY", env = "KUBEWRIGHT_INVENTORY")]
    inventory: Vec<PathBuf>,
    /// Only these hosts
    #[arg(short, long, value_name = "PATTERN")]
    limit: Option<String>,
    /// Login user
    #[arg(short, long, value_name = "USER")]
    user: Option<String>,
    /// Private key file
    #[arg(long, visible_alias = "key-file", value_name = "FILE")]
    private_key: Option<PathBuf>,
    /// `ssh` or `local`
    #[arg(short, long, value_name = "TYPE")]
    connection: Option<String>,
    /// Variables: `key=value`, JSON/YAML, or `@file`
    #[arg(short, long, value_name = "VARS")]
    extra_vars: Vec<String>,
    /// How many hosts work at the same time
    #[arg(short, long, default_value_t = 50)]
    forks: usize,
    /// Run tasks as root
    #[arg(short = 'b', long = "become")]
    become_root: bool,
    /// Run tasks as this user
    #[arg(long, value_name = "USER")]
    become_user: Option<String>,
    /// Ask for sudo's password
    #[arg(short = 'K', long)]
    ask_become_pass: bool,
}

pub(super) async fn run(args: Args) -> Result<Exit, Failure> {
    let sources: Vec<PlaybookSource> = args.playbooks.iter().map(|p| PlaybookSource::Path(p.clone())).collect();
    let mut load = ops::playbooks::load_options();
    load.strict = args.strict;
    if args.syntax_check || args.list_tasks || args.list_tags || args.list_hosts {
        let playbook = ops::playbooks::read(&sources, &load)?;
        let mut text = String::new();
        for warning in &playbook.warnings {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "warning: {warning}");
        }
        report::err(&text);
        if args.list_hosts {
            let (hosts, _) = args.connect.hosts(args.playbooks.first()).await?;
            report::out(&crate::playbook::list_hosts(&playbook, &hosts.inventory, args.connect.limit.as_deref())?);
        }
        if args.list_tasks {
            report::out(&crate::playbook::list_tasks(&playbook, &args.tags, &args.skip_tags));
        }
        if args.list_tags {
            report::out(&crate::playbook::list_tags(&playbook));
        }
        return Ok(Exit::Done);
    }
    let options = RunOptions {
        tags: args.tags,
        skip_tags: args.skip_tags,
        check: args.check,
        diff: args.diff,
        start_at_task: args.start_at_task,
        force_handlers: args.force_handlers,
        strict: args.strict,
        ..RunOptions::default()
    };
    ops::playbooks::read(&sources, &load)?;
    // A cluster's machines are changed by one at a time; looking at them needs no lock, and an inventory of hosts has none.
    let lock = match args.connect.cluster().await? {
        Some(cluster) if !args.check => Some(args.lock.take(&cluster, "playbook").await?),
        _ => None,
    };
    let result = execute(&args.connect, sources, &load, options, &args.output, lock.as_ref()).await;
    match lock {
        Some(lock) => lock.release(result).await,
        None => result,
    }
}

/// Runs playbooks on the hosts that the options name.
pub(super) async fn execute(
    connect: &Connect,
    sources: Vec<PlaybookSource>,
    load: &crate::playbook::LoadOptions,
    mut options: RunOptions,
    output: &OutputArgs,
    lock: Option<&Locked>,
) -> Result<Exit, Failure> {
    ops::playbooks::read(&sources, load)?;
    let first = sources.iter().find_map(|s| if let PlaybookSource::Path(p) = s { Some(p) } else { None });
    let (hosts, log) = connect.hosts(first).await?;
    let given = connect.options(output)?;
    options = RunOptions {
        tags: options.tags,
        skip_tags: options.skip_tags,
        check: options.check,
        diff: options.diff,
        start_at_task: options.start_at_task,
        force_handlers: options.force_handlers,
        strict: options.strict,
        ..given
    };
    let shown = Shown::start(output.display(log, options.diff));
    if let Some(lock) = lock {
        lock.guard(&shown);
    }
    let result = ops::playbooks::run(&sources, load, hosts, &options, &shown.events, shown.cancel.clone()).await;
    shown.finish().await;
    let summary = result?;
    Ok(if summary.is_ok() { Exit::Done } else { Exit::HostsFailed })
}

impl Connect {
    /// The options of a run that stand here.
    pub(super) fn options(&self, output: &OutputArgs) -> Result<RunOptions, Failure> {
        let become_password = match self.ask_become_pass {
            true => Some(Secret::new(super::global::ask_secret("BECOME password: ")?)),
            false => None,
        };
        Ok(RunOptions {
            limit: self.limit.clone(),
            forks: self.forks,
            become_: self.become_root || self.become_user.is_some(),
            become_user: self.become_user.clone(),
            become_password,
            verbosity: output.verbose,
            extra_vars: crate::inventory::extra_vars(&self.extra_vars)?,
            ..RunOptions::default()
        })
    }

    /// The cluster, where the inventory is one's directory.
    async fn cluster(&self) -> Result<Option<ops::Cluster>, Failure> {
        let directory = match self.inventory.as_slice() {
            [] if std::path::Path::new("cluster.yaml").exists() => PathBuf::from("."),
            [only] if crate::inventory::is_cluster_dir(only) => only.clone(),
            _ => return Ok(None),
        };
        Ok(Some(ops::Cluster::open(&ClusterArgs { inventory: Some(directory) }.directory()?).await?))
    }

    /// The hosts, and where logs go when they are a cluster's.
    pub(super) async fn hosts(&self, playbook: Option<&PathBuf>) -> Result<(Hosts, Option<PathBuf>), Failure> {
        if let Some(cluster) = self.cluster().await? {
            let provision = cluster.discover().await?;
            let log = cluster.state.new_log_directory("playbook")?;
            return Ok((ops::playbooks::cluster_hosts(&cluster, &provision).await?, Some(log)));
        }
        let directory = playbook.map(|p| p.parent().map_or_else(|| PathBuf::from("."), PathBuf::from));
        let sources = &self.inventory;
        let inventory = if sources.is_empty() { Inventory::default() } else { Inventory::load(sources, directory.as_deref())? };
        let connection = match self.connection.as_deref() {
            None | Some("ssh" | "smart") => None,
            Some("local") => Some("local".to_owned()),
            Some(other) => return Err(Problem::new(format!("connection type {other} is not supported")).hint("use ssh or local").into()),
        };
        let defaults =
            LoginDefaults { user: self.user.clone(), key_file: self.private_key.clone(), connection, ..LoginDefaults::default() };
        let connector = Arc::new(Network::new(std::collections::HashMap::new(), defaults));
        Ok((Hosts { inventory, connector, services: Arc::new(NoServices) }, None))
    }
}
