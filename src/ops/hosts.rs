//! Machines of a provider → the inventory that the shipped playbooks run on, and the endpoints to reach them at.

use super::survey::Survey;
use crate::{
    cluster::Desired,
    connection::{Endpoint, HostKeys, Identity, PinnedKeys, Retry},
    infra::{Machine, MachineState, Provision},
    inventory::{Group, Host, Inventory, Raw},
    spec::{ClusterSpec, Kubernetes, PackageRepository, Pool, Provider, Registry},
    text::Problems,
    vault::Vault,
};
use indexmap::IndexMap;
use jiff::Timestamp;
use minijinja::Value;
use serde_json::json;
use std::{
    collections::{BTreeMap, HashMap},
    net::Ipv4Addr,
    sync::Arc,
    time::Duration,
};

/// How long all machines of a cluster are waited for.
#[derive(Clone, Copy, Debug)]
pub enum Patience<'a> {
    /// They should be up: one attempt.
    Up,
    /// A run that changes them: some may be new, some may be on their way up again. These were there before it.
    Changing(&'a [Machine]),
}

impl Patience<'_> {
    /// For one machine: how long, and what may pass in that time. Only a young one may refuse its user's key for a while;
    /// from an old one that is an answer.
    fn of(self, machine: &Machine, now: i64) -> (Duration, Retry) {
        let Self::Changing(before) = self else { return (Duration::from_secs(15), Retry::Never) };
        let existed = before.iter().any(|b| b.id == machine.id && b.state == MachineState::Running);
        // Made by this run, or a moment ago by one that was killed.
        let young = !existed || machine.launched.is_some_and(|launched| now - launched < 300);
        match machine.launched {
            _ if young => (Duration::from_mins(4), Retry::Booting),
            Some(_) => (Duration::from_secs(30), Retry::Unreachable),
            // Somebody else's machine may be as new as any.
            None => (Duration::from_secs(30), Retry::Booting),
        }
    }
}

/// The endpoints of all machines, by name.
pub fn endpoints(spec: &ClusterSpec, machines: &[Machine], patience: Patience<'_>) -> BTreeMap<String, Arc<Endpoint>> {
    let mut out = BTreeMap::new();
    for machine in machines {
        endpoint(spec, machines, &machine.name, patience, &mut out);
    }
    out
}

/// The same as plain values, for the engine's connector.
pub fn dialled(spec: &ClusterSpec, provision: &Provision, patience: Patience<'_>) -> HashMap<String, Endpoint> {
    endpoints(spec, &provision.machines, patience).into_iter().map(|(name, endpoint)| (name, endpoint.as_ref().clone())).collect()
}

fn endpoint(
    spec: &ClusterSpec,
    machines: &[Machine],
    name: &str,
    patience: Patience<'_>,
    out: &mut BTreeMap<String, Arc<Endpoint>>,
) -> Option<Arc<Endpoint>> {
    if let Some(known) = out.get(name) {
        return Some(Arc::clone(known));
    }
    let machine = machines.iter().find(|m| m.name == name)?;
    // A jump that leads to itself would be a bug of the provider: it ends in "no such endpoint", not in a loop.
    let via =
        jumps(spec, machines, machine).filter(|j| *j != name).filter_map(|jump| endpoint(spec, machines, jump, patience, out)).collect();
    let identities = match &spec.access.key {
        Some(path) => vec![Identity::KeyFile { path: path.clone(), passphrase: None }],
        None => vec![Identity::Agent],
    };
    let host_keys = if machine.host_keys.is_empty() {
        let home = std::path::PathBuf::from(std::env::var_os("HOME").unwrap_or_default());
        HostKeys::KnownHosts(vec![home.join(".ssh/known_hosts"), "/etc/ssh/ssh_known_hosts".into()])
    } else {
        HostKeys::Pinned(PinnedKeys::new(machine.host_keys.clone()))
    };
    let (deadline, retry) = patience.of(machine, Timestamp::now().as_second());
    let made = Arc::new(Endpoint {
        name: machine.name.clone(),
        address: machine.dial_address.clone().unwrap_or_else(|| machine.private_address.to_string()),
        port: machine.ssh_port,
        user: machine.user.clone(),
        identities,
        host_keys,
        via,
        deadline,
        retry,
    });
    out.insert(name.to_owned(), Arc::clone(&made));
    Some(made)
}

