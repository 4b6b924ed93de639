//! The pod network's settings: what each node's VXLAN device and kube-proxy say.

use super::{Ctx, Findings, unread};
use crate::verify::{
    finding::Finding,
    host::Seen,
    registry::{Check, Group::Network},
    types::Severity::{Critical, Major},
};
use std::collections::BTreeMap;

pub(in crate::verify) const CHECKS: &[Check] = &[
    Check {
        id: "network-vxlan-port",
        group: Network,
        severity: Critical,
        tag: Some("network"),
        probes: false,
        eval: vxlan_port,
        title: "VXLAN uses the port that the firewall lets through",
        expected: "UDP 4789 in net-conf and on every flannel.1",
        proves: "nodes agree on the port; Linux's default would be 8472",
        causes: "net-conf without a port, or a device that was made before net-conf was changed",
        fix: "apply the Flannel manifest, then `ip link del flannel.1` and restart the node's kube-flannel pod",
    },
    Check {
        id: "network-vxlan-address",
        group: Network,
        severity: Critical,
        tag: None,
        probes: false,
        eval: vxlan_address,
        title: "VXLAN leaves by the node's private address",
        expected: "flannel.1 local = the machine's private address",
        proves: "Flannel chose the right network card",
        causes: "several cards, or a public address as the default route's",
        fix: "give Flannel --iface or --iface-can-reach and restart its pods",
    },
    Check {
        id: "network-vxlan-peers",
        group: Network,
        severity: Critical,
        tag: None,
        probes: false,
        eval: vxlan_peers,
        title: "Every node knows the VXLAN address of every other",
        expected: "an entry with the right MAC for each other node, and a route to its pods",
        proves: "Flannel's leases arrived everywhere",
        causes: "flanneld on this node lost its watch; a stale VtepMAC after a reboot",
        fix: "restart the node's kube-flannel pod",
    },
    Check {
        id: "network-mtu",
        group: Network,
        severity: Major,
        tag: None,
        probes: false,
        eval: mtu,
        title: "MTUs fit together",
        expected: "the same on every network card, 50 bytes less on flannel.1, and no more for pods",
        proves: "encapsulated packets fit without fragments",
        causes: "jumbo frames on some instance types only, or an MTU set by hand",
        fix: "set one MTU on all machines and restart the kube-flannel pods",
    },
    Check {
        id: "network-kube-proxy",
        group: Network,
        severity: Critical,
        tag: None,
        probes: false,
        eval: kube_proxy,
        title: "kube-proxy has written its rules",
        expected: "rules of the configured mode on every node",
        proves: "Services can work on every node",
        causes: "kube-proxy crashes (conntrack limits are read-only in a container), or something flushed the rules",
        fix: "`kubectl -n kube-system logs ds/kube-proxy`; restart its pod on that node",
    },
    Check {
        id: "network-cni",
        group: Network,
        severity: Major,
        tag: None,
        probes: false,
        eval: cni,
        title: "One CNI configuration, Flannel's",
        expected: "10-flannel.conflist is the first file of /etc/cni/net.d",
        proves: "new pods get an address from Flannel",
        causes: "the leftovers of another network plugin or of a container engine",
        fix: "move the other files out of /etc/cni/net.d",
    },
];

fn device<'a>(seen: &'a Seen, name: &str) -> Option<&'a str> {
    let is = |l: &&str| l.split_whitespace().nth(1).is_some_and(|w| w.trim_end_matches(':').split('@').next() == Some(name));
    seen.section("links")?.lines().find(is)
}

fn word_after<'a>(line: &'a str, key: &str) -> Option<&'a str> {
    let mut words = line.split_whitespace();
    words.find(|w| *w == key)?;
    words.next()
}

/// The card that has the machine's private address.
fn card<'a>(seen: &'a Seen, address: &str) -> Option<&'a str> {
    let line = seen.section("addresses")?.lines().find(|l| l.contains(&format!("inet {address}/")))?;
    device(seen, line.split_whitespace().nth(1)?)
}

fn vxlan_port(ctx: &Ctx<'_>) -> Findings {
    let wanted = ctx.spec.network.vxlan_port;
    let mut out = ctx.each_host(|host, seen| {
        if seen.section("links").is_none() {
            return unread(host, "network devices");
        }
        let Some(line) = device(seen, "flannel.1") else { return Finding::bad(&host.name, "there is no flannel.1") };
        let port = word_after(line, "dstport").unwrap_or("?");
        Finding::of(port == wanted.to_string(), &host.name, format!("flannel.1 dstport {port}"))
            .expected(format!("dstport {wanted}"))
            .evidence("ip -d link show flannel.1", line)
    })?;
    out.extend(ctx.asked(&ctx.cluster.config_maps, |maps| {
        let text = maps.get("kube-flannel-cfg").and_then(|m| m.get("net-conf.json")).cloned().unwrap_or_default();
        let value: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
        let port = value["Backend"]["Port"].as_u64();
        let observed = port.map_or_else(|| "net-conf names no port".to_owned(), |p| format!("net-conf says {p}"));
        vec![
            Finding::of(port == Some(u64::from(wanted)), "kube-flannel-cfg", observed)
                .expected(format!("Port {wanted}"))
                .evidence("configmap kube-flannel-cfg", text),
        ]
    })?);
    Some(out)
}

fn vxlan_address(ctx: &Ctx<'_>) -> Findings {
    ctx.each_host(|host, seen| {
        let Some(line) = device(seen, "flannel.1") else { return Finding::bad(&host.name, "there is no flannel.1") };
        let local = word_after(line, "local").unwrap_or("?");
        Finding::of(local == host.address, &host.name, format!("local {local}"))
            .expected(format!("local {}", host.address))
            .evidence("ip -d link show flannel.1", line)
    })
}

