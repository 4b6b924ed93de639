//! `kubewright etcd …`

use super::{ClusterArgs, Exit, Failure, OutputArgs, changes, lock::LockArgs, shown::Shown};
use crate::{
    cluster::{etcd::seats, quorum::Tally},
    ops::{self, etcd},
    report,
};
use std::{
    io::{IsTerminal as _, Write as _},
    path::PathBuf,
};

/// etcd: its members, snapshots of it, and a cluster brought back from one
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Members(MembersArgs),
    Snapshot(SnapshotArgs),
    Restore(RestoreArgs),
}

/// List the members of etcd, how they are, and what the cluster can stand
#[derive(Debug, clap::Args)]
struct MembersArgs {
    #[command(flatten)]
    cluster: ClusterArgs,
}

/// Take a snapshot of etcd now: verified, encrypted, with the CAs and keys that a new control plane needs beside it
///
/// Scheduled ones are set in cluster.yaml (`backup`). Two files are written: NAME.db.age and NAME.pki.age.
#[derive(Debug, clap::Args)]
struct SnapshotArgs {
    #[command(flatten)]
    cluster: ClusterArgs,
    #[command(flatten)]
    output: OutputArgs,
    /// File, or directory that exists; without it the current directory
    #[arg(long, value_name = "PATH")]
    to: Option<PathBuf>,
    /// Who can read it: age1…, or ssh-ed25519 …; without it those of cluster.yaml
    #[arg(short, long, value_name = "PUBLIC KEY")]
    recipient: Vec<String>,
}

/// Bring a cluster back from a snapshot, on a fresh control plane; workers stay as they are
///
/// For a cluster whose control planes are gone or have lost their quorum. Machines that are missing are made as `bootstrap` makes
/// them. What old control planes have is kept aside on them, in /var/lib/kubewright.
#[derive(Debug, clap::Args)]
struct RestoreArgs {
    #[command(flatten)]
    cluster: ClusterArgs,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    lock: LockArgs,
    /// The snapshot, NAME.db.age; its bundle NAME.pki.age lies beside it
    snapshot: PathBuf,
    /// File with the private key of a recipient: of `age-keygen`, or an SSH key without a passphrase
    #[arg(long, value_name = "FILE")]
    identity: PathBuf,
    /// Restore on this control plane instead of the first one
    #[arg(long, value_name = "NAME")]
    node: Option<String>,
    /// Also when the cluster works: go back to the snapshot, and lose what was written since
    #[arg(long)]
    discard_newer: bool,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    /// Leave out the health report at the end
    #[arg(long)]
    no_verify: bool,
}

pub(super) async fn run(args: Args) -> Result<Exit, Failure> {
    match args.command {
        Command::Members(args) => members(args).await,
        Command::Snapshot(args) => snapshot(args).await,
        Command::Restore(args) => restore(args).await,
    }
}

async fn members(args: MembersArgs) -> Result<Exit, Failure> {
    let cluster = ops::Cluster::open(&args.cluster.directory()?).await?;
    let provision = cluster.discover().await?;
    let connector = cluster.connector(&provision);
    let etcd = etcd::client(&cluster.control_planes(&provision, &connector)).await.map_err(ops::OpsError::from)?;
    let members = etcd.look().await.map_err(ops::OpsError::from)?;
    let mut text = format!("{:<20} {:<16} {:<17} {:>9} {:>10}  STATE\n", "MEMBER", "ADDRESS", "ID", "DB MiB", "RAFT");
    for seen in &members {
        let member = &seen.member;
        let address = member.address().map(|a| a.to_string()).unwrap_or_default();
        let (size, index) = seen
            .status
            .as_ref()
            .map_or((String::new(), String::new()), |s| (format!("{:.1}", s.db_size as f64 / 1_048_576.0), s.raft_index.to_string()));
        let leads = seen.status.as_ref().is_ok_and(|s| s.leader == member.id);
        let state = match (seen.trouble(), member.learner) {
            (Some(why), _) => format!("SICK: {why}"),
            (None, true) => "learner".to_owned(),
            (None, false) if leads => "leader".to_owned(),
            (None, false) => "healthy".to_owned(),
        };
        text.push_str(&format!("{:<20} {address:<16} {:<17x} {size:>9} {index:>10}  {state}\n", member.label(), member.id));
    }
    let tally = Tally::of(&seats(&members));
    text.push_str(&format!("{tally}; can lose {} more\n", tally.tolerance()));
    report::out(&text);
    Ok(if members.iter().all(etcd_is_well) { Exit::Done } else { Exit::Unhealthy })
}

fn etcd_is_well(seen: &crate::cluster::etcd::Seen) -> bool {
    seen.healthy()
}

async fn snapshot(args: SnapshotArgs) -> Result<Exit, Failure> {
    let cluster = ops::Cluster::open(&args.cluster.directory()?).await?;
    let shown = Shown::start(args.output.display(None, false));
    let options = etcd::snapshot::Options { to: args.to, recipients: args.recipient };
    let taken = etcd::snapshot::run(&cluster, &options, &shown.events).await;
    shown.finish().await;
    let taken = taken?;
    report::out(&format!("{}\n{}\n", taken.snapshot.display(), taken.bundle.display()));
    let (status, size) = (&taken.meta.status, taken.bytes as f64 / 1_048_576.0);
    let line = format!("{size:.1} MiB, {} keys, revision {}, in {}\n", status.total_key, status.revision, report::duration(taken.elapsed));
    std::io::stderr().lock().write_all(line.as_bytes())?;
    Ok(Exit::Done)
}

async fn restore(args: RestoreArgs) -> Result<Exit, Failure> {
    let cluster = ops::Cluster::open(&args.cluster.directory()?).await?;
    let lock = args.lock.take(&cluster, "etcd restore").await?;
    let planned = cluster.provider.plan(&cluster.spec).await.map_err(ops::OpsError::from)?;
    std::io::stderr().lock().write_all(changes::infra(&planned).as_bytes())?;
    let question = format!("Bring cluster {} back from {}?", cluster.spec.name, args.snapshot.display());
    if std::io::stdin().is_terminal() && !args.yes && !super::global::confirm(&question)? {
        return lock.release(Ok(Exit::Done)).await;
    }
    let options = etcd::restore::Options {
        snapshot: args.snapshot,
        identity: args.identity,
        node: args.node,
        discard_newer: args.discard_newer,
        planned: Some(planned),
        verify: !args.no_verify,
    };
    let log = cluster.state.new_log_directory("restore")?;
    let shown = Shown::start(args.output.display(Some(log), false).titled(format!("restore {}", cluster.spec.name), None));
    lock.guard(&shown);
    let outcome = etcd::restore::run(&cluster, &options, &shown.events, shown.cancel.clone()).await;
    shown.finish().await;
    let outcome = match lock.release(outcome.map_err(Failure::from)).await {
        Ok(outcome) => outcome,
        Err(failure) => return Err(failure),
    };
    if let Some(health) = &outcome.health {
        super::verify::show(health, &args.output);
        return Ok(super::verify::exit(health));
    }
    Ok(if outcome.summary.is_ok() { Exit::Done } else { Exit::HostsFailed })
}
