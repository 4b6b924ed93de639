//! `kubewright destroy`

use super::{ClusterArgs, Exit, Failure, LockArgs, OutputArgs, changes, shown::Shown};
use crate::{ops, text::Problem};
use std::io::{IsTerminal as _, Write as _};

/// Delete the cluster's machines and everything else that was made for it, and nothing else
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    cluster: ClusterArgs,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    lock: LockArgs,
    /// Do not ask for the cluster's name
    #[arg(short, long)]
    yes: bool,
    /// Only show what would be deleted
    #[arg(long)]
    dry_run: bool,
}

pub(super) async fn run(args: Args) -> Result<Exit, Failure> {
    let cluster = ops::Cluster::open(&args.cluster.directory()?).await?;
    if cluster.spec.protected {
        return Err(ops::OpsError::Protected(cluster.spec.name.clone()).into());
    }
    let machines = cluster.provider.discover(&cluster.spec).await.map_err(ops::OpsError::from)?.machines;
    let names: Vec<&str> = machines.iter().map(|m| m.name.as_str()).collect();
    let mut stderr = std::io::stderr();
    writeln!(stderr, "cluster {}: {} machines {}", cluster.spec.name, names.len(), names.join(", "))?;
    if args.dry_run {
        let changes = cluster.provider.plan_destroy(&cluster.spec).await.map_err(ops::OpsError::from)?;
        crate::report::out(&changes::infra(&changes));
        return Ok(Exit::Done);
    }
    if !args.yes {
        if !std::io::stdin().is_terminal() {
            return Err(Problem::new("destroy without a terminal needs --yes").into());
        }
        let typed = super::global::ask(&format!("Type the cluster's name ({}) to delete it: ", cluster.spec.name))?;
        if typed != cluster.spec.name {
            writeln!(stderr, "that is not its name; nothing was touched")?;
            return Ok(Exit::Code(2));
        }
    }
    let lock = args.lock.take(&cluster, "destroy").await?;
    let shown = Shown::start(args.output.display(None, false));
    let result = cluster.provider.destroy(&cluster.spec, &shown.events).await;
    shown.finish().await;
    let deleted = lock.release(result.map_err(|e| ops::OpsError::from(e).into())).await?;
    cluster.state.remove()?;
    std::io::stderr().lock().write_all(changes::infra(&deleted).as_bytes())?;
    Ok(Exit::Done)
}