fn vxlan_peers(ctx: &Ctx<'_>) -> Findings {
    // What each node published about itself.
    let mut published: BTreeMap<String, (String, String)> = BTreeMap::new();
    for node in ctx.cluster.nodes.iter().flatten() {
        let annotation = node.metadata.annotations.iter().flatten().find(|(k, _)| *k == "flannel.alpha.coreos.com/backend-data");
        let data: serde_json::Value = annotation.and_then(|(_, v)| serde_json::from_str(v).ok()).unwrap_or_default();
        let mac = data["VtepMAC"].as_str().unwrap_or("").to_owned();
        let cidr = node.spec.as_ref().and_then(|s| s.pod_cidr.clone()).unwrap_or_default();
        published.insert(node.metadata.name.clone().unwrap_or_default(), (mac, cidr));
    }
    if let Err(why) = &ctx.cluster.nodes {
        return Some(vec![Finding::unseen("cluster", why)]);
    }
    ctx.each_host(|host, seen| {
        let (Some(fdb), Some(routes)) = (seen.section("fdb"), seen.section("routes")) else { return unread(host, "VXLAN peers") };
        let mut missing = Vec::new();
        for other in ctx.hosts.iter().filter(|o| o.name != host.name) {
            let Some((mac, cidr)) = published.get(&other.name) else { continue };
            let entry = fdb.lines().find(|l| l.starts_with(mac.as_str()) && word_after(l, "dst") == Some(&other.address));
            let route = routes.lines().any(|l| l.starts_with(&format!("{cidr} ")) && l.contains("flannel.1"));
            if entry.is_none() || !route || mac.is_empty() {
                missing.push(format!("{}{}", other.name, if route { " (no or another MAC)" } else { " (no route)" }));
            }
        }
        let observed = if missing.is_empty() {
            format!("{} peers", published.len().saturating_sub(1))
        } else {
            format!("wrong for {}", missing.join(", "))
        };
        Finding::of(missing.is_empty(), &host.name, observed).evidence("bridge fdb show dev flannel.1; ip route", format!("{fdb}{routes}"))
    })
}

fn mtu(ctx: &Ctx<'_>) -> Findings {
    let of = |line: Option<&str>| line.and_then(|l| word_after(l, "mtu")?.parse::<u32>().ok());
    let cards: Vec<u32> = ctx.hosts.iter().filter_map(|h| of(card(h.seen.as_ref().ok()?, &h.address))).collect();
    // What most machines have.
    let common = cards.iter().max_by_key(|mtu| cards.iter().filter(|m| m == mtu).count()).copied().unwrap_or(0);
    ctx.each_host(|host, seen| {
        let (Some(nic), Some(overlay)) = (of(card(seen, &host.address)), of(device(seen, "flannel.1"))) else {
            return Finding::bad(&host.name, "the network card or flannel.1 was not found");
        };
        let pods: u32 = seen.value("flannel", "FLANNEL_MTU").and_then(|m| m.parse().ok()).unwrap_or(overlay);
        Finding::of(
            nic == common && overlay + 50 <= nic && pods <= overlay,
            &host.name,
            format!("card {nic}, flannel.1 {overlay}, pods {pods}"),
        )
        .expected(format!("card {common}, flannel.1 at most {}, pods no more than that", common.saturating_sub(50)))
        .evidence("ip link", seen.section("links").unwrap_or(""))
    })
}

fn kube_proxy(ctx: &Ctx<'_>) -> Findings {
    // Which rules there should be is written in the cluster.
    let mode = ctx.cluster.config_maps.as_ref().map(|maps| {
        let config = maps.get("kube-proxy").and_then(|m| m.get("config.conf")).map_or("", String::as_str);
        config.lines().find_map(|l| l.strip_prefix("mode:")).map(|m| m.trim().trim_matches('"')).unwrap_or_default()
    });
    ctx.each_host(|host, seen| {
        let (Some(nft), Some(iptables)) = (seen.section("proxy-nft"), seen.section("proxy-iptables")) else {
            return unread(host, "kube-proxy's rules");
        };
        let mode = match mode {
            Ok(mode) => mode,
            Err(why) => return Finding::unseen(&host.name, why),
        };
        let nft_rules: u32 = nft.trim().lines().last().and_then(|l| l.trim().parse().ok()).unwrap_or(0);
        let iptables_rules: u32 = iptables.trim().parse().unwrap_or(0);
        let fine = if mode == "nftables" { nft_rules > 20 } else { iptables_rules > 0 };
        let observed = format!(
            "mode {}, {nft_rules} lines of nftables, {iptables_rules} iptables rules",
            if mode.is_empty() { "iptables (default)" } else { mode }
        );
        Finding::of(fine, &host.name, observed).evidence("nft list tables", nft)
    })
}

fn cni(ctx: &Ctx<'_>) -> Findings {
    ctx.each_host(|host, seen| {
        let Some(text) = seen.section("cni") else { return unread(host, "the CNI configuration") };
        let files: Vec<&str> = text.lines().filter(|l| [".conf", ".conflist", ".json"].iter().any(|e| l.ends_with(e))).collect();
        let observed = if files.is_empty() { "no configuration".to_owned() } else { files.join(", ") };
        Finding::of(files.first() == Some(&"10-flannel.conflist"), &host.name, observed).evidence("ls /etc/cni/net.d", text)
    })
}
