//! `kubewright node remove`

use super::{Common, DrainArgs, Exit, Failure, operate};
use crate::ops::node::{self, Options};

/// Take a node out for good: drain it, delete its Node, revoke its credentials, reset the host, delete the machine
///
/// The machine is deleted where kubewright made it. What is in emptyDir volumes goes with it. Works also when the machine is dead or
/// gone. cluster.yaml is not changed: lower the pool's count there, or the next bootstrap makes the machine again.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    drain: DrainArgs,
    /// A machine that does not answer, and that kubewright did not make, is switched off
    #[arg(long)]
    off: bool,
    /// The node
    name: String,
}

pub(super) async fn run(args: Args) -> Result<Exit, Failure> {
    let options = Options { dry_run: args.common.dry_run, off: args.off, ..args.drain.removing() };
    let title = format!("node remove {}", args.name);
    operate(
        &args.common,
        title,
        |cluster, events, cancel| async move { node::remove(&cluster, &args.name, &options, &events, &cancel).await },
    )
    .await
}
