//! `kubewright list`

use super::{ClusterArgs, Exit, Failure, OutputArgs};
use crate::{ops, report};

/// List the clusters in the account and region of an inventory, with the number of machines of each
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    cluster: ClusterArgs,
    #[command(flatten)]
    output: OutputArgs,
}

pub(super) async fn run(args: Args) -> Result<Exit, Failure> {
    let cluster = ops::Cluster::open(&args.cluster.directory()?).await?;
    let clusters = cluster.provider.list(&cluster.spec).await.map_err(ops::OpsError::from)?;
    if args.output.json() {
        let json = serde_json::to_string_pretty(&clusters).map_err(|e| Failure::Internal(e.to_string()))?;
        report::out(&format!("{json}\n"));
    } else {
        report::out(&clusters.iter().map(|(name, machines)| format!("{name}\t{machines} machines\n")).collect::<Vec<_>>().concat());
    }
    Ok(Exit::Done)
}
