//! `kubewright node`

mod drain;
mod join;
mod list;
mod remove;
mod replace;
mod uncordon;

use super::{ClusterArgs, Exit, Failure, LockArgs, OutputArgs, shown::Shown};
use crate::{
    cluster::DrainOptions,
    event::{Events, Kind},
    ops::{
        Cluster, OpsError,
        node::{self, Done},
    },
    report,
};
use std::time::{Duration, Instant};

/// Operations on single nodes: list, join, drain, uncordon, remove, replace
///
/// Each says with --dry-run what it would do. One that was stopped or killed goes on where it was when the same command is run
/// again.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    List(list::Args),
    Join(join::Args),
    Drain(drain::Args),
    Uncordon(uncordon::Args),
    Remove(remove::Args),
    Replace(replace::Args),
}

pub(super) async fn run(args: Args) -> Result<Exit, Failure> {
    match args.command {
        Command::List(args) => list::run(args).await,
        Command::Join(args) => join::run(args).await,
        Command::Drain(args) => drain::run(args).await,
        Command::Uncordon(args) => uncordon::run(args).await,
        Command::Remove(args) => remove::run(args).await,
        Command::Replace(args) => replace::run(args).await,
    }
}

/// What all operations take.
#[derive(Debug, clap::Args)]
struct Common {
    #[command(flatten)]
    cluster: ClusterArgs,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    lock: LockArgs,
    /// Say what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
}

/// How pods are taken off a node, as with kubectl.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(super) struct DrainArgs {
    /// How long the node's pods may take to go
    #[arg(long, value_parser = humantime::parse_duration, default_value = "5m", value_name = "TIME")]
    timeout: Duration,
    /// Delete pods, too, that no controller would make again
    #[arg(long)]
    force: bool,
}

impl DrainArgs {
    /// For nodes that are taken away: what is in emptyDir volumes goes with them.
    pub(super) fn removing(self) -> node::Options {
        node::Options { drain: self.options(true), dry_run: false, off: false }
    }

    fn options(self, delete_emptydir_data: bool) -> DrainOptions {
        DrainOptions { timeout: self.timeout, delete_emptydir_data, force: self.force }
    }
}

/// Runs one operation under the cluster's lock, or only asks it what it would do.
async fn operate<F>(
    common: &Common,
    title: String,
    work: impl FnOnce(Cluster, Events, tokio_util::sync::CancellationToken) -> F,
) -> Result<Exit, Failure>
where
    F: Future<Output = Result<Done, OpsError>>,
{
    let cluster = Cluster::open(&common.cluster.directory()?).await?;
    if common.dry_run {
        let done = work(cluster, Events::none(), tokio_util::sync::CancellationToken::new()).await?;
        let line = |text: &String| format!("{}\n", report::clean_line(text));
        let steps: String = done.steps.iter().enumerate().map(|(i, s)| format!("{}. {}", i + 1, line(s))).collect();
        report::out(if steps.is_empty() { "nothing to do\n" } else { &steps });
        report::out(&done.notes.iter().map(|n| format!("   {}", line(n))).collect::<String>());
        return Ok(Exit::Done);
    }
    let lock = common.lock.take(&cluster, &title).await?;
    let log = match cluster.state.new_log_directory("node") {
        Ok(log) => log,
        Err(error) => return lock.release(Err(error.into())).await,
    };
    let name = cluster.spec.name.clone();
    let shown = Shown::start(common.output.display(Some(log), false).titled(format!("{title} ({name})"), None));
    lock.guard(&shown);
    let begun = Instant::now();
    let result = work(cluster, shown.events.clone(), shown.cancel.clone()).await;
    if let Ok(done) = &result {
        for note in &done.notes {
            shown.events.note(note.clone());
        }
        if done.steps.is_empty() {
            shown.events.note("nothing to do");
        }
        shown.events.emit(Kind::Note { message: format!("{title}: {:.1} s", begun.elapsed().as_secs_f64()) });
    }
    shown.finish().await;
    lock.release(result.map(|_| Exit::Done).map_err(Failure::from)).await
}
