//! The API and the nodes as it sees them.

use super::{Ctx, Findings, all_or};
use crate::{
    kube::wait::is_ready,
    verify::{
        finding::Finding,
        registry::{Check, Group::Kubernetes},
        types::Severity::{Critical, Major, Minor},
    },
};
use ipnet::Ipv4Net;
use k8s_openapi::api::core::v1::{Node, Pod};
use std::collections::BTreeMap;

pub(in crate::verify) const CHECKS: &[Check] = &[
    Check {
        id: "kubernetes-api",
        group: Kubernetes,
        severity: Critical,
        tag: None,
        probes: false,
        eval: api,
        title: "The API server is ready",
        expected: "every part of /readyz is ok",
        proves: "the API, its connection to etcd and its informers work",
        causes: "etcd is slow or down, or a certificate has expired; the part that is not ok says it",
        fix: "`kubewright run control_plane -- crictl logs …` or the logs in /var/log/pods/kube-system_kube-apiserver*",
    },
    Check {
        id: "kubernetes-api-latency",
        group: Kubernetes,
        severity: Minor,
        tag: None,
        probes: false,
        eval: latency,
        title: "The API answers quickly",
        expected: "small reads: half of them within 250 ms, all of 20 within 1 s",
        proves: "controllers and people do not wait",
        causes: "a slow disk under etcd, too little CPU, a webhook that times out",
        fix: "look at etcd's fsync times first, then at the CPU of the control plane",
    },
    Check {
        id: "kubernetes-version",
        group: Kubernetes,
        severity: Major,
        tag: None,
        probes: false,
        eval: version,
        title: "The API server has the wanted version",
        expected: "the version of the spec",
        proves: "the spec and the cluster agree",
        causes: "an upgrade that was not finished, or the spec was changed and not applied",
        fix: "finish it with `kubeadm upgrade`, or set kubernetes.version to what runs",
    },
    Check {
        id: "kubernetes-components",
        group: Kubernetes,
        severity: Major,
        tag: None,
        probes: false,
        eval: components,
        title: "Control plane and kube-proxy have the wanted version",
        expected: "the spec's version of kube-apiserver, kube-controller-manager, kube-scheduler and kube-proxy",
        proves: "no half of an upgrade is missing",
        causes: "an upgrade that was not finished, or an image that was changed by hand",
        fix: "finish it with `kubeadm upgrade`, or set kubernetes.version to what runs",
    },
    Check {
        id: "kubernetes-node-ready",
        group: Kubernetes,
        severity: Critical,
        tag: None,
        probes: false,
        eval: ready,
        title: "Every machine is a Ready node",
        expected: "registered and Ready",
        proves: "kubelet reports, the container runtime and the CNI are up",
        causes: "kubelet does not run, the CNI is missing on the node, or the node cannot reach the API",
        fix: "look at the node's kubelet: `kubewright ssh NODE`, `journalctl -u kubelet -n 50`",
    },
    Check {
        id: "kubernetes-node-version",
        group: Kubernetes,
        severity: Major,
        tag: None,
        probes: false,
        eval: node_version,
        title: "Every kubelet has the wanted version",
        expected: "the version of the spec (at most three minor versions older than the API server is supported)",
        proves: "the version skew policy holds",
        causes: "an upgrade that was not finished, or a package that was upgraded by hand",
        fix: "finish it with `kubeadm upgrade`, or set kubernetes.version to what runs",
    },
    Check {
        id: "kubernetes-node-conditions",
        group: Kubernetes,
        severity: Major,
        tag: None,
        probes: false,
        eval: conditions,
        title: "No node is under pressure",
        expected: "no memory, disk, PID or network condition is true",
        proves: "no pod is about to be evicted",
        causes: "the condition's message says it",
        fix: "free what is short on that node",
    },
    Check {
        id: "kubernetes-node-taints",
        group: Kubernetes,
        severity: Major,
        tag: None,
        probes: false,
        eval: taints,
        title: "Nodes accept pods as the spec says",
        expected: "not cordoned, and no taints but the spec's and the control plane's own",
        proves: "the capacity that was bought can be used",
        causes: "a drain that was not finished, or pressure that taints the node",
        fix: "`kubectl uncordon NODE`; for a pressure taint mend the pressure",
    },
    Check {
        id: "kubernetes-node-unknown",
        group: Kubernetes,
        severity: Minor,
        tag: None,
        probes: false,
        eval: unknown_nodes,
        title: "Every node has a machine",
        expected: "no node without a machine of this cluster",
        proves: "nothing is left over from a machine that is gone",
        causes: "a machine was deleted without removing its node",
        fix: "`kubewright kubectl -- delete node NODE`",
    },
    Check {
        id: "kubernetes-pod-cidrs",
        group: Kubernetes,
        severity: Critical,
        tag: None,
        probes: false,
        eval: pod_cidrs,
        title: "Pod ranges are distinct, inside the spec's range, and Flannel's own",
        expected: "one range per node within network.pods, the same in /run/flannel/subnet.env",
        proves: "two nodes do not give out the same pod address",
        causes: "a node was recreated while Flannel kept its old lease, or podSubnet was not given to kubeadm",
        fix: "restart the node's kube-flannel pod; if ranges overlap, replace the node",
    },
    Check {
        id: "kubernetes-leases",
        group: Kubernetes,
        severity: Critical,
        tag: None,
        probes: false,
        eval: leases,
        title: "Scheduler, controller manager and kubelets renew their leases",
        expected: "renewed within the last 40 s (components) or 60 s (nodes)",
        proves: "they work now, and not just at some time in the past",
        causes: "a static pod that crashes, or a clock that is off",
        fix: "look at the component's pod in kube-system and its log",
    },
];

