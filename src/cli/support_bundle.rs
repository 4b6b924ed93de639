//! `kubewright support-bundle`

use super::{ClusterArgs, Exit, Failure, OutputArgs, shown::Shown};
use crate::{
    ops::{self, state::write_private, support_bundle},
    report,
};
use std::path::PathBuf;

/// Collect what somebody else needs to see why the cluster is not well: one archive, without secrets, with an index
///
/// Logs, events, objects, configuration of the hosts, the health report and the logs of the last runs. Reads only, but for the
/// report's probe pods.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    cluster: ClusterArgs,
    /// The archive; by default kubewright-CLUSTER-TIME.tar.gz in this directory
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// How far logs go back
    #[arg(long, value_parser = humantime::parse_duration, default_value = "2h", value_name = "TIME")]
    since: std::time::Duration,
    /// Write nothing in the cluster: no probe pods
    #[arg(long)]
    read_only: bool,
}

pub(super) async fn run(args: Args) -> Result<Exit, Failure> {
    let cluster = ops::Cluster::open(&args.cluster.directory()?).await?;
    let options = support_bundle::Options { since: args.since, read_only: args.read_only };
    let shown = Shown::start(OutputArgs::quiet().display(None, false));
    let result = support_bundle::run(&cluster, &options, &shown.events).await;
    shown.finish().await;
    let bundle = result?;
    let time = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();
    let path = args.output.unwrap_or_else(|| format!("kubewright-{}-{time}.tar.gz", cluster.spec.name).into());
    // Beside what it holds nothing secret, it is nobody else's business.
    write_private(&std::path::absolute(&path)?, &bundle.bytes)?;
    report::out(&format!("{}\n", path.display()));
    for (what, why) in &bundle.missing {
        report::err(&format!("warning: {} is missing in it: {}\n", report::clean_line(what), report::clean_line(why)));
    }
    Ok(if bundle.missing.is_empty() { Exit::Done } else { Exit::HostsFailed })
}
