//! `kubewright playbook`

use super::{
    Exit, Failure, LockArgs, OutputArgs,
    connect::{Connect, Controller},
    lock::Locked,
    shown::Shown,
};
use crate::{
    engine::RunOptions,
    ops,
    playbook::{LoadOptions, PlaybookSource},
    report,
};
use std::{fmt::Write as _, path::PathBuf};

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
    /// Run what is supported: a task that uses anything else fails where a host reaches it, and is nothing where `when` skips it
    #[arg(long)]
    allow_unsupported: bool,
}

pub(super) async fn run(args: Args) -> Result<Exit, Failure> {
    let sources: Vec<PlaybookSource> = args.playbooks.iter().map(|p| PlaybookSource::Path(p.clone())).collect();
    let controller = args.connect.controller()?;
    let load = LoadOptions { strict: args.strict, allow_unsupported: args.allow_unsupported, ..controller.load_options() };
    if args.syntax_check || args.list_tasks || args.list_tags || args.list_hosts {
        let playbook = ops::playbooks::read(&sources, &load)?;
        let mut text = String::new();
        for warning in &playbook.warnings {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "warning: {warning}");
        }
        report::err(&text);
        if args.list_hosts {
            let (hosts, _) = args.connect.hosts(&controller, args.playbooks.first()).await?;
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
    let lock = match args.connect.cluster(&controller).await? {
        Some(cluster) if !args.check => Some(args.lock.take(&cluster, "playbook").await?),
        _ => None,
    };
    let result = execute((&args.connect, &controller), sources, &load, options, &args.output, lock.as_ref()).await;
    match lock {
        Some(lock) => lock.release(result).await,
        None => result,
    }
}

/// Runs playbooks on the hosts that the options name.
pub(super) async fn execute(
    (connect, controller): (&Connect, &Controller),
    sources: Vec<PlaybookSource>,
    load: &LoadOptions,
    mut options: RunOptions,
    output: &OutputArgs,
    lock: Option<&Locked>,
) -> Result<Exit, Failure> {
    ops::playbooks::read(&sources, load)?;
    let first = sources.iter().find_map(|s| if let PlaybookSource::Path(p) = s { Some(p) } else { None });
    let (hosts, log) = connect.hosts(controller, first).await?;
    let given = connect.options(controller, output)?;
    options = RunOptions {
        tags: options.tags,
        skip_tags: options.skip_tags,
        check: options.check,
        diff: options.diff,
        start_at_task: options.start_at_task,
        force_handlers: options.force_handlers || given.force_handlers,
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
