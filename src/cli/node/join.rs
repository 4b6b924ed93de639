//! `kubewright node join`

use super::{Common, Exit, Failure, operate};
use crate::ops::node::{self, Wanted};

/// Make and join the machines of cluster.yaml that are not in the cluster yet
///
/// cluster.yaml is the truth: to get more machines, raise a pool's count there first. Only the new machines are touched, and
/// nobody else is waited for. With --count, at most so many of the missing ones join; where cluster.yaml has room for fewer, these
/// join, and it is said which count to set.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    common: Common,
    /// Only these machines of cluster.yaml
    #[arg(conflicts_with = "count")]
    names: Vec<String>,
    /// Only machines of this pool
    #[arg(long, value_name = "POOL")]
    pool: Option<String>,
    /// At most so many
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    count: Option<u32>,
}

pub(super) async fn run(args: Args) -> Result<Exit, Failure> {
    let title = std::iter::once("node join").chain(args.names.iter().map(String::as_str)).collect::<Vec<_>>().join(" ");
    let wanted = Wanted { names: args.names, pool: args.pool, count: args.count };
    let dry_run = args.common.dry_run;
    operate(&args.common, title, |cluster, events, cancel| async move { node::join(&cluster, &wanted, dry_run, &events, &cancel).await })
        .await
}
