//! Ranges: inside one another where they must be, apart where they must be.

use crate::{
    spec::{ClusterSpec, Provider, place::Places},
    text::{Problem, Problems},
};
use ipnet::Ipv4Net;

pub(in crate::spec) fn network(spec: &ClusterSpec, places: &Places<'_>, problems: &mut Problems) {
    let net = &spec.network;
    let at = |path: &str| places.at(&format!("network.{path}"));
    // Machines that exist already have the addresses they have; the default range says nothing about them.
    let has_vpc = !matches!(spec.provider, Provider::Static(_)) || places.has("network.vpc");
    let mut ranges = vec![("pods", net.pods), ("services", net.services)];
    if has_vpc {
        ranges.push(("vpc", net.vpc));
    }
    for (i, (name, range)) in ranges.iter().enumerate() {
        for (other, other_range) in ranges.iter().skip(i + 1) {
            if let Some(problem) = overlap((name, *range), (other, *other_range), places) {
                problems.push(problem);
            }
        }
    }
    if has_vpc {
        subnets(spec, places, problems);
    }
    if !(12..=28).contains(&net.services.prefix_len()) {
        let problem = Problem::at(&at("services"), format!("{} is not between /12 and /28", net.services));
        problems.push(problem.hint("the API server refuses larger service ranges, kubeadm smaller ones"));
    }
    pods(spec, places, problems);
    if net.vxlan_port == 0 {
        problems.push(Problem::at(&at("vxlan_port"), "0 is not a port"));
    }
}

fn overlap(a: (&str, Ipv4Net), b: (&str, Ipv4Net), places: &Places<'_>) -> Option<Problem> {
    let ((a_name, a_range), (b_name, b_range)) = (a, b);
    if !(a_range.contains(&b_range) || b_range.contains(&a_range)) {
        return None;
    }
    // Blame what was written; between two that were, what is not the machines' range.
    let blamed = if places.has(&format!("network.{a_name}")) || !places.has(&format!("network.{b_name}")) { a_name } else { b_name };
    let is = if a_range == b_range { "is" } else { "overlaps" };
    let what = |name: &str| match name {
        "vpc" => "the VPC, the machines' own range",
        "pods" => "the pods' range",
        _ => "the services' range",
    };
    let message = format!("{a_name} {a_range} {is} {} {b_range}", what(b_name));
    let hint = if b_name == "vpc" {
        "a node could not tell a pod or service from a machine; the default is free: pods 10.244.0.0/16, services 10.96.0.0/12"
    } else {
        "kube-proxy could not tell a pod from a service; the defaults are pods 10.244.0.0/16, services 10.96.0.0/12"
    };
    Some(Problem::at(&places.at(&format!("network.{blamed}")), message).hint(hint))
}

fn subnets(spec: &ClusterSpec, places: &Places<'_>, problems: &mut Problems) {
    let net = &spec.network;
    if !(16..=28).contains(&net.vpc.prefix_len()) {
        problems
            .push(Problem::at(&places.at("network.vpc"), format!("{} is not between /16 and /28, which EC2 allows for a VPC", net.vpc)));
    }
    let private = net.private_subnets.iter().enumerate().map(|(i, s)| (format!("network.private_subnets.{i}"), *s));
    let all: Vec<_> = std::iter::once(("network.public_subnet".to_owned(), net.public_subnet)).chain(private).collect();
    for (i, (path, subnet)) in all.iter().enumerate() {
        if !net.vpc.contains(subnet) {
            problems.push(Problem::at(&places.at(path), format!("subnet {subnet} lies outside the VPC {}", net.vpc)));
        } else if subnet.prefix_len() > 28 {
            problems.push(Problem::at(&places.at(path), format!("subnet {subnet} is smaller than /28, the smallest that EC2 allows")));
        }
        if let Some((_, other)) = all.iter().take(i).find(|(_, o)| o.contains(subnet) || subnet.contains(o)) {
            let what = if other == subnet { "stands here twice".to_owned() } else { format!("overlaps subnet {other}") };
            problems.push(Problem::at(&places.at(path), format!("subnet {subnet} {what}")));
        }
    }
}

fn pods(spec: &ClusterSpec, places: &Places<'_>, problems: &mut Problems) {
    let pods = spec.network.pods;
    let nodes: u64 = spec.all_pools().map(|p| u64::from(p.count)).sum();
    let place = places.at(if places.has("network.pods") { "network.pods" } else { "pools" });
    if pods.prefix_len() > 24 || nodes > 1 << (24 - pods.prefix_len()) {
        let room = if pods.prefix_len() > 24 { 0 } else { 1_u64 << (24 - pods.prefix_len()) };
        let problem = Problem::at(&place, format!("{pods} has room for {room} nodes and {nodes} are wanted"));
        let bits = 64 - nodes.max(1).saturating_sub(1).leading_zeros();
        problems.push(problem.hint(format!("each node takes a /24 for its pods: a /{} or larger fits", 24_u32.saturating_sub(bits))));
    } else if pods.prefix_len() < 8 {
        let problem = Problem::at(&place, format!("{pods} is larger than /8"));
        problems.push(problem.hint("kubeadm refuses a pod range more than 16 bits larger than a node's /24"));
    }
}
