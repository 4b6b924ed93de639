//! `kubewright bootstrap`

use super::{ClusterArgs, Exit, Failure, LockArgs, OutputArgs, changes, lock::Locked, node::DrainArgs, shown::Shown};
use crate::{
    engine::RunOptions,
    ops::{self, bootstrap::Options},
};
use std::io::{IsTerminal as _, Write as _};

/// Make the cluster: machines, packages, control plane, network, workers, and a health report at the end
///
/// Run it again at any time: what is as wanted is left alone, what is missing or differs is mended, and an interrupted run goes on
/// where it stopped.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    cluster: ClusterArgs,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    lock: LockArgs,
    /// Do not ask before machines are made or changed
    #[arg(short, long)]
    yes: bool,
    /// Drain and remove machines that cluster.yaml no longer names; without it they are only shown
    #[arg(long)]
    prune: bool,
    #[command(flatten)]
    drain: DrainArgs,
    /// Leave out the health report at the end
    #[arg(long)]
    no_verify: bool,
    /// Only tasks with these tags
    #[arg(short, long, value_delimiter = ',', value_name = "TAGS")]
    tags: Vec<String>,
    /// Only these hosts
    #[arg(short, long, value_name = "PATTERN")]
    limit: Option<String>,
    /// Show what changes in files
    #[arg(short = 'D', long)]
    diff: bool,
}

pub(super) async fn run(args: Args) -> Result<Exit, Failure> {
    let cluster = ops::Cluster::open(&args.cluster.directory()?).await?;
    let lock = args.lock.take(&cluster, "bootstrap").await?;
    let result = work(args, &cluster, &lock).await;
    lock.release(result).await
}

async fn work(args: Args, cluster: &ops::Cluster, lock: &Locked) -> Result<Exit, Failure> {
    let changes = cluster.provider.plan(&cluster.spec).await.map_err(ops::OpsError::from)?;
    let removals = if args.prune { ops::plan::removals(cluster).await? } else { Vec::new() };
    if !changes.is_empty() || !removals.is_empty() {
        let about = cluster.provider.about(&cluster.spec).await.map_err(ops::OpsError::from)?;
        std::io::stderr().lock().write_all(changes::infra(&changes).as_bytes())?;
        std::io::stderr().lock().write_all(changes::infra(&removals).as_bytes())?;
        std::io::stderr().lock().write_all(changes::about(&about).as_bytes())?;
        let ask = std::io::stdin().is_terminal() && std::io::stderr().is_terminal() && !args.yes;
        if ask && !super::global::confirm("Do this?")? {
            return Ok(Exit::Done);
        }
    }
    let run = RunOptions { tags: args.tags, limit: args.limit, diff: args.diff, ..RunOptions::default() };
    let options = Options { planned: Some(changes), prune: args.prune.then(|| args.drain.removing()), verify: !args.no_verify, run };
    let log = cluster.state.new_log_directory("bootstrap")?;
    let next = format!("kubewright kubectl -i {} -- get nodes -o wide", cluster.spec.directory.display());
    let display = args.output.display(Some(log), args.diff).titled(format!("bootstrap {}", cluster.spec.name), Some(next));
    let shown = Shown::start(display);
    lock.guard(&shown);
    let outcome = ops::bootstrap::run(cluster, &options, &shown.events, shown.cancel.clone()).await;
    shown.finish().await;
    let outcome = outcome?;
    if let Some(health) = &outcome.health {
        super::verify::show(health, &args.output);
        return Ok(super::verify::exit(health));
    }
    Ok(if outcome.summary.is_ok() { Exit::Done } else { Exit::HostsFailed })
}
