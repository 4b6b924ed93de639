//! `kubewright ssh`

use super::{ClusterArgs, Exit, Failure};
use crate::ops;

/// Open a shell on a machine, or run a command there, with the known host key and through the jump host
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    cluster: ClusterArgs,
    /// The machine
    host: String,
    /// A command instead of a shell
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<String>,
}

pub(super) async fn run(args: Args) -> Result<Exit, Failure> {
    let cluster = ops::Cluster::open(&args.cluster.directory()?).await?;
    Ok(Exit::Code(ops::ssh::run(&cluster, &args.host, &args.command).await?))
}
