//! `kubewright node uncordon`

use super::{Common, Exit, Failure, operate};
use crate::ops::node;

/// Let pods come to a node again
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    common: Common,
    /// The node
    name: String,
}

pub(super) async fn run(args: Args) -> Result<Exit, Failure> {
    let title = format!("node uncordon {}", args.name);
    let dry_run = args.common.dry_run;
    operate(&args.common, title, |cluster, _, _| async move { node::uncordon(&cluster, &args.name, dry_run).await }).await
}
