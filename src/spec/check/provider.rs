//! What a provider wants of its own settings.

use crate::{
    spec::{AwsSettings, ClusterSpec, Provider, StaticHost, place::Places},
    text::{Problem, Problems, nearest},
};
use std::collections::HashSet;

pub(super) fn check(spec: &ClusterSpec, places: &Places<'_>, problems: &mut Problems) {
    match &spec.provider {
        Provider::Lab(_) => {}
        Provider::Aws(aws) => check_aws(aws, places, problems),
        Provider::Static(hosts) => check_hosts(spec, hosts, places, problems),
    }
    api_address(spec, places, problems);
    if spec.access.ssh_from.is_empty() && !spec.access.ssh_from_auto && !matches!(spec.provider, Provider::Static(_)) {
        let problem = Problem::at(&places.at("access.ssh_from"), "nobody may use SSH, kubewright itself neither");
        problems.push(problem.hint("`ssh_from: auto` allows the address you work from"));
    }
}

/// Who makes the machines makes the balancer before the API too; several machines that exist already need one that exists.
fn api_address(spec: &ClusterSpec, places: &Places<'_>, problems: &mut Problems) {
    let is_static = matches!(spec.provider, Provider::Static(_));
    match spec.access.api_address {
        Some(_) if !is_static => {
            let problem = Problem::at(&places.at("access.api_address"), "this provider makes the API's load balancer itself");
            problems.push(problem.hint("remove `api_address`; it belongs to provider `static`"));
        }
        Some(address) if spec.nodes().iter().any(|n| !n.control_plane && n.address == Some(address)) => {
            problems.push(Problem::at(&places.at("access.api_address"), format!("{address} is the address of a worker")));
        }
        None if is_static && spec.control_plane.count > 1 => {
            let problem = Problem::at(&places.at("hosts"), "several control planes need one address that leads to all of them");
            problems.push(problem.hint("set access.api_address to a load balancer (TCP 6443, health check /readyz) or a virtual address"));
        }
        _ => {}
    }
}

fn check_aws(aws: &AwsSettings, places: &Places<'_>, problems: &mut Problems) {
    let region = aws.region.as_str();
    let parts: Vec<_> = region.split('-').collect();
    let number = parts.last().is_some_and(|n| n.len() == 1 && n.bytes().all(|b| b.is_ascii_digit()));
    if parts.len() < 3 || !number || !region.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-') {
        problems.push(Problem::at(&places.at("aws.region"), format!("`{region}` is not a region")).hint("write it like eu-central-1"));
    }
    let mut seen = HashSet::new();
    for (i, zone) in aws.zones.iter().enumerate() {
        let place = places.at(&format!("aws.zones.{i}"));
        if !zone.starts_with(region) || zone.len() <= region.len() {
            problems.push(Problem::at(&place, format!("zone `{zone}` is not in region {region}")).hint(format!("write it like {region}a")));
        } else if !seen.insert(zone) {
            problems.push(Problem::at(&place, format!("zone `{zone}` stands here twice")));
        }
    }
    let existing = &aws.existing;
    if aws.cloud_controller && existing.control_plane_instance_profile.is_none() && existing.instance_profile.is_none() {
        let problem = Problem::at(&places.at("aws.cloud_controller"), "the cloud controller and the EBS driver need an instance profile");
        problems.push(
            problem.hint("name one in aws.existing.control_plane_instance_profile, with the policy of docs/iam-control-plane-policy.json"),
        );
    }
    let single = [
        ("aws.ami", "ami-", &aws.ami),
        ("aws.existing.vpc", "vpc-", &existing.vpc),
        ("aws.existing.public_subnet", "subnet-", &existing.public_subnet),
        ("aws.existing.control_plane_security_group", "sg-", &existing.control_plane_security_group),
        ("aws.existing.worker_security_group", "sg-", &existing.worker_security_group),
    ];
    let single = single.into_iter().filter_map(|(path, prefix, id)| Some((path.to_owned(), prefix, id.as_ref()?)));
    let subnets = existing.private_subnets.iter().enumerate().map(|(i, id)| (format!("aws.existing.private_subnets.{i}"), "subnet-", id));
    for (path, prefix, id) in single.chain(subnets) {
        if !id.starts_with(prefix) {
            problems.push(Problem::at(&places.at(&path), format!("`{id}` is no id of this kind")).hint(format!("it begins with {prefix}")));
        }
    }
    if existing.vpc.is_none() && (existing.public_subnet.is_some() || !existing.private_subnets.is_empty()) {
        let problem = Problem::at(&places.at("aws.existing"), "existing subnets lie in an existing VPC, and none is named");
        problems.push(problem.hint("set aws.existing.vpc"));
    }
}

fn check_hosts(spec: &ClusterSpec, hosts: &[StaticHost], places: &Places<'_>, problems: &mut Problems) {
    let names: Vec<_> = hosts.iter().map(|h| h.name.as_str()).collect();
    for (i, host) in hosts.iter().enumerate() {
        let at = |field: &str| places.at(&format!("hosts.{i}.{field}"));
        if !crate::spec::scalars::is_dns_name(&host.name) {
            problems.push(Problem::at(&at("name"), format!("`{}` is not a node's name", host.name)).hint("a lower-case DNS name"));
        }
        if host.port == 0 {
            problems.push(Problem::at(&at("port"), "0 is not a port"));
        }
        if spec.all_pools().all(|p| p.name != host.pool) {
            let problem = Problem::at(&at("pool"), format!("there is no pool `{}`", host.pool));
            problems.push(match nearest(&host.pool, spec.all_pools().map(|p| p.name.as_str())) {
                Some(known) => problem.hint(format!("did you mean `{known}`?")),
                None => problem,
            });
        }
        if let Some(jump) = &host.jump {
            if !names.contains(&jump.as_str()) {
                let problem = Problem::at(&at("jump"), format!("there is no host `{jump}` to jump through"));
                problems.push(match nearest(jump, names.iter().copied()) {
                    Some(known) => problem.hint(format!("did you mean `{known}`?")),
                    None => problem,
                });
            } else if circular(hosts, host) {
                problems.push(Problem::at(&at("jump"), format!("the jumps from `{}` lead back to it", host.name)));
            }
        }
        if let Some(key) = host.host_key.as_deref().filter(|k| k.split_whitespace().count() < 2) {
            let problem = Problem::at(&at("host_key"), format!("`{key}` is not a public key"));
            problems.push(problem.hint("one line as in /etc/ssh/ssh_host_ed25519_key.pub: ssh-ed25519 AAAA…"));
        }
    }
}

fn circular(hosts: &[StaticHost], start: &StaticHost) -> bool {
    let mut at = start;
    for _ in 0..hosts.len() {
        let next = at.jump.as_ref().and_then(|jump| hosts.iter().find(|h| h.name == *jump));
        match next {
            Some(next) if next.name == start.name => return true,
            Some(next) => at = next,
            None => return false,
        }
    }
    false
}
