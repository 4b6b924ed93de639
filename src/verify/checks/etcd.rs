//! etcd, from its own metrics port (127.0.0.1:2381, as kubeadm sets it).

use super::{Ctx, Findings, HostView};
use crate::verify::{
    finding::Finding,
    registry::{Check, Group::Kubernetes},
    types::Severity::{Critical, Major, Minor},
};

pub(in crate::verify) const CHECKS: &[Check] = &[
    Check {
        id: "kubernetes-etcd-health",
        group: Kubernetes,
        severity: Critical,
        tag: None,
        probes: false,
        eval: health,
        title: "etcd is healthy and has no alarm",
        expected: "/health says true without a reason",
        proves: "writes are accepted",
        causes: "alarm NOSPACE: the database reached its quota; or the member has lost its peers",
        fix: "for NOSPACE: compact, `etcdctl defrag`, `etcdctl alarm disarm`; raise --quota-backend-bytes",
    },
    Check {
        id: "kubernetes-etcd-leader",
        group: Kubernetes,
        severity: Critical,
        tag: None,
        probes: false,
        eval: leader,
        title: "etcd has a leader",
        expected: "etcd_server_has_leader is 1 on every member",
        proves: "there is a quorum",
        causes: "members cannot reach each other on 2380, or too many are down",
        fix: "`kubewright run control_plane -- crictl logs` of etcd; restore the network or the quorum",
    },
    Check {
        id: "kubernetes-etcd-members",
        group: Kubernetes,
        severity: Critical,
        tag: None,
        probes: false,
        eval: members,
        title: "Members of etcd and control planes are the same",
        expected: "one member on each control plane, and no other",
        proves: "no orphan member eats into the quorum",
        causes: "a control plane was removed without removing its member",
        fix: "`etcdctl member remove ID` takes the orphan out",
    },
    Check {
        id: "kubernetes-etcd-size",
        group: Kubernetes,
        severity: Major,
        tag: None,
        probes: false,
        eval: size,
        title: "etcd's database has room",
        expected: "less than 75 % of the quota",
        proves: "no NOSPACE alarm is near",
        causes: "very many objects or events, or a database that was never defragmented",
        fix: "`etcdctl defrag` one member at a time; find out who writes so much",
    },
    Check {
        id: "kubernetes-etcd-disk",
        group: Kubernetes,
        severity: Minor,
        tag: None,
        probes: false,
        eval: disk,
        title: "etcd's disk is fast enough",
        expected: "p99 of WAL fsync and backend commit below 256 ms (etcd wants 10 and 25 ms)",
        proves: "no leader changes because of a slow disk",
        causes: "a slow volume, or another writer on it",
        fix: "use gp3 with more IOPS or a volume of its own for /var/lib/etcd",
    },
];

fn each_member(ctx: &Ctx<'_>, check: impl Fn(&HostView, &str) -> Finding) -> Findings {
    let control_planes = ctx.hosts.iter().filter(|h| h.is_control_plane());
    let look = |host: &HostView| match &host.served.etcd_metrics {
        Ok(metrics) => check(host, metrics),
        Err(why) => Finding::unseen(&host.name, why),
    };
    Some(control_planes.map(look).collect())
}

/// A metric without labels.
fn metric(text: &str, name: &str) -> Option<f64> {
    text.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok())
}

/// The upper bound of the bucket that holds the quantile, in seconds.
fn quantile(text: &str, name: &str, q: f64) -> Option<f64> {
    let total = metric(text, &format!("{name}_count"))?;
    let prefix = format!("{name}_bucket{{le=\"");
    text.lines().find_map(|l| {
        let (bound, count) = l.strip_prefix(&prefix)?.split_once("\"} ")?;
        let count: f64 = count.trim().parse().ok()?;
        (count >= q * total).then(|| bound.parse().unwrap_or(f64::INFINITY))
    })
}