fn api(ctx: &Ctx<'_>) -> Findings {
    let answer = match &ctx.cluster.readyz {
        Ok(text) => Finding::of(text.contains("readyz check passed"), "cluster", "ready").evidence("/readyz?verbose", text),
        Err(why) => Finding::bad("cluster", why),
    };
    Some(vec![answer])
}

fn latency(ctx: &Ctx<'_>) -> Findings {
    ctx.asked(&ctx.cluster.latencies, |times| {
        let (half, most) = (times.get(times.len() / 2).copied(), times.last().copied());
        match (half, most) {
            (Some(half), Some(most)) => {
                vec![Finding::of(half <= 250.0 && most <= 1000.0, "cluster", format!("p50 {half:.0} ms, p99 {most:.0} ms"))]
            }
            _ => Vec::new(),
        }
    })
}

fn version(ctx: &Ctx<'_>) -> Findings {
    let wanted = format!("v{}", ctx.spec.kubernetes.version);
    ctx.asked(&ctx.cluster.version, |v| vec![Finding::of(*v == wanted, "cluster", v.as_str()).expected(&wanted)])
}

/// By the tags of the images that run (static pods) or will run (kube-proxy's DaemonSet).
fn components(ctx: &Ctx<'_>) -> Findings {
    let wanted = format!("v{}", ctx.spec.kubernetes.version);
    let tag = |image: &str| image.rsplit_once(':').map_or("no tag", |(_, tag)| tag).to_owned();
    ctx.asked(&ctx.cluster.pods, |pods| {
        let mut all: Vec<(String, String)> = Vec::new();
        for part in ["kube-apiserver", "kube-controller-manager", "kube-scheduler"] {
            let of = |p: &&Pod| p.metadata.labels.iter().flatten().any(|(k, v)| k == "component" && v == part);
            for pod in pods.iter().filter(of) {
                let container = pod.spec.as_ref().and_then(|s| s.containers.first());
                let image = container.and_then(|c| c.image.as_deref()).unwrap_or_default();
                all.push((format!("kube-system/{}", pod.metadata.name.as_deref().unwrap_or_default()), tag(image)));
            }
        }
        if all.is_empty() {
            return vec![Finding::unseen("cluster", "no static pod was seen")];
        }
        for set in ctx.cluster.daemon_sets.iter().flatten().filter(|s| s.metadata.name.as_deref() == Some("kube-proxy")) {
            let container = set.spec.as_ref().and_then(|s| s.template.spec.as_ref()?.containers.first());
            all.push(("kube-system/kube-proxy".to_owned(), tag(container.and_then(|c| c.image.as_deref()).unwrap_or_default())));
        }
        let wrong = all.iter().filter(|(_, version)| *version != wanted);
        let bad = wrong.map(|(subject, version)| Finding::bad(subject, version).expected(&wanted)).collect();
        all_or(bad, || Finding::good("cluster", format!("{} at {wanted}", all.len())))
    })
}

