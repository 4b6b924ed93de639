//! `kubewright kubeconfig`

use super::{ClusterArgs, Exit, Failure};
use crate::ops;
use std::{io::Write as _, path::PathBuf};

/// Print a kubeconfig with a client certificate of your own, or write it to a file (0600)
///
/// Its server is the API's name on port 6443. While that is closed to you, use `kubewright kubectl`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    cluster: ClusterArgs,
    /// Write it here instead of printing it
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub(super) async fn run(args: Args) -> Result<Exit, Failure> {
    let cluster = ops::Cluster::open(&args.cluster.directory()?).await?;
    let text = ops::kubectl::kubeconfig(&cluster).await?;
    match &args.output {
        Some(path) => ops::state::write_private(path, text.expose().as_bytes())?,
        None => std::io::stdout().lock().write_all(text.expose().as_bytes())?,
    }
    Ok(Exit::Done)
}
