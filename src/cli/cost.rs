//! `kubewright cost`

use super::{ClusterArgs, Exit, Failure, OutputArgs};
use crate::{infra::Cost, ops, report};
use std::fmt::Write as _;

/// Show what the machines and the network of a cluster cost a month, line by line, with the day of the prices
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    cluster: ClusterArgs,
    #[command(flatten)]
    output: OutputArgs,
}

pub(super) async fn run(args: Args) -> Result<Exit, Failure> {
    let cluster = ops::Cluster::open(&args.cluster.directory()?).await?;
    let cost = cluster.provider.cost(&cluster.spec).await.map_err(ops::OpsError::from)?;
    if args.output.json() {
        let json = serde_json::to_string_pretty(&cost).map_err(|e| Failure::Internal(e.to_string()))?;
        report::out(&format!("{json}\n"));
    } else {
        report::out(&cost.as_ref().map_or_else(|| "nothing: these machines are not rented\n".to_owned(), table));
    }
    Ok(Exit::Done)
}

fn table(cost: &Cost) -> String {
    let mut out = format!("{}, on-demand prices of {} in US dollars a month\n", cost.region, cost.prices_of);
    for line in &cost.lines {
        #[expect(clippy::cast_precision_loss, reason = "counts of a cluster are far below 2^52")]
        let price = line.monthly_each.map_or_else(|| "unknown".to_owned(), |each| format!("{:.2}", each * line.count as f64));
        let note = line.note.as_deref().map_or_else(String::new, |n| format!("   {n}"));
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{:>5} {:<24}{price:>10}{note}", line.count, line.what);
    }
    let more = if cost.incomplete { "more than " } else { "" };
    let _ = writeln!(out, "{more}{:.2} a month; traffic and taxes are not counted", cost.monthly);
    out
}