fn name(node: &Node) -> &str {
    node.metadata.name.as_deref().unwrap_or_default()
}

/// One finding per machine that has a node.
fn each_node(ctx: &Ctx<'_>, check: impl Fn(&Node) -> Finding) -> Findings {
    ctx.asked(&ctx.cluster.nodes, |nodes| {
        let known = ctx.hosts.iter().map(|h| (h, nodes.iter().find(|n| name(n) == h.name)));
        known.map(|(h, node)| node.map_or_else(|| Finding::unseen(&h.name, "it is not a node"), &check)).collect()
    })
}

fn ready(ctx: &Ctx<'_>) -> Findings {
    ctx.asked(&ctx.cluster.nodes, |nodes| {
        let look = |host: &super::HostView| match nodes.iter().find(|n| name(n) == host.name) {
            None => Finding::bad(&host.name, "not registered")
                .cause("it never joined, or its node object was deleted")
                .fix("`kubewright bootstrap` joins what is missing"),
            Some(node) if is_ready(node) => Finding::good(&host.name, "Ready"),
            Some(node) => {
                let all = node.status.iter().flat_map(|s| s.conditions.iter().flatten());
                let why = all.into_iter().find(|c| c.type_ == "Ready");
                let message = why.and_then(|c| c.message.clone()).unwrap_or_else(|| "no Ready condition".to_owned());
                Finding::bad(&host.name, format!("not Ready: {message}")).evidence(format!("node/{}", host.name), format!("{why:?}"))
            }
        };
        ctx.hosts.iter().map(look).collect()
    })
}

fn node_version(ctx: &Ctx<'_>) -> Findings {
    let wanted = format!("v{}", ctx.spec.kubernetes.version);
    each_node(ctx, |node| {
        let version = node.status.as_ref().and_then(|s| s.node_info.as_ref()).map(|i| i.kubelet_version.clone()).unwrap_or_default();
        Finding::of(version == wanted, name(node), &version).expected(&wanted)
    })
}

fn conditions(ctx: &Ctx<'_>) -> Findings {
    each_node(ctx, |node| {
        let all = node.status.iter().flat_map(|s| s.conditions.iter().flatten());
        let bad: Vec<String> = all
            .into_iter()
            .filter(|c| c.type_ != "Ready" && c.status == "True")
            .map(|c| format!("{}: {}", c.type_, c.message.clone().unwrap_or_default()))
            .collect();
        Finding::of(bad.is_empty(), name(node), if bad.is_empty() { "none".to_owned() } else { bad.join("; ") })
    })
}

fn taints(ctx: &Ctx<'_>) -> Findings {
    each_node(ctx, |node| {
        let pool = ctx.host(name(node)).map(|h| h.pool.as_str()).unwrap_or_default();
        let wanted = ctx.spec.pools.iter().chain([&ctx.spec.control_plane]).find(|p| p.name == pool).map(|p| &p.taints);
        let spec = node.spec.clone().unwrap_or_default();
        let mut bad: Vec<String> = spec
            .taints
            .unwrap_or_default()
            .into_iter()
            .map(|t| match t.value {
                Some(value) if !value.is_empty() => format!("{}={value}:{}", t.key, t.effect),
                _ => format!("{}:{}", t.key, t.effect),
            })
            .filter(|t| {
                !t.starts_with("node-role.kubernetes.io/control-plane")
                    && !wanted.is_some_and(|w| w.iter().any(|w| w.replace("=:", ":") == *t))
            })
            .collect();
        if spec.unschedulable == Some(true) && bad.is_empty() {
            bad.push("cordoned".to_owned());
        }
        Finding::of(bad.is_empty(), name(node), if bad.is_empty() { "as wanted".to_owned() } else { bad.join(", ") })
    })
}