fn health(ctx: &Ctx<'_>) -> Findings {
    let control_planes = ctx.hosts.iter().filter(|h| h.is_control_plane());
    let look = |host: &HostView| match &host.served.etcd_health {
        Ok(text) => {
            let value: serde_json::Value = serde_json::from_str(text).unwrap_or_default();
            let reason = value["reason"].as_str().unwrap_or("").to_owned();
            let fine = value["health"] == "true" && reason.is_empty();
            Finding::of(fine, &host.name, if fine { "healthy".to_owned() } else { format!("unhealthy: {reason}") })
                .evidence("http://127.0.0.1:2381/health", text)
        }
        Err(why) if host.seen.is_err() => Finding::unseen(&host.name, why),
        Err(why) => Finding::bad(&host.name, why),
    };
    Some(control_planes.map(look).collect())
}

fn leader(ctx: &Ctx<'_>) -> Findings {
    each_member(ctx, |host, text| match metric(text, "etcd_server_has_leader") {
        None => Finding::unseen(&host.name, "no such metric"),
        Some(value) => {
            let changes = metric(text, "etcd_server_leader_changes_seen_total").unwrap_or(0.0);
            Finding::of(value > 0.0, &host.name, format!("{}, {changes:.0} changes seen", if value > 0.0 { "has one" } else { "none" }))
        }
    })
}

fn members(ctx: &Ctx<'_>) -> Findings {
    let mut wanted: Vec<String> = ctx.hosts.iter().filter(|h| h.is_control_plane()).map(|h| h.name.clone()).collect();
    wanted.sort();
    let control_planes = ctx.hosts.iter().filter(|h| h.is_control_plane());
    let look = |host: &HostView| {
        let text = match &host.seen {
            Ok(seen) => seen.section("etcd-members").unwrap_or("").trim(),
            Err(why) => return Finding::unseen(&host.name, why),
        };
        // "ID, started, NAME, PEER URLS, CLIENT URLS, IS LEARNER" of etcdctl's simple format; one that never started has no name.
        let lines = text.lines().filter_map(|l| {
            if let [id, state, name, .., learner] = l.split(", ").collect::<Vec<_>>()[..] { Some((id, state, name, learner)) } else { None }
        });
        let mut found: Vec<String> = lines
            .map(|(id, state, name, learner)| match (state, learner) {
                ("started", "false") => name.to_owned(),
                ("started", _) => format!("{name} (learner)"),
                _ => format!("{id} ({state})"),
            })
            .collect();
        found.sort();
        if found.is_empty() {
            return Finding::unseen(&host.name, "etcd did not list its members");
        }
        Finding::of(found == wanted, &host.name, found.join(", ")).expected(wanted.join(", ")).evidence("etcdctl member list", text)
    };
    Some(control_planes.map(look).collect())
}

fn size(ctx: &Ctx<'_>) -> Findings {
    each_member(ctx, |host, text| {
        let quota = metric(text, "etcd_server_quota_backend_bytes").filter(|q| *q > 0.0).unwrap_or(2_147_483_648.0);
        match metric(text, "etcd_mvcc_db_total_size_in_bytes") {
            None => Finding::unseen(&host.name, "no such metric"),
            Some(size) => {
                Finding::of(size < 0.75 * quota, &host.name, format!("{:.0} of {:.0} MiB", size / 1_048_576.0, quota / 1_048_576.0))
            }
        }
    })
}

fn disk(ctx: &Ctx<'_>) -> Findings {
    each_member(ctx, |host, text| {
        let fsync = quantile(text, "etcd_disk_wal_fsync_duration_seconds", 0.99);
        let commit = quantile(text, "etcd_disk_backend_commit_duration_seconds", 0.99);
        let (Some(fsync), Some(commit)) = (fsync, commit) else { return Finding::unseen(&host.name, "no such metric") };
        Finding::of(
            fsync <= 0.256 && commit <= 0.256,
            &host.name,
            format!("p99 fsync ≤ {:.0} ms, commit ≤ {:.0} ms", fsync * 1000.0, commit * 1000.0),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_come_from_buckets() {
        let text =
            "h_bucket{le=\"0.001\"} 90\nh_bucket{le=\"0.004\"} 98\nh_bucket{le=\"0.008\"} 99\nh_bucket{le=\"+Inf\"} 100\nh_count 100\n";
        assert_eq!(quantile(text, "h", 0.99), Some(0.008));
        assert_eq!(quantile(text, "h", 0.999), Some(f64::INFINITY));
        assert_eq!(metric(text, "h_count"), Some(100.0));
    }
}
