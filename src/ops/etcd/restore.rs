//! `etcd restore`: a cluster whose control planes are gone, or have lost their quorum, brought back from a snapshot.

use super::{
    client,
    package::{Package, UnderWay},
};
use crate::{
    cluster::quorum::Tally,
    engine::{LoginDefaults, Network, RunOptions, RunSummary},
    event::Events,
    infra::{Change, Machine, Provision},
    inventory::Raw,
    ops::{Cluster, OpsError, host_keys::Renewal, hosts, playbooks, survey},
    spec::ClusterSpec,
    text::Problem,
    verify::{Report, Status},
};
use jiff::Timestamp;
use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio_util::sync::CancellationToken;

/// A cluster is to be back within this time.
const RTO: Duration = Duration::from_hours(1);

/// How long nodes may take until they work again after the API is back.
const SETTLE: Duration = Duration::from_secs(120);

/// What to do.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The snapshot's file; its bundle lies beside it.
    pub snapshot: PathBuf,
    /// File with the private half of a recipient.
    pub identity: PathBuf,
    /// The control plane to restore on; `None`: the first one.
    pub node: Option<String>,
    /// Also over a cluster that works: what was written since the snapshot is lost.
    pub discard_newer: bool,
    /// What was shown and agreed to: nothing else is done to the machines.
    pub planned: Option<Vec<Change>>,
    /// End with the health report.
    pub verify: bool,
}

/// What came of it.
#[derive(Debug)]
pub struct Outcome {
    /// The playbooks that ran last.
    pub summary: RunSummary,
    /// The health report, if it was asked for and the playbooks went through.
    pub health: Option<Report>,
    /// Times, once the cluster is back.
    pub times: Option<Times>,
}

/// How much was lost, and for how long.
#[derive(Clone, Debug)]
pub struct Times {
    /// When the snapshot was taken.
    pub taken_at: Timestamp,
    /// How old it was when the restore began: what was written in this time is lost.
    pub lost: Duration,
    /// What cluster.yaml promises.
    pub rpo: Option<Duration>,
    /// From the command to a cluster whose nodes work again (with a health report), or are Ready (without).
    pub back_after: Duration,
}

impl Times {
    /// Two lines for people.
    pub fn lines(&self) -> [String; 2] {
        let human = |d: Duration| humantime::format_duration(Duration::from_secs(d.as_secs())).to_string();
        let kept = |kept: bool| if kept { "kept" } else { "EXCEEDED" };
        let promised = self.rpo.map_or_else(String::new, |rpo| format!("; promised {}: {}", human(rpo), kept(self.lost <= rpo)));
        [
            format!(
                "RPO: what was written in the {} between the snapshot ({}) and this restore is lost{promised}",
                human(self.lost),
                self.taken_at
            ),
            format!("RTO: back after {}; limit {}: {}", human(self.back_after), human(RTO), kept(self.back_after <= RTO)),
        ]
    }
}