/// Where SSH to a machine jumps through: the provider's choice, then every other control plane that can be dialled, because
/// that one may be dead. With machines of somebody's own, exactly what is written.
fn jumps<'a>(spec: &ClusterSpec, machines: &'a [Machine], machine: &'a Machine) -> impl Iterator<Item = &'a str> {
    let first = machine.jump.as_deref();
    let others = !matches!(spec.provider, Provider::Static(_)) && first.is_some();
    let planes = machines.iter().filter(move |m| others && m.pool == ClusterSpec::CONTROL_PLANE && m.dial_address.is_some());
    first.into_iter().chain(planes.map(|m| m.name.as_str()).filter(move |name| Some(*name) != first))
}

/// The inventory: groups `cluster`, `control_plane`, `lead` (the control plane through which the cluster is worked on),
/// `workers` and `pool_NAME`, and the variables that the playbooks read.
/// `group_vars` and `host_vars` beside cluster.yaml win over what follows from the specification.
pub fn inventory(spec: &ClusterSpec, provision: &Provision, survey: &Survey) -> Result<Inventory, Problems> {
    let mut inventory = Inventory { directory: Some(spec.directory.clone()), ..Inventory::default() };
    let mut groups: IndexMap<String, Group> = IndexMap::new();
    for name in ["all", "ungrouped", "cluster", "control_plane", "lead", "workers"] {
        groups.insert(name.to_owned(), Group { name: name.to_owned(), priority: 1, ..Group::default() });
    }
    let planes = || provision.machines.iter().filter(|m| m.pool == ClusterSpec::CONTROL_PLANE);
    let lead = planes().find(|m| survey.lead.as_ref().is_none_or(|lead| *lead == m.name));
    if let (Some(lead), Some(group)) = (lead, groups.get_mut("lead")) {
        group.hosts.insert(lead.name.clone());
    }
    for machine in &provision.machines {
        let mut vars = host_variables(spec, machine);
        // A control plane is its own way to the API: it needs no balancer that works, and an NLB leads no target to itself.
        let own = lead.is_some_and(|l| l.name == machine.name) || survey.initialised.contains(&machine.name);
        let addresses = if own {
            vec![machine.private_address]
        } else if provision.api_balancer.is_empty() {
            lead.map(|l| l.private_address).into_iter().collect()
        } else {
            provision.api_balancer.clone()
        };
        vars.insert("api_addresses".to_owned(), json!(addresses));
        inventory.hosts.insert(machine.name.clone(), Host { name: machine.name.clone(), vars: raw(vars), source: None });
        let pool_group = format!("pool_{}", machine.pool.replace('-', "_"));
        let role = if machine.pool == "control-plane" { "control_plane" } else { "workers" };
        for group in ["cluster", role, &pool_group] {
            let entry = groups.entry(group.to_owned()).or_insert_with(|| Group { name: group.to_owned(), priority: 1, ..Group::default() });
            entry.hosts.insert(machine.name.clone());
        }
    }
    let below: Vec<String> = groups.keys().filter(|g| *g != "all").cloned().collect();
    if let Some(all) = groups.get_mut("all") {
        all.children.extend(below);
        all.vars = raw(cluster_variables(spec, provision));
    }
    inventory.groups = groups;
    inventory.add_vars_files(&spec.directory, None, &Vault::new())?;
    Ok(inventory)
}

fn raw(vars: IndexMap<String, serde_json::Value>) -> crate::inventory::RawVars {
    vars.into_iter().map(|(name, value)| (name, Raw { value: Value::from(minijinja::value::Serde(value)), span: None })).collect()
}

/// The API's name: the same from the first init on, whatever it points at.
pub fn api_endpoint(spec: &ClusterSpec) -> String {
    format!("api.{}.internal", spec.name)
}

