//! Every check is seen red, by substituted input, on what was recorded from a real cluster of 1 + 3 nodes, and its
//! neighbours stay green. The real faults are injected by the lab's tests.

mod edits;
mod faults;
mod healthy;
mod scale;

use super::{
    checks::Ctx,
    cluster::Cluster,
    host::Seen,
    probe::BadChecksums,
    run::{Settings, evaluate},
    types::{Status, exit_code},
};
use edits::{fails, fails_on, host};
use faults::FAULTS;
use healthy::{healthy, red, report, spec};

#[tokio::test]
async fn a_healthy_cluster_is_green_in_every_check() {
    let spec = spec();
    let ctx = healthy(&spec);
    let report = report(&ctx);
    let bad: Vec<_> = report.problems().map(|c| format!("{} {}: {}", c.id, c.subject, c.observed)).collect();
    assert_eq!(bad, [""; 0]);
    assert_eq!(exit_code(&report), 0);
    assert_eq!(
        report.not_applicable,
        ["machine-ntp", "kubernetes-encryption", "kubernetes-audit", "cloud-routes", "cloud-nat", "cloud-tags"]
    );
    assert_eq!(report.pairs.len(), 12);
}

#[tokio::test]
async fn every_check_turns_red_and_its_neighbours_stay_green() {
    let spec = spec();
    let mut wrong = Vec::new();
    for (id, also, fault) in FAULTS {
        let mut ctx = healthy(&spec);
        fault(&mut ctx);
        let red = red(&ctx);
        if !red.iter().any(|r| r == id) {
            wrong.push(format!("{id} stayed green; red: {red:?}"));
        }
        let allowed = |r: &String| r == id || also.iter().any(|a| a == r || a.strip_suffix('*').is_some_and(|p| r.starts_with(p)));
        let others: Vec<_> = red.iter().filter(|r| !allowed(r)).collect();
        // A second control plane that is a copy has more to complain about; that is not what its row is about.
        if !others.is_empty() && ctx.hosts.len() == 4 {
            wrong.push(format!("{id}: also red: {others:?}"));
        }
        for problem in report(&ctx).problems().filter(|c| c.id == *id && c.status != Status::Unknown) {
            assert!(problem.cause.is_some() && problem.fix.is_some() && !problem.expected.is_empty(), "{id}");
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_check_is_without_a_fault() {
    let missing: Vec<_> = super::registry().map(|c| c.id).filter(|id| !FAULTS.iter().any(|(f, ..)| f == id)).collect();
    assert_eq!(missing, [""; 0]);
}

#[tokio::test]
async fn a_lost_direction_is_named() {
    let spec = spec();
    let mut ctx = healthy(&spec);
    fails(&mut ctx, "udp:worker-2");
    let cause = |ctx: &Ctx<'_>| report(ctx).problems().next().unwrap().cause.clone().unwrap();
    assert!(cause(&ctx).starts_with("the request did not arrive: UDP 4789 from worker-1 to worker-2 is lost"), "{}", cause(&ctx));
    ctx.probed.as_mut().unwrap().as_mut().unwrap().request_arrived = vec![("worker-1".into(), "worker-2".into())];
    assert!(cause(&ctx).contains("UDP 4789 from worker-2 to worker-1 is lost"), "{}", cause(&ctx));
    assert_eq!(report(&ctx).problems().next().unwrap().subject, "worker-1 → worker-2");
}

#[tokio::test]
async fn what_was_not_seen_is_unknown_and_read_only_says_so() {
    let spec = spec();
    let mut ctx = healthy(&spec);
    ctx.probed = None;
    let mut settings = Settings::of(&spec);
    settings.read_only = true;
    let report = evaluate(&ctx, &settings);
    assert!(report.checks.iter().filter(|c| super::registry::needs_probes(&c.id)).all(|c| c.status == Status::Unknown));
    assert_eq!(exit_code(&report), 0, "what was left out on purpose does not count");
    ctx.cluster = Cluster::unreachable("connection refused");
    let report = evaluate(&ctx, &settings);
    let green: Vec<_> =
        report.checks.iter().filter(|c| c.group == "kubernetes" && c.status == Status::Passed).map(|c| c.id.as_str()).collect();
    assert!(green.iter().all(|id| id.contains("certificate") || id.contains("etcd")), "{green:?}");
    let red: Vec<_> = report.checks.iter().filter(|c| c.status == Status::Failed).map(|c| c.id.as_str()).collect();
    assert_eq!(red, ["kubernetes-api"], "what could not be asked is no failure of anything else");
    assert_ne!(exit_code(&report), 0);
}

#[tokio::test]
async fn a_host_that_says_nothing_is_green_nowhere() {
    let spec = spec();
    let mut ctx = healthy(&spec);
    host(&mut ctx, "worker-1").seen = Ok(Seen::default());
    let report = report(&ctx);
    let mut lies: Vec<_> = report
        .checks
        .iter()
        .filter(|c| c.subject == "worker-1" && c.status == Status::Passed && matches!(c.group.as_str(), "machine" | "runtime"))
        .map(|c| c.id.as_str())
        .collect();
    lies.sort_unstable();
    // Drift was seen by the playbooks, kubelet's health and the registry over streams.
    assert_eq!(lies, ["machine-drift", "runtime-kubelet-health", "runtime-registry"]);
}

#[tokio::test]
async fn one_cause_comes_first_and_its_consequences_say_so() {
    let spec = spec();
    let mut ctx = healthy(&spec);
    ["udp:worker-2", "tcp:worker-2", "mtu:worker-2", "vip"].iter().for_each(|id| fails(&mut ctx, id));
    fails_on(&mut ctx, "worker-3", "egress");
    let report = report(&ctx);
    let said: Vec<_> =
        report.problems().map(|c| (c.id.as_str(), c.cause.as_deref().unwrap().starts_with("follows from network-pod-udp"))).collect();
    let wanted = [
        ("network-pod-udp", false),
        ("network-egress", false),
        ("network-pod-tcp", true),
        ("network-pod-mtu", true),
        ("network-service-vip", true),
    ];
    assert_eq!(said, wanted);
}

#[tokio::test]
async fn who_sends_bad_checksums_is_named() {
    let spec = spec();
    let mut ctx = healthy(&spec);
    for peer in ["control-plane-1", "worker-1", "worker-3"] {
        fails_on(&mut ctx, "worker-2", &format!("udp:{peer}"));
        fails_on(&mut ctx, peer, "udp:worker-2");
        let probed = ctx.probed.as_mut().unwrap().as_mut().unwrap();
        probed.bad_checksums.insert(peer.into(), BadChecksums { datagrams: 4, segments: 0 });
    }
    let report = report(&ctx);
    let first = report.problems().next().unwrap();
    assert_eq!((first.id.as_str(), first.subject.as_str()), ("network-checksum", "worker-2"));
    assert!(
        report
            .problems()
            .filter(|c| c.id == "network-pod-udp")
            .all(|c| c.cause.as_deref() == Some("follows from network-checksum (worker-2)"))
    );
}
