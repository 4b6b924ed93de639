//! `kubewright destroy`

use super::{ClusterArgs, Exit, Failure, LockArgs, OutputArgs, changes, shown::Shown};
use crate::{
    infra::{Volume, Volumes},
    ops, report,
    text::Problem,
};
use std::io::{IsTerminal as _, Write as _};

/// Delete the cluster's machines and everything else that was made for it, and nothing else
///
/// On EC2, Services of type LoadBalancer and volume claims go first, while the controllers live that made something for them.
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
    /// Leave the volumes that claims (PVCs) had made; they are listed, with what they cost
    #[arg(long)]
    retain_volumes: bool,
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
    let volumes = if args.retain_volumes { Volumes::Retain } else { Volumes::Delete };
    if args.dry_run {
        let (changes, notes) = ops::destroy::plan(&cluster, volumes).await?;
        for note in notes {
            writeln!(stderr, "{}", report::clean_line(&note))?;
        }
        report::out(&changes::infra(&changes));
        report::out(&retained(&cluster, volumes).await?);
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
    let result = ops::destroy::run(&cluster, volumes, &shown.events).await;
    shown.finish().await;
    let deleted = lock.release(result.map_err(Failure::from)).await?;
    cluster.state.remove()?;
    std::io::stderr().lock().write_all(changes::infra(&deleted).as_bytes())?;
    report::out(&retained(&cluster, volumes).await?);
    Ok(Exit::Done)
}

/// The volumes that stay, a line each: id, size, cost, and how to delete it.
async fn retained(cluster: &ops::Cluster, volumes: Volumes) -> Result<String, Failure> {
    if volumes == Volumes::Delete {
        return Ok(String::new());
    }
    let stay = cluster.provider.volumes(&cluster.spec).await.map_err(ops::OpsError::from)?;
    let line = |v: &Volume| {
        let cost = v.monthly.map_or_else(|| "price not known".to_owned(), |usd| format!("{usd:.2} USD a month"));
        format!("stays: volume {}, {} GiB {}, {cost}: {}\n", v.id, v.size_gib, v.kind, v.delete)
    };
    Ok(stay.iter().map(line).collect())
}