/// Restores.
pub async fn run(cluster: &Cluster, options: &Options, events: &Events, cancel: CancellationToken) -> Result<Outcome, OpsError> {
    let (mut begun, mut at) = (Instant::now(), Timestamp::now());
    let read = Package::read(&options.snapshot, &options.identity);
    let package = events.step("etcd/restore/read", "read and check the snapshot", None, read).await?;
    fits(cluster, &package)?;
    let before = cluster.provider.discover(&cluster.spec).await?;
    let goes_on = nothing_is_lost(cluster, &before, options, &package).await?;
    if let Some((_, since)) = &goes_on {
        events.note(format!("the restore that began {} goes on: etcd has what the snapshot had", since.strftime("%Y-%m-%d %H:%M:%S UTC")));
        let ago = Duration::try_from(at.duration_since(*since)).unwrap_or_default();
        (begun, at) = (begun.checked_sub(ago).unwrap_or(begun), *since);
    }

    let provision = match &options.planned {
        Some(planned) => cluster.provider.apply_planned(&cluster.spec, planned, events).await?,
        None => cluster.provider.apply(&cluster.spec, events).await?,
    };
    let chosen = goes_on.as_ref().map(|(node, _)| node.as_str()).or(options.node.as_deref());
    let target = target(cluster, &provision, chosen)?.name.clone();
    let renewal = Arc::new(Renewal::of_new_machines(cluster, &provision, events));
    let network =
        Network::new(hosts::dialled(&cluster.spec, &provision, hosts::Patience::Changing(&before.machines)), LoginDefaults::default());
    let network = Arc::new(network.on_first_contact(renewal.clone()));
    let play = async |book: &str, limit: Option<String>, tags: &[&str]| -> Result<RunSummary, OpsError> {
        let token = format!("kubewright-restore-{:016x}", rand::random::<u64>());
        let extra_vars = [("restore_token".to_owned(), Raw { value: token.into(), span: None })].into_iter().collect();
        let hosts = playbooks::led_by(cluster, &provision, Arc::clone(&network), &target)?;
        let tags = tags.iter().map(|t| (*t).to_owned()).collect();
        let run = RunOptions { limit, tags, extra_vars, ..RunOptions::default() };
        let source = [playbooks::shipped_source(&format!("playbooks/{book}.yml"))];
        Box::pin(playbooks::run(&source, &playbooks::load_options(), hosts, &run, events, cancel.clone())).await
    };
    let stopped = |summary| Ok(Outcome { summary, health: None, times: None });

    if goes_on.is_none() {
        let old: Vec<String> = planes(&before).filter(|m| m.name != target && still_there(m, &provision)).map(|m| m.name.clone()).collect();
        if !old.is_empty() {
            let stood_down = play("stand-down", Some(old.join(",")), &[]).await?;
            for name in stood_down.unreachable.keys().chain(stood_down.failed.keys()) {
                events
                    .warn(format!("{name} could not be stopped: it must not come back by itself; `kubewright bootstrap` takes it in anew"));
            }
        }
        let prepared = play("prerequisites", Some(target.clone()), &[]).await?;
        if !prepared.is_ok() {
            return stopped(prepared);
        }
        let connection = network.connect(&target).await?;
        events.step("etcd/restore/send", "send the snapshot", Some(&target), package.send(&connection, at)).await?;
    }
    let restored = play("restore", None, if goes_on.is_some() { &["pods"] } else { &[] }).await?;
    if !restored.is_ok() {
        return stopped(restored);
    }
    // Workers find it again by themselves; other control planes join it as new ones.
    let summary = play("site", None, &[]).await?;
    if !summary.is_ok() {
        return stopped(summary);
    }
    package.ended(&network.connect(&target).await?).await?;
    let health = if options.verify { Some(settled(cluster, &renewal.update(&provision), events).await?) } else { None };
    let lost = Duration::try_from(at.duration_since(package.meta.taken_at)).unwrap_or_default();
    let rpo = cluster.spec.backup.as_ref().map(|b| b.rpo);
    let times = Times { taken_at: package.meta.taken_at, lost, rpo, back_after: begun.elapsed() };
    for line in times.lines() {
        events.note(line);
    }
    Ok(Outcome { summary, health, times: Some(times) })
}

/// Health reports until what takes a while has come back: kubelets and kube-proxies whose API was away ask for it again after
/// half a minute or more (client-go's back-off), and see new pods only then.
async fn settled(cluster: &Cluster, provision: &Provision, events: &Events) -> Result<Report, OpsError> {
    let until = Instant::now() + SETTLE;
    loop {
        let check = crate::ops::verify::Options::default();
        let verified = Box::pin(crate::ops::verify::run_on(cluster, provision, &check, events));
        let report = events.step("verify", "health report", None, verified).await?;
        let comes_back = |id: &str| ["network-", "kubernetes-node-", "kubernetes-system-pods"].iter().any(|begin| id.starts_with(begin));
        let open = report.problems().any(|c| comes_back(&c.id) && matches!(c.status, Status::Failed | Status::Unknown));
        if !open || Instant::now() > until {
            return Ok(report);
        }
    }
}

fn planes(provision: &Provision) -> impl Iterator<Item = &Machine> {
    provision.machines.iter().filter(|m| m.pool == ClusterSpec::CONTROL_PLANE)
}

fn still_there(machine: &Machine, provision: &Provision) -> bool {
    provision.machines.iter().any(|m| m.id == machine.id)
}

