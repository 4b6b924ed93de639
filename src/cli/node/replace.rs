//! `kubewright node replace`

use super::{Common, DrainArgs, Exit, Failure, operate};
use crate::ops::node::{self, Options};

/// Put a new machine in the place of a node, with the same name and address
///
/// Works whatever state the node is in: healthy, dead, out of reach, answering with another host key, gone from the provider. A
/// healthy one is drained first; what is in emptyDir volumes goes with it. A machine that kubewright did not make is taken out,
/// reset and joined again.
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
    let title = format!("node replace {}", args.name);
    operate(
        &args.common,
        title,
        |cluster, events, cancel| async move { node::replace(&cluster, &args.name, &options, &events, &cancel).await },
    )
    .await
}
