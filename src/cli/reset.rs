//! `kubewright reset`

use super::{ClusterArgs, Exit, Failure, LockArgs, OutputArgs, shown::Shown};
use crate::{ops, text::Problem};
use std::io::IsTerminal as _;

/// Take Kubernetes off machines: exactly what was put on, nothing foreign, never a flush
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    cluster: ClusterArgs,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    lock: LockArgs,
    /// The machines; all without names
    hosts: Vec<String>,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
}

pub(super) async fn run(args: Args) -> Result<Exit, Failure> {
    let cluster = ops::Cluster::open(&args.cluster.directory()?).await?;
    if !args.yes {
        if !std::io::stdin().is_terminal() {
            return Err(Problem::new("reset without a terminal needs --yes").into());
        }
        let what = if args.hosts.is_empty() { "all machines".to_owned() } else { args.hosts.join(", ") };
        if !super::global::confirm(&format!("Take Kubernetes off {what} of cluster {}?", cluster.spec.name))? {
            return Ok(Exit::Done);
        }
    }
    let log = cluster.state.new_log_directory("reset")?;
    let command = std::iter::once("reset").chain(args.hosts.iter().map(String::as_str)).collect::<Vec<_>>().join(" ");
    let lock = args.lock.take(&cluster, command).await?;
    let shown = Shown::start(args.output.display(Some(log), false).titled(format!("reset {}", cluster.spec.name), None));
    lock.guard(&shown);
    let result = ops::reset::run(&cluster, &args.hosts, &shown.events, shown.cancel.clone()).await;
    shown.finish().await;
    let summary = lock.release(result.map_err(Failure::from)).await?;
    Ok(if summary.is_ok() { Exit::Done } else { Exit::HostsFailed })
}