fn unknown_nodes(ctx: &Ctx<'_>) -> Findings {
    ctx.asked(&ctx.cluster.nodes, |nodes| {
        let extra = nodes.iter().filter(|n| ctx.host(name(n)).is_none());
        let bad = extra.map(|n| Finding::bad(name(n), "no machine of this cluster has this name")).collect();
        all_or(bad, || Finding::good("cluster", format!("{} nodes, all known", nodes.len())))
    })
}

fn pod_cidrs(ctx: &Ctx<'_>) -> Findings {
    let range = ctx.spec.network.pods;
    let mut owners: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for node in ctx.cluster.nodes.iter().flatten() {
        if let Some(cidr) = node.spec.as_ref().and_then(|s| s.pod_cidr.clone()) {
            owners.entry(cidr).or_default().push(name(node).to_owned());
        }
    }
    each_node(ctx, |node| {
        let Some(cidr) = node.spec.as_ref().and_then(|s| s.pod_cidr.clone()) else { return Finding::bad(name(node), "no pod range") };
        let inside = cidr.parse::<Ipv4Net>().is_ok_and(|c| range.contains(&c));
        let others = owners.get(&cidr).map_or(0, Vec::len);
        let seen = ctx.host(name(node)).and_then(|h| h.seen.as_ref().ok());
        let flannel = seen.and_then(|s| s.value("flannel", "FLANNEL_SUBNET")).map(str::to_owned);
        // Flannel writes the bridge's address: 10.244.1.1/24 for 10.244.1.0/24.
        let same = flannel.as_ref().and_then(|f| f.parse::<Ipv4Net>().ok()).map(|f| f.trunc().to_string() == cidr);
        let observed = format!("{cidr}, Flannel {}", flannel.as_deref().unwrap_or("unknown"));
        match same {
            _ if !inside || others > 1 => Finding::bad(name(node), observed),
            None if seen.is_none() => Finding::unseen(name(node), observed),
            same => Finding::of(same == Some(true), name(node), observed),
        }
        .expected(format!("its own part of {range}"))
        .evidence(
            format!("node/{} spec.podCIDR; cat /run/flannel/subnet.env", name(node)),
            seen.and_then(|s| s.section("flannel")).unwrap_or(""),
        )
    })
}

fn leases(ctx: &Ctx<'_>) -> Findings {
    let now = ctx.now.as_second();
    let age = |name: &str| {
        let node = ctx.cluster.nodes.iter().flatten().find(|n| n.metadata.name.as_deref() == Some(name))?;
        node.metadata.creation_timestamp.as_ref().map(|t| now - t.0.as_second())
    };
    ctx.asked(&ctx.cluster.leases, |leases| {
        let components = ["kube-scheduler", "kube-controller-manager"].map(|c| ("kube-system", c.to_owned(), 40));
        let nodes = ctx.hosts.iter().map(|h| ("kube-node-lease", h.name.clone(), 60));
        components
            .into_iter()
            .chain(nodes)
            .map(|(namespace, name, limit)| {
                let same = |l: &&k8s_openapi::api::coordination::v1::Lease| {
                    l.metadata.namespace.as_deref() == Some(namespace) && l.metadata.name.as_deref() == Some(&name)
                };
                let renewed = leases.iter().find(same).and_then(|l| l.spec.as_ref()?.renew_time.as_ref().map(|t| t.0.as_second()));
                match renewed {
                    // kubelet makes it some seconds after it has registered.
                    None if age(&name).is_some_and(|s| s < limit) => Finding::good(&name, "joined less than a minute ago"),
                    None => Finding::bad(&name, "no lease"),
                    Some(at) => Finding::of(now - at <= limit, &name, format!("renewed {} s ago", (now - at).max(0))),
                }
                .evidence(format!("lease/{name} in {namespace}"), "")
            })
            .collect()
    })
}