fn target<'a>(cluster: &Cluster, provision: &'a Provision, node: Option<&str>) -> Result<&'a Machine, OpsError> {
    let found = match node {
        None => planes(provision).next(),
        Some(name) => planes(provision).find(|m| m.name == name),
    };
    let names: Vec<&str> = planes(provision).map(|m| m.name.as_str()).collect();
    found.ok_or_else(|| match node {
        Some(name) => {
            let problem = Problem::new(format!("cluster {} has no control plane {name}", cluster.spec.name));
            OpsError::Invalid(problem.hint(format!("there are {}", names.join(", "))).into())
        }
        None => OpsError::NoCluster(cluster.spec.name.clone()),
    })
}

/// Whether the snapshot is one of this cluster, and of a version that can go on from it.
fn fits(cluster: &Cluster, package: &Package) -> Result<(), OpsError> {
    let (meta, spec) = (&package.meta, &cluster.spec);
    if meta.cluster != spec.name {
        return Err(OpsError::Refused {
            what: format!("{} is a snapshot of cluster {}, not of {}", package.path.display(), meta.cluster, spec.name),
            hint: "take one of this cluster, or the inventory of the other".to_owned(),
        });
    }
    let minor = |version: &str| version.rsplit_once('.').map(|(minor, _)| minor.to_owned());
    if minor(&meta.kubernetes) != minor(&spec.kubernetes.version) {
        return Err(OpsError::Refused {
            what: format!("the snapshot is of Kubernetes {}, and cluster.yaml wants {}", meta.kubernetes, spec.kubernetes.version),
            hint: format!("restore with kubernetes.version: {}, then upgrade", meta.kubernetes),
        });
    }
    Ok(())
}

/// Refuses over a cluster that works, and beside workers of another one. A restore that was interrupted after etcd had its data
/// goes on: returns where, and since when.
async fn nothing_is_lost(
    cluster: &Cluster,
    before: &Provision,
    options: &Options,
    package: &Package,
) -> Result<Option<(String, Timestamp)>, OpsError> {
    let connector = cluster.connector(before);
    let mut under_way = None;
    for plane in planes(before) {
        let Ok(connection) = connector.connect(&plane.name).await else { continue };
        match package.under_way(&connection).await {
            UnderWay::Not => {}
            how_far => under_way = Some((plane.name.clone(), how_far)),
        }
    }
    if planes(before).next().is_some() && !options.discard_newer {
        let etcd = client(&cluster.control_planes(before, &connector)).await;
        if let Ok(etcd) = etcd
            && let Ok(members) = etcd.look().await
        {
            match under_way {
                Some((node, UnderWay::Initialised(since))) => return Ok(Some((node, since))),
                Some((_, UnderWay::Half)) => return Ok(None),
                _ => {}
            }
            let tally = Tally::of(&crate::cluster::etcd::seats(&members));
            return Err(OpsError::Refused {
                what: format!("the cluster works: etcd has its quorum ({tally}), so there is nothing that a snapshot has to bring back"),
                hint:
                    "a single control plane: kubewright node replace; to go back in time and lose what was written since: --discard-newer"
                        .to_owned(),
            });
        }
    }
    let ca = crate::cluster::ca_hash(package.bundle.ca())?;
    let others = survey::workers_of_another(&connector, before, &ca).await;
    if others.is_empty() {
        return Ok(None);
    }
    Err(OpsError::Refused {
        what: format!("{} belong to another cluster than the snapshot (its CA is {ca})", others.join(", ")),
        hint: format!("take that off first: kubewright reset {}", others.join(" ")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_say_whether_promises_were_kept() {
        let times = |lost, back| Times {
            taken_at: "2026-11-25T09:02:07Z".parse().unwrap(),
            lost: Duration::from_secs(lost),
            rpo: Some(Duration::from_mins(30)),
            back_after: Duration::from_secs(back),
        };
        let [rpo, rto] = times(252, 95).lines();
        assert!(rpo.contains("in the 4m 12s") && rpo.ends_with("promised 30m: kept"), "{rpo}");
        assert_eq!(rto, "RTO: back after 1m 35s; limit 1h: kept");
        let [rpo, rto] = times(1801, 3601).lines();
        assert!(rpo.ends_with("EXCEEDED") && rto.ends_with("EXCEEDED"));
    }
}