fn cluster_variables(spec: &ClusterSpec, provision: &Provision) -> IndexMap<String, serde_json::Value> {
    let Kubernetes { version, containerd, package_repository, image_registry, api_sans, token_ttl } = &spec.kubernetes;
    let versions = crate::spec::image_versions(version);
    let endpoint = api_endpoint(spec);
    let mut sans = vec![endpoint.clone(), "127.0.0.1".to_owned(), "localhost".to_owned()];
    for machine in provision.machines.iter().filter(|m| m.pool == "control-plane") {
        sans.push(machine.private_address.to_string());
        sans.extend(machine.dial_address.clone());
    }
    sans.extend(provision.api_balancer.iter().map(ToString::to_string));
    sans.extend(api_sans.iter().cloned());
    let mut seen = std::collections::BTreeSet::new();
    sans.retain(|s| seen.insert(s.clone()));
    let minor = version.rsplit_once('.').map_or(version.as_str(), |(minor, _)| minor);
    let official = PackageRepository {
        url: format!("https://pkgs.k8s.io/core:/stable:/v{minor}/deb/"),
        key_url: format!("https://pkgs.k8s.io/core:/stable:/v{minor}/deb/Release.key"),
    };
    let repository = package_repository.as_ref().or(provision.package_repository.as_ref());
    let mut vars: IndexMap<String, serde_json::Value> = IndexMap::new();
    let mut set = |name: &str, value: serde_json::Value| vars.insert(name.to_owned(), value);
    set("cluster_name", json!(spec.name));
    set("kubernetes_version", json!(version));
    set("containerd_major", json!(containerd));
    set("pod_cidr", json!(spec.network.pods));
    set("service_cidr", json!(spec.network.services));
    set("vpc_cidr", json!(spec.network.vpc));
    set("vxlan_port", json!(spec.network.vxlan_port));
    set("api_endpoint", json!(endpoint));
    set("api_balancers", json!(provision.api_balancer));
    set("api_sans", json!(sans));
    set("token_ttl", json!(format!("{}s", token_ttl.as_secs())));
    set("package_repository", json!(repository.unwrap_or(&official)));
    if repository.is_none() && *containerd == 2 {
        set(
            "containerd_repository",
            json!({
                "url": "https://download.docker.com/linux/ubuntu",
                "suite": "noble",
                "components": "stable",
                "key_url": "https://download.docker.com/linux/ubuntu/gpg",
            }),
        );
    }
    set("image_registry", json!(image_registry.as_ref().or(provision.image_registry.as_ref()).cloned().unwrap_or_default()));
    set("dns_servers", json!(spec.dns.servers));
    set("backup", backup(spec));
    set("metrics_server", json!(spec.addons.metrics_server));
    let registry = |r: &Registry| {
        let (username, file) = r.login.as_ref().map(|l| (&l.username, &l.password_file)).unzip();
        json!({"host": r.host, "endpoint": r.endpoint, "username": username, "password_file": file})
    };
    set("registries", json!(spec.registries.iter().map(registry).collect::<Vec<_>>()));
    let aws = if let Provider::Aws(aws) = &spec.provider { Some(aws) } else { None };
    set("cloud_controller", json!(aws.is_some_and(|aws| aws.cloud_controller)));
    set("aws_region", json!(aws.map(|aws| &aws.region)));
    set("pause_image", json!(format!("registry.k8s.io/pause:{}", versions.pause)));
    set("etcd_image", json!(format!("registry.k8s.io/etcd:{}", versions.etcd)));
    set("coredns_image", json!(format!("registry.k8s.io/coredns/coredns:{}", versions.coredns)));
    // cgroup v1 is a fact of a lab's host; kubelet is told to accept it, and kubeadm's check of it is the only one skipped.
    let cgroup_v1 = provision.variables.get("lab_cgroup_v1") == Some(&json!(true));
    set("ignore_preflight_errors", if cgroup_v1 { json!(["SystemVerification"]) } else { json!([]) });
    set(
        "node_identities",
        json!(provision.machines.iter().map(|m| json!({"name": node_name(spec, m), "addresses": [m.private_address]})).collect::<Vec<_>>()),
    );
    for (name, value) in &provision.variables {
        set(name, value.clone());
    }
    vars
}

/// What the snapshots' playbook reads; empty: none are wanted.
fn backup(spec: &ClusterSpec) -> serde_json::Value {
    let Some(backup) = &spec.backup else { return json!({}) };
    let targets = backup.to.iter().chain(&backup.copy_to);
    json!({
        "recipients": backup.recipients,
        "every": backup.every.as_secs(),
        "timeout": backup.timeout.as_secs(),
        "keep": backup.keep,
        "targets": targets.map(|t| json!({"region": t.region, "url": t.url()})).collect::<Vec<_>>(),
        "credentials": backup.credentials,
    })
}

