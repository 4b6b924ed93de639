//! Observes, evaluates, sums up.

use super::{
    access::Access,
    checks::{Ctx, HostView, certificates, traffic},
    cluster::{self, Cluster},
    finding::Finding,
    host, outside,
    probe::{self, Site},
    registry::{Selection, registry},
    served,
    types::{CheckResult, Host, Report, SCHEMA, Status, Summary},
};
use crate::{
    event::Events,
    infra::{Change, MachineHealth},
    spec::ClusterSpec,
};
use futures::future::{BoxFuture, join_all};
use jiff::Timestamp;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

pub(super) use super::served::Served;

/// A machine to look at.
pub struct HostInput {
    /// Its node name.
    pub name: String,
    /// `control-plane` or a pool's name.
    pub pool: String,
    /// Its private address.
    pub address: String,
    /// A way to it, or why there is none.
    pub access: Result<Arc<dyn Access>, String>,
    /// Address and SSH port that the operator's machine dials, where it needs no other machine for that.
    pub dial: Option<(String, u16)>,
}

/// Something that we manage and that is not as we left it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drift {
    /// The host.
    pub host: String,
    /// The task that would change it: `Forward packets …`.
    pub what: String,
    /// What it would change.
    pub diff: String,
    /// The task failed to look: `diff` says why, and nothing is known.
    pub unseen: bool,
}

/// How to look.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Which checks.
    pub selection: Selection,
    /// Write nothing at all: no probe pods.
    pub read_only: bool,
    /// Image of the probe pods.
    pub probe_image: String,
    /// A name outside the cluster that machines and pods must be able to resolve.
    pub external_name: String,
    /// The API's name, which machines must be able to resolve.
    pub api_name: Option<String>,
    /// `host:port` outside the cluster that pods must be able to reach.
    pub egress: String,
    /// For each way of looking: a host's program, one API call, the probes. A healthy cluster needs a third of it; what is
    /// broken is waited for.
    pub deadline: Duration,
}

impl Settings {
    /// Everything; what must be reached outside the cluster is the official registry, for those who can.
    pub fn of(spec: &ClusterSpec) -> Self {
        let name = "registry.k8s.io";
        let many = spec.control_plane.count + spec.pools.iter().map(|p| p.count).sum::<u32>() > 20;
        Self {
            selection: Selection::default(),
            read_only: false,
            probe_image: "registry.k8s.io/kubewright/probe:v2".to_owned(),
            external_name: name.to_owned(),
            api_name: None,
            egress: format!("{name}:443"),
            deadline: Duration::from_secs(if many { 45 } else { 20 }),
        }
    }
}

/// What to look at.
pub struct Input<'a> {
    /// What is wanted.
    pub spec: &'a ClusterSpec,
    /// The machines.
    pub hosts: Vec<HostInput>,
    /// The API, or why it cannot be asked.
    pub client: Result<::kube::Client, String>,
    /// What the playbooks would change, in check mode; `None`: nobody asked, and the check does not apply.
    pub drift: Option<BoxFuture<'a, Result<Vec<Drift>, String>>>,
    /// What the provider would change; `None` where there is no provider.
    pub cloud: Option<BoxFuture<'a, Result<Vec<Change>, String>>>,
    /// What the provider says of the machines; `None` where there is no provider.
    pub health: Option<BoxFuture<'a, Result<Vec<MachineHealth>, String>>>,
    /// `host:port` of the registry mirror that the nodes use; `None`: the official registry.
    pub registry: Option<String>,
    /// How.
    pub settings: Settings,
}

/// For the playbooks in check mode: a healthy machine takes 2 s, a hundred of them stay within the minute of a whole report.
const DRIFT: Duration = Duration::from_secs(45);

