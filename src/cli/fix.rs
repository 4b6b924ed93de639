//! `kubewright verify --fix`: shown, asked, done.

use super::{Failure, LockArgs, OutputArgs, changes, shown::Shown};
use crate::{
    ops::{self, mend, plan::Plan},
    report,
    text::Problem,
    verify::Report,
};
use std::io::IsTerminal as _;

/// Somebody must be there to ask, or have said yes.
pub(super) fn may_run(yes: bool) -> Result<(), Failure> {
    if yes || std::io::stdin().is_terminal() {
        return Ok(());
    }
    Err(Problem::new("verify --fix without a terminal needs --yes").into())
}

/// `None`: nothing was done. False: some tasks failed.
pub(super) async fn run(cluster: &ops::Cluster, found: &Report, lock: LockArgs, yes: bool) -> Result<Option<bool>, Failure> {
    let machines = mend::machines(cluster).await?;
    let mends = mend::of(found, |node| machines.get(node).cloned());
    if mends.is_empty() {
        report::err("\nnothing is red that --fix mends: it is for what is safe to repeat (verify explain ID says what to do)\n");
        return Ok(None);
    }
    let shown = Shown::start(OutputArgs::quiet().display(None, false));
    let mut planned = Ok(Vec::new());
    for mend in &mends {
        let changes = mend::preview(cluster, mend, &shown.events, shown.cancel.clone()).await;
        match (changes, &mut planned) {
            (Ok(changes), Ok(all)) => all.push((mend, changes)),
            (Err(why), planned) => *planned = Err(why),
            (Ok(_), Err(_)) => {}
        }
    }
    shown.finish().await;
    let planned = planned?;
    report::err("\n--fix would do this:\n");
    for (mend, hosts) in &planned {
        let checks = mend.checks.iter().cloned().collect::<Vec<_>>().join(", ");
        let lines = changes::on_hosts(&Plan { hosts: hosts.clone(), ..Plan::default() });
        let lines = if lines.is_empty() { "  nothing: its tasks find everything as it should be\n".to_owned() } else { lines };
        report::err(&format!("{} ({checks})\n{lines}", report::clean_line(&mend.what)));
    }
    if planned.iter().all(|(_, hosts)| hosts.is_empty()) {
        return Ok(None);
    }
    if !yes && !super::global::confirm("Do this?")? {
        return Ok(None);
    }
    let log = cluster.state.new_log_directory("fix")?;
    let lock = lock.take(cluster, "verify --fix").await?;
    let title = format!("verify --fix {}", cluster.spec.name);
    let shown = Shown::start(OutputArgs::quiet().display(Some(log), false).titled(title, None));
    lock.guard(&shown);
    let mut result = Ok(true);
    for (mend, _) in planned.iter().filter(|(_, hosts)| !hosts.is_empty()) {
        match mend::run(cluster, mend, &shown.events, shown.cancel.clone()).await {
            Ok(fine) => result = result.map(|all| all && fine),
            Err(why) => {
                result = Err(why);
                break;
            }
        }
    }
    shown.finish().await;
    Ok(Some(lock.release(result.map_err(Failure::from)).await?))
}
