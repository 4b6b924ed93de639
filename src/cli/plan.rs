//! `kubewright plan`

use super::{ClusterArgs, Exit, Failure, OutputArgs, changes, shown::Shown};
use crate::{ops, report};

/// Show what bootstrap would change: machines, files, services, the cluster; exit code 3 when there is something
///
/// A plan sends no program that can write.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    cluster: ClusterArgs,
    #[command(flatten)]
    output: OutputArgs,
    /// Also what `bootstrap --prune` would drain and remove
    #[arg(long)]
    prune: bool,
    /// Only these hosts
    #[arg(short, long, value_name = "PATTERN")]
    limit: Option<String>,
}

pub(super) async fn run(args: Args) -> Result<Exit, Failure> {
    let cluster = ops::Cluster::open(&args.cluster.directory()?).await?;
    let shown = Shown::start(args.output.display(None, true));
    let plan = ops::plan::run(&cluster, args.limit.as_deref(), args.prune, &shown.events, shown.cancel.clone()).await;
    shown.finish().await;
    let plan = plan?;
    if !args.output.json() {
        report::out(&changes::about(&plan.about));
        report::out(&changes::infra(&plan.infra));
        report::out(&changes::hosts(&plan));
    }
    Ok(match (plan.is_empty(), plan.failed) {
        (_, true) => Exit::HostsFailed,
        (true, _) => Exit::Done,
        (false, _) => Exit::Changes,
    })
}