/// Looks at everything and reports. Never fails: what cannot be seen is unknown.
pub async fn verify(input: Input<'_>, events: &Events) -> Report {
    let (begun, at) = (Instant::now(), Timestamp::now());
    let Input { spec, hosts, client, drift, cloud, health, registry: mirror, settings } = input;
    let unreachable: Vec<Host> =
        hosts.iter().map(|h| Host { name: h.name.clone(), pool: h.pool.clone(), unreachable: h.access.as_ref().err().cloned() }).collect();
    let wants_probes = !settings.read_only && registry().any(|c| c.probes && settings.selection.has(c));
    let (views, cluster, probed, drift, cloud, health, outside) = futures::join!(
        // Boxed: side by side in one future they would not fit on a thread's stack of 2 MiB.
        step(events, "verify/hosts", "look at the hosts", Box::pin(look_at_hosts(&hosts, mirror.as_deref(), &settings))),
        step(events, "verify/api", "ask the API", async {
            match &client {
                Ok(client) => Box::pin(cluster::look(client, settings.deadline)).await,
                Err(why) => Cluster::unreachable(why),
            }
        }),
        step(events, "verify/network", "test the data path", async {
            match &client {
                _ if !wants_probes => None,
                Ok(client) => Some(Box::pin(probe_from(client, &hosts, &settings)).await),
                Err(why) => Some(Err(why.clone())),
            }
        }),
        within(drift, DRIFT, "check mode took too long"),
        within(cloud, settings.deadline, "the provider took too long"),
        within(health, settings.deadline, "the provider took too long"),
        look_from_outside(spec, &hosts, &settings),
    );
    let mut cluster = cluster;
    if let Ok(client) = &client {
        // What was started a moment ago (by a bootstrap, a rollout) may still be on its way: the report says how it ended.
        let until = Instant::now() + SETTLE;
        while starting(&cluster) && Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(500)).await;
            cluster = Box::pin(cluster::look(client, settings.deadline)).await;
        }
    }
    let ctx = Ctx { spec, now: Timestamp::now(), hosts: views, cluster, probed, drift, cloud, health, outside };
    let mut report = evaluate(&ctx, &settings);
    report.at = at;
    for (host, view) in unreachable.into_iter().zip(&ctx.hosts) {
        let why = host.unreachable.clone().or_else(|| view.seen.as_ref().err().cloned());
        report.hosts.push(Host { unreachable: why, ..host });
    }
    report.duration_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    report
}

/// A look that may be left out, with a deadline.
async fn within<T>(look: Option<BoxFuture<'_, Result<T, String>>>, deadline: Duration, late: &str) -> Option<Result<T, String>> {
    Some(tokio::time::timeout(deadline, look?).await.unwrap_or_else(|_| Err(late.to_owned())))
}

/// How long young pods are waited for.
const SETTLE: Duration = Duration::from_secs(8);

/// Whether a system pod is not ready, and so young that this is no failure yet.
fn starting(cluster: &Cluster) -> bool {
    let now = Timestamp::now().as_second();
    let young = |p: &k8s_openapi::api::core::v1::Pod| p.metadata.creation_timestamp.as_ref().is_some_and(|t| now - t.0.as_second() < 60);
    let system = |p: &k8s_openapi::api::core::v1::Pod| matches!(p.metadata.namespace.as_deref(), Some("kube-system" | "kube-flannel"));
    let done = |p: &k8s_openapi::api::core::v1::Pod| p.status.as_ref().and_then(|s| s.phase.as_deref()) == Some("Succeeded");
    cluster.pods.iter().flatten().any(|p| system(p) && young(p) && !done(p) && !ready(p))
}

async fn step<T>(events: &Events, id: &str, title: &str, work: impl Future<Output = T>) -> T {
    let done: Result<T, std::convert::Infallible> = events.step(id, title, None, async { Ok(work.await) }).await;
    match done {
        Ok(value) => value,
        Err(never) => match never {},
    }
}

async fn look_at_hosts(hosts: &[HostInput], mirror: Option<&str>, settings: &Settings) -> Vec<HostView> {
    let registry = mirror.unwrap_or("registry.k8s.io:443");
    let names: Vec<String> = settings.api_name.iter().chain([&settings.external_name]).cloned().collect();
    let names = &names;
    join_all(hosts.iter().map(|h| async move {
        let control_plane = h.pool == "control-plane";
        let (seen, served) = match &h.access {
            Err(why) => (Err(why.clone()), Served::unreachable(why)),
            Ok(access) => {
                let short = settings.deadline.min(Duration::from_secs(6));
                let ports = served::look(&**access, &h.address, control_plane, registry, mirror.is_some(), short);
                futures::join!(host::look(&**access, names, settings.deadline), ports)
            }
        };
        HostView { name: h.name.clone(), pool: h.pool.clone(), address: h.address.clone(), seen, served }
    }))
    .await
}

