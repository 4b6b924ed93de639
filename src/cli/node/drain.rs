//! `kubewright node drain`

use super::{Common, DrainArgs, Exit, Failure, operate};
use crate::ops::node::{self, Options};

/// Take the pods off a node and keep new ones away, as their disruption budgets allow
///
/// Pods of DaemonSets and kubelet's own stay. When a budget does not let a pod go in time, pod and budget are named, and the node
/// takes pods again, if it did before.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    drain: DrainArgs,
    /// Let pods go that have emptyDir volumes; what is in these is lost
    #[arg(long)]
    delete_emptydir_data: bool,
    /// The node
    name: String,
}

pub(super) async fn run(args: Args) -> Result<Exit, Failure> {
    let options = Options { drain: args.drain.options(args.delete_emptydir_data), dry_run: args.common.dry_run, off: false };
    let title = format!("node drain {}", args.name);
    operate(
        &args.common,
        title,
        |cluster, events, cancel| async move { node::drain(&cluster, &args.name, &options, &events, &cancel).await },
    )
    .await
}
