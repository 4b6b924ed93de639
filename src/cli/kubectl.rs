//! `kubewright kubectl`

use super::{ClusterArgs, Exit, Failure};
use crate::ops;

/// Run kubectl against the cluster through the SSH tunnel
///
/// The kubectl of this machine is used, or the control plane's own where there is none here.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    cluster: ClusterArgs,
    /// kubectl's arguments
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
    arguments: Vec<String>,
}

pub(super) async fn run(args: Args) -> Result<Exit, Failure> {
    let cluster = ops::Cluster::open(&args.cluster.directory()?).await?;
    Ok(Exit::Code(ops::kubectl::run(&cluster, &args.arguments).await?))
}