/// Machines that we did not make have firewalls of their own: `None`.
async fn look_from_outside(spec: &ClusterSpec, hosts: &[HostInput], settings: &Settings) -> Option<Vec<(String, outside::Dialled)>> {
    let wanted = registry().any(|c| c.id == "network-outside" && settings.selection.has(c));
    if matches!(spec.provider, crate::spec::Provider::Static(_)) || !wanted {
        return None;
    }
    let mut ports = outside::CLOSED.to_vec();
    if spec.access.api_from.is_empty() {
        ports.push(6443);
    }
    let dial = hosts.iter().filter_map(|h| {
        let (address, ssh) = h.dial.as_ref()?;
        let ports = &ports;
        Some(async move { (h.name.clone(), outside::dial(address, *ssh, ports).await) })
    });
    Some(join_all(dial).await)
}

async fn probe_from(client: &::kube::Client, hosts: &[HostInput], settings: &Settings) -> Result<probe::Probed, String> {
    use k8s_openapi::api::core::v1::{Node, Pod};
    let nodes: ::kube::Api<Node> = ::kube::Api::all(client.clone());
    let pods: ::kube::Api<Pod> = ::kube::Api::namespaced(client.clone(), "kube-system");
    let dns = ::kube::api::ListParams::default().labels("k8s-app=kube-dns");
    let everything = ::kube::api::ListParams::default().match_any();
    let (nodes, dns) = futures::join!(nodes.list(&everything), pods.list(&dns));
    let nodes = nodes.map_err(|e| crate::kube::chain(&e))?;
    // Only machines that are nodes can have a pod; that the others are missing is another check's finding.
    let registered = |name: &str| nodes.iter().any(|n| n.metadata.name.as_deref() == Some(name));
    let site = Site {
        client,
        image: &settings.probe_image,
        nodes: hosts
            .iter()
            .filter(|h| registered(&h.name))
            .map(|h| (h.name.clone(), h.address.clone(), h.access.as_ref().ok().cloned()))
            .collect(),
        control_planes: hosts.iter().filter(|h| h.pool == "control-plane").map(|h| h.name.clone()).collect(),
        external_name: &settings.external_name,
        egress: &settings.egress,
        // One that is not ready gets no lookups; that it is not is another check's finding.
        dns_pods: dns
            .iter()
            .flatten()
            .filter(|p| ready(p) && p.metadata.deletion_timestamp.is_none())
            .filter_map(|p| p.status.as_ref()?.pod_ip.clone())
            .collect(),
        deadline: settings.deadline,
    };
    if site.nodes.is_empty() {
        return Err("no machine of this cluster is a node".to_owned());
    }
    probe::probe(&site).await
}

fn ready(pod: &k8s_openapi::api::core::v1::Pod) -> bool {
    let conditions = pod.status.iter().flat_map(|s| s.conditions.iter().flatten());
    conditions.into_iter().any(|c| c.type_ == "Ready" && c.status == "True")
}

/// The checks over what was observed: pure.
pub(super) fn evaluate(ctx: &Ctx<'_>, settings: &Settings) -> Report {
    let mut checks: Vec<CheckResult> = Vec::new();
    let mut not_applicable = Vec::new();
    for check in registry().filter(|c| settings.selection.has(c)) {
        match (check.eval)(ctx) {
            None => not_applicable.push(check.id.to_owned()),
            Some(findings) if findings.is_empty() => {
                checks.push(Finding::unseen("cluster", "there was nothing to look at").into_result(check));
            }
            Some(findings) => checks.extend(findings.into_iter().map(|f| f.into_result(check))),
        }
    }
    super::consequences::explain(&mut checks);
    let count = |status| checks.iter().filter(|c| c.status == status).count();
    let summary = Summary {
        passed: count(Status::Passed),
        warnings: count(Status::Warning),
        unknown: count(Status::Unknown),
        failed: count(Status::Failed),
    };
    let mut all: Vec<_> = ctx.hosts.iter().flat_map(certificates::of).collect();
    all.sort_by_key(|c| c.not_after);
    Report {
        schema: SCHEMA,
        kubewright: env!("CARGO_PKG_VERSION").to_owned(),
        cluster: ctx.spec.name.clone(),
        version: ctx.spec.kubernetes.version.clone(),
        at: ctx.now,
        duration_ms: 0,
        read_only: settings.read_only,
        summary,
        hosts: Vec::new(),
        checks,
        not_applicable,
        pairs: ctx.probed.as_ref().and_then(|p| p.as_ref().ok()).map(traffic::heat_map).unwrap_or_default(),
        certificates: all,
    }
}
