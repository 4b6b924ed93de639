//! What each probe pod is asked, and which pairs of nodes: every ordered pair up to nine nodes, a mesh above.

use super::probe::{Ask, Services, Site};
use std::collections::{BTreeMap, HashMap};

/// kube-proxy writes a new Service's rules within its sync period, a second by default; milliseconds.
const SETTLE: i64 = 5_000;

/// From this many nodes on, pairs are chosen.
pub(super) const ALL_PAIRS_BELOW: usize = 10;

/// Peers of node `i` of `n`: all others below [`ALL_PAIRS_BELOW`] nodes. Above: rings with strides 1, 2, 4, 8, … and the
/// control planes, so that each node sends to and hears from about log2(n) others, and 100 nodes make some 900 pairs
/// instead of 9900. What breaks a whole node is always seen; one broken pair in between may not be.
pub(super) fn peers(i: usize, n: usize, control_planes: &[usize]) -> Vec<usize> {
    let mut out: Vec<usize> = if n < ALL_PAIRS_BELOW {
        (0..n).filter(|j| *j != i).collect()
    } else {
        let strides = (0..usize::BITS).map(|bit| 1 << bit).take_while(|stride| *stride < n);
        strides.map(|stride| (i + stride) % n).chain(control_planes.iter().copied()).filter(|j| *j != i).collect()
    };
    if n >= ALL_PAIRS_BELOW && control_planes.first() == Some(&i) {
        out.extend((0..n).filter(|j| *j != i));
    }
    out.sort_unstable();
    out.dedup();
    out
}

/// Rounds of questions by node.
pub(super) fn questions(site: &Site<'_>, pods: &BTreeMap<String, String>, services: &Services) -> HashMap<String, Vec<Vec<Ask>>> {
    let names: Vec<&String> = pods.keys().collect();
    let control_planes: Vec<usize> = (0..names.len()).filter(|i| site.control_planes.contains(names[*i])).collect();
    let address = |node: &str| site.nodes.iter().find(|(n, ..)| n == node).map(|(_, a, _)| a.clone()).unwrap_or_default();
    let mut out = HashMap::new();
    for (i, node) in names.iter().enumerate() {
        let mut first = Vec::new();
        let mut ask = |id: String, kind, target: String, size, count, timeout_ms| {
            let http = kind == "http";
            let retry_ms = if http { SETTLE } else { 0 };
            let patient = id == "hairpin";
            let expect = if id == "hairpin" {
                format!("probe-{node}\n")
            } else if http {
                "probe-".to_owned()
            } else {
                String::new()
            };
            first.push(Ask { id, kind, target, size, count, timeout_ms, retry_ms, patient, expect, server: String::new() });
        };
        for j in peers(i, names.len(), &control_planes) {
            let (peer, pod) = (names[j], &pods[names[j]]);
            ask(format!("tcp:{peer}"), "tcp", format!("{pod}:8082"), 64, 0, 2000);
            ask(format!("tcp-mtu:{peer}"), "tcp", format!("{pod}:8082"), 65536, 0, 2000);
            ask(format!("udp:{peer}"), "udp", format!("{pod}:8081"), 64, 4, 1600);
            ask(format!("mtu:{peer}"), "udp", format!("{pod}:8081"), -1, 3, 1500);
            let to = address(peer);
            ask(format!("nodeport:{peer}"), "http", format!("http://{to}:{}/", services.node_port), 0, 0, 1500);
            ask(format!("kubelet:{peer}"), "connect", format!("{to}:10250"), 0, 0, 1500);
            ask(format!("ssh:{peer}"), "connect", format!("{to}:22"), 0, 0, 1200);
        }
        ask(format!("nodeport:{node}"), "http", format!("http://{}:{}/", address(node), services.node_port), 0, 0, 1500);
        ask("vip".into(), "http", format!("http://{}/", services.vip), 0, 6, 2000);
        ask("hairpin".into(), "http", format!("http://{}/", services.own), 0, 1, 800);
        ask("dns-cluster".into(), "dns", "kubernetes.default.svc.cluster.local".into(), 0, 0, 3000);
        ask("dns-external".into(), "dns", format!("{}.", site.external_name.trim_end_matches('.')), 0, 0, 4000);
        ask("egress".into(), "connect", site.egress.to_owned(), 0, 0, 4000);
        for control_plane in &site.control_planes {
            let to = address(control_plane);
            ask(format!("api:{control_plane}"), "connect", format!("{to}:6443"), 0, 0, 2000);
            if control_plane != *node {
                ask(format!("etcd:{control_plane}"), "connect", format!("{to}:2379"), 0, 0, 1200);
                ask(format!("etcd-peer:{control_plane}"), "connect", format!("{to}:2380"), 0, 0, 1200);
            }
        }
        first.extend(site.dns_pods.iter().map(|pod| Ask {
            id: format!("dns-pod:{pod}"),
            kind: "dns",
            target: "kubernetes.default.svc.cluster.local.".to_owned(),
            timeout_ms: 3000,
            server: format!("{pod}:53"),
            ..Ask::default()
        }));
        let mut rounds = vec![first];
        if names.len() > 1 {
            let next = names[(i + 1) % names.len()];
            let target = format!("{}:8082", pods[next]);
            // At most 32 MiB or 0.3 s to one neighbour.
            let stream =
                Ask { id: format!("throughput:{next}"), kind: "throughput", target, size: 32 << 20, timeout_ms: 1500, ..Ask::default() };
            rounds.push(vec![stream]);
        }
        out.insert((*node).clone(), rounds);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::peers;

    #[test]
    fn few_nodes_talk_in_every_ordered_pair() {
        let pairs: usize = (0..4).map(|i| peers(i, 4, &[0]).len()).sum();
        assert_eq!(pairs, 12);
    }

    #[test]
    fn many_nodes_are_meshed_and_each_is_asked_and_asks() {
        let all: Vec<Vec<usize>> = (0..100).map(|i| peers(i, 100, &[0])).collect();
        let pairs: usize = all.iter().map(Vec::len).sum();
        assert!(pairs < 1000, "{pairs}");
        for i in 0..100 {
            assert!(all[i].len() >= 7 && all.iter().filter(|p| p.contains(&i)).count() >= 7);
            assert!(i == 0 || all[0].contains(&i) && all[i].contains(&0));
            assert!(!all[i].contains(&i));
        }
    }
}