/// What a machine's Node should have.
pub fn desired(spec: &ClusterSpec, machine: &Machine) -> Desired {
    let pool: Option<&Pool> = std::iter::once(&spec.control_plane).chain(&spec.pools).find(|p| p.name == machine.pool);
    let mut labels: IndexMap<String, String> = pool.map(|p| p.labels.clone()).unwrap_or_default();
    labels.insert("kubewright.dev/pool".into(), machine.pool.clone());
    if machine.pool != "control-plane" {
        // kubelets may not give themselves this label; through the API it is what `kubectl get nodes` shows as ROLES.
        labels.insert(format!("node-role.kubernetes.io/{}", machine.pool), String::new());
    }
    // As a cloud controller would set them; the EBS driver reads them, and pods are spread by them
    // (https://kubernetes.io/docs/reference/labels-annotations-taints/).
    if let (Some(zone), Provider::Aws(aws)) = (&machine.zone, &spec.provider) {
        labels.insert("topology.kubernetes.io/zone".into(), zone.clone());
        labels.insert("topology.kubernetes.io/region".into(), aws.region.clone());
        labels.insert("node.kubernetes.io/instance-type".into(), machine.instance_type.clone());
    }
    let taints = pool.map(|p| p.taints.clone()).unwrap_or_default();
    Desired { labels, taints, ..Desired::default() }
}

fn host_variables(spec: &ClusterSpec, machine: &Machine) -> IndexMap<String, serde_json::Value> {
    let Desired { labels, taints, .. } = desired(spec, machine);
    let mut vars = IndexMap::new();
    let mut set = |name: &str, value: serde_json::Value| vars.insert(name.to_owned(), value);
    set("ansible_host", json!(machine.dial_address.clone().unwrap_or_else(|| machine.private_address.to_string())));
    set("ansible_port", json!(machine.ssh_port));
    set("ansible_user", json!(machine.user));
    set("private_address", json!(machine.private_address));
    set("pool", json!(machine.pool));
    set("instance_type", json!(machine.instance_type));
    set("node_name", json!(node_name(spec, machine)));
    set("node_labels", json!(labels));
    set("node_taints", json!(taints));
    set("machine_id", json!(machine.id));
    set("provider_id", json!(machine.provider_id.clone().unwrap_or_default()));
    vars
}

/// On EC2 the private DNS name, as the AWS cloud controller needs it; elsewhere the machine's name.
pub fn node_name(spec: &ClusterSpec, machine: &Machine) -> String {
    node_name_at(spec, &machine.name, machine.private_address)
}

/// The same for a machine that is not there yet.
pub fn node_name_at(spec: &ClusterSpec, name: &str, address: Ipv4Addr) -> String {
    match &spec.provider {
        Provider::Aws(aws) => {
            let dashed = address.to_string().replace('.', "-");
            if aws.region == "us-east-1" {
                format!("ip-{dashed}.ec2.internal")
            } else {
                format!("ip-{dashed}.{}.compute.internal", aws.region)
            }
        }
        Provider::Lab(_) | Provider::Static(_) => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_young_machine_may_refuse_its_users_key() {
        let machine = |id: &str, launched: Option<i64>| Machine {
            id: id.into(),
            name: "worker-1".into(),
            pool: "worker".into(),
            instance_type: "t3.small".into(),
            zone: None,
            private_address: Ipv4Addr::LOCALHOST,
            dial_address: None,
            ssh_port: 22,
            user: "ubuntu".into(),
            host_keys: Vec::new(),
            one_time_key: false,
            jump: None,
            state: MachineState::Running,
            provider_id: None,
            launched,
        };
        let now = 1_000_000;
        let before = [machine("old", Some(0))];
        let of = |m: &Machine| Patience::Changing(&before).of(m, now).1;
        assert_eq!(of(&machine("old", Some(0))), Retry::Unreachable);
        assert_eq!(of(&machine("new", Some(0))), Retry::Booting, "made by this run, whatever its clock says");
        assert_eq!(of(&machine("old", Some(now - 20))), Retry::Booting, "made by a run that was killed");
        assert_eq!(of(&machine("old", None)), Retry::Booting);
        let stopped = [Machine { state: MachineState::Stopped, ..machine("old", Some(0)) }];
        assert_eq!(Patience::Changing(&stopped).of(&before[0], now).1, Retry::Booting, "started by this run");
        assert_eq!(Patience::Up.of(&machine("new", Some(now)), now).1, Retry::Never);
    }
}
