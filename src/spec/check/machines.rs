//! Counts, types, addresses and the route that every machine needs.

use super::pools;
use crate::{
    spec::{ClusterSpec, Pool, Provider, addresses::reserved, instance_shape, instance_types, place::Places},
    text::{Problem, Problems, nearest},
};
use std::{collections::HashMap, net::Ipv4Addr};

pub(super) fn check(spec: &ClusterSpec, places: &Places<'_>, problems: &mut Problems) {
    control_planes(spec, places, problems);
    if matches!(spec.provider, Provider::Static(_)) {
        return;
    }
    for (path, pool) in pools(spec) {
        shape(&path, pool, places, problems);
        if !(8..=16384).contains(&pool.volume_gib) {
            let place = places.at(&format!("{path}.volume_gib"));
            problems.push(Problem::at(
                &place,
                format!("{} GiB is not between 8 and 16384, which an image needs and gp3 offers", pool.volume_gib),
            ));
        }
    }
}

fn control_planes(spec: &ClusterSpec, places: &Places<'_>, problems: &mut Problems) {
    let count = spec.control_plane.count;
    let is_static = matches!(spec.provider, Provider::Static(_));
    let place = places.at(if is_static { "hosts" } else { "control_plane.count" });
    if count == 0 {
        let problem = Problem::at(&place, "there is no control plane");
        problems.push(problem.hint(if is_static {
            "one host needs `pool: control-plane`"
        } else {
            "1, or 3 for a cluster that survives the loss of one"
        }));
    } else if count.is_multiple_of(2) {
        let problem = Problem::at(&place, format!("{count} control planes: etcd wants an odd number"));
        problems.push(problem.hint(format!(
            "{count} members survive no more losses than {}: take {} or {}",
            count - 1,
            count - 1,
            count + 1
        )));
    } else if count > 7 {
        problems.push(Problem::at(&place, format!("{count} control planes: etcd wants at most 7 members")).hint("3 or 5 do"));
    }
}

fn shape(path: &str, pool: &Pool, places: &Places<'_>, problems: &mut Problems) {
    let place = places.at(&format!("{path}.type"));
    let Some(shape) = instance_shape(&pool.instance_type) else {
        let problem = Problem::at(&place, format!("unknown instance type `{}`", pool.instance_type));
        let types = instance_types();
        problems.push(match nearest(&pool.instance_type, types.iter().map(String::as_str)) {
            Some(known) => problem.hint(format!("did you mean {known}?")),
            None => problem.hint("known are the families t3, t3a, t4g, m5 to m7, c6 and c7, r5 to r7"),
        });
        return;
    };
    // kubeadm's preflight: ControlPlaneNumCPU, ControlPlaneMem (cmd/kubeadm/app/constants).
    if path == "control_plane" && (shape.vcpus < 2 || shape.memory_mib < 1700) {
        let problem = Problem::at(&place, format!("{} has {} vCPU and {} MiB", pool.instance_type, shape.vcpus, shape.memory_mib));
        problems.push(problem.hint("kubeadm wants 2 CPUs and 1700 MiB for a control plane: t3.small or larger"));
    } else if shape.memory_mib < 1024 {
        let problem = Problem::at(&place, format!("{} has {} MiB", pool.instance_type, shape.memory_mib));
        problems.push(problem.hint("kubelet, containerd and Flannel need 1024 MiB: t3.micro or larger"));
    }
}

/// Subnets and addresses, once all ranges are known to make sense.
pub(in crate::spec) fn addresses(spec: &ClusterSpec, places: &Places<'_>, problems: &mut Problems) {
    let mut owner: HashMap<Ipv4Addr, String> = HashMap::new();
    if let Provider::Static(hosts) = &spec.provider {
        for (i, host) in hosts.iter().enumerate() {
            let field = if host.private_address.is_some() { "private_address" } else { "address" };
            let place = places.at(&format!("hosts.{i}.{field}"));
            let Some(address) = host.private_address.or_else(|| host.address.parse().ok()) else { continue };
            for (name, range) in [("pods", spec.network.pods), ("services", spec.network.services)] {
                if range.contains(&address) {
                    problems.push(
                        Problem::at(&place, format!("{address} lies in the {name}' range {range}"))
                            .hint(format!("set network.{name} to a free range")),
                    );
                }
            }
            if let Some(other) = owner.insert(address, host.name.clone()) {
                problems.push(Problem::at(&place, format!("{address} belongs to {other} already")));
            }
        }
        return;
    }
    owner.extend(spec.balancers().into_iter().map(|address| (address, "the API's load balancer".to_owned())));
    for (path, pool) in pools(spec) {
        routes(spec, &path, pool, places, problems);
        for (i, address) in pool.addresses.iter().enumerate() {
            let place = places.at(&format!("{path}.addresses.{i}"));
            one(pool, *address, &place, problems);
            if let Some(other) = owner.insert(*address, format!("{}-{}", pool.name, i + 1)) {
                problems.push(Problem::at(&place, format!("{address} belongs to {other} already")));
            }
        }
        if pool.addresses.len() > pool.count as usize {
            let place = places.at(&format!("{path}.addresses.{}", pool.count));
            let problem = Problem::at(&place, format!("{} addresses for {} machines", pool.addresses.len(), pool.count));
            problems.push(problem.hint(format!("set count to {}, or remove addresses", pool.addresses.len())));
        } else if pool.addresses.len() < pool.count as usize && !pool.subnets.is_empty() {
            let place = places.at(&format!("{path}.count"));
            problems
                .push(Problem::at(&place, format!("the subnets of `{}` have room for {} machines only", pool.name, pool.addresses.len())));
        }
    }
}

fn one(pool: &Pool, address: Ipv4Addr, place: &crate::text::Span, problems: &mut Problems) {
    match pool.subnets.iter().find(|s| s.contains(&address)) {
        None if pool.subnets.is_empty() => {}
        None => {
            let subnets: Vec<_> = pool.subnets.iter().map(ToString::to_string).collect();
            problems.push(Problem::at(place, format!("{address} lies outside the subnets of `{}`: {}", pool.name, subnets.join(", "))));
        }
        Some(subnet) if reserved(*subnet, address) => {
            let problem = Problem::at(place, format!("{address} is reserved in {subnet}"));
            problems.push(problem.hint("EC2 keeps the first four addresses of a subnet and the last"));
        }
        Some(_) => {}
    }
}

fn routes(spec: &ClusterSpec, path: &str, pool: &Pool, places: &Places<'_>, problems: &mut Problems) {
    if pool.subnets.is_empty() && pool.count > 0 {
        problems.push(Problem::at(&places.at(&format!("{path}.subnets")), format!("`{}` has no subnet", pool.name)));
    }
    for (i, subnet) in pool.subnets.iter().enumerate() {
        if spec.network.subnets().any(|s| s == *subnet) {
            continue;
        }
        let place = places.at(&format!("{path}.subnets.{i}"));
        let problem = Problem::at(
            &place,
            format!("machines of `{}` in {subnet} would have no route: it is neither the public subnet nor a private one", pool.name),
        );
        problems.push(problem.hint(format!("add {subnet} to network.private_subnets")));
    }
}
