//! The lab as a [`Provider`].

use super::{
    artefacts::{Serves, Wanted},
    balancer::{self, Difference},
    cache,
    docker::Engine,
    health, host, image, labels,
    lock::ContainerLock,
    machine::{self, FirstBoot, Recipe},
    mirror, network,
    nft::{self, Drift},
};
use crate::{
    event::Events,
    infra::{
        Action, Change, InfraError, Machine, MachineHealth, MachineState, Provider, Provision, Volumes,
        lock::LockStore,
        operator_key,
        rules::{Group, Rule, rules},
    },
    spec::{ClusterSpec, LabSettings, NodeSpec},
};
use async_trait::async_trait;
use futures::future::{join_all, try_join_all};
use ipnet::Ipv4Net;
use std::net::Ipv4Addr;

/// Containers shaped like EC2 instances.
#[derive(Clone, Debug)]
pub struct Lab {
    pub(super) engine: Engine,
    pub(super) settings: LabSettings,
}

/// What is there.
struct World {
    network: bool,
    machines: Vec<(Machine, String)>,
}

impl World {
    fn firewall(&self, spec: &ClusterSpec) -> nft::Firewall {
        nft::Firewall::new(spec, wanted_rules(spec), self.machines.iter().map(|(m, _)| m))
    }
}

impl Lab {
    /// A lab on the engine that the settings name. Nothing is sent yet.
    pub fn new(settings: &LabSettings) -> Result<Self, InfraError> {
        Ok(Self { engine: Engine::new(settings)?, settings: settings.clone() })
    }

    async fn look(&self, spec: &ClusterSpec) -> Result<World, InfraError> {
        let found = self.engine.containers(&spec.name, labels::ROLE_NODE).await?;
        let jump = jump(spec, &found.iter().filter_map(|c| machine::read(c, None)).collect::<Vec<_>>());
        let order = |m: &Machine| spec.nodes().iter().position(|n| n.name == m.name).unwrap_or(usize::MAX);
        let mut machines: Vec<(Machine, String)> = found
            .iter()
            // Created and never started: a run was killed while it made this one, so files may be missing in it.
            .filter(|c| !machine::is_half_made(c))
            .filter_map(|c| {
                let hash = c.labels.as_ref()?.get(labels::SPEC_HASH)?.clone();
                Some((machine::read(c, jump.as_deref())?, hash))
            })
            .collect();
        let published = join_all(machines.iter().map(|(m, _)| machine::published_keys(&self.engine, &m.id))).await;
        for ((machine, _), keys) in machines.iter_mut().zip(published) {
            machine.host_keys = keys?.unwrap_or_else(|| std::mem::take(&mut machine.host_keys));
        }
        machines.sort_by(|(a, _), (b, _)| (order(a), &a.name).cmp(&(order(b), &b.name)));
        Ok(World { network: network::exists(&self.engine, spec).await?, machines })
    }

    pub(super) async fn provision(&self, spec: &ClusterSpec, machines: Vec<Machine>) -> Result<Provision, InfraError> {
        let host = host::look(&self.engine).await?;
        let mut variables = vec![
            ("lab", serde_json::Value::Bool(true)),
            ("lab_cgroup_v1", serde_json::Value::Bool(host.cgroup_v1)),
            ("restrict_oom_score_adj", serde_json::Value::Bool(!host.sys_resource)),
        ];
        let serves = mirror::find(&self.engine, &spec.name).await?.as_ref().map(mirror::serves);
        let balanced = balancer::find(&self.engine, &spec.name).await?.is_some();
        if serves == Some(Serves::Ours) && spec.kubernetes.containerd == 2 && spec.kubernetes.package_repository.is_none() {
            variables.push(("containerd_repository", containerd_repository()));
        }
        Ok(Provision {
            machines,
            package_repository: (serves == Some(Serves::All)).then(|| mirror::packages(spec)),
            image_registry: serves.map(|_| mirror::registry(spec)),
            api_balancer: if balanced { spec.balancers() } else { Vec::new() },
            variables: variables.into_iter().map(|(k, v)| (k.to_owned(), v)).collect(),
        })
    }

    /// Makes all machines exist and run, or only those of these names, and what is around them.
    async fn ensure(&self, spec: &ClusterSpec, only: Option<&[String]>, events: &Events) -> Result<Provision, InfraError> {
        host::raise_inotify()?;
        let host = host::look(&self.engine).await?;
        let cache = cache::directory()?;
        let world = self.look(spec).await?;
        let firewall = world.firewall(spec);
        if !world.network {
            let title = format!("network {}", spec.network.vpc);
            events.step("lab/network", &title, None, network::ensure(&self.engine, spec)).await?;
        }
        let keys = operator_key::ensure(spec).await?;
        let wanted = Wanted::new(spec, &cache)?;
        let mut nodes = spec.nodes();
        nodes.retain(|node| only.is_none_or(|names| names.contains(&node.name)));
        // Both sides need the image, neither waits for the other: a cold build of packages takes minutes.
        let image = tokio::sync::OnceCell::new();
        let image = || image.get_or_try_init(|| image::node(&self.engine, &self.settings, &cache, events));
        let boot = async {
            let recipe = Recipe {
                spec,
                image: image().await?.clone(),
                host,
                firewall: &firewall,
                keys,
                resolvers: host::resolvers(),
                resolved: self.settings.resolved,
                first_boot: FirstBoot::from_env(),
            };
            try_join_all(nodes.iter().map(|node| self.ensure_machine(&recipe, node, &world, events))).await
        };
        let serve = self.ensure_mirror(spec, &wanted, async || image().await.cloned(), events);
        let balance = async {
            // Its image has the same base, which is made once.
            if balancer::address(spec).is_some() {
                image().await?;
            }
            let control_planes = control_planes(spec, &world);
            balancer::ensure(&self.engine, spec, &self.settings, &cache, &firewall, &control_planes, events).await
        };
        // Joined, not raced: a build that fails leaves whole machines behind, not half-made ones.
        let (booted, served, balanced): (Result<_, InfraError>, Result<(), InfraError>, Result<(), InfraError>) =
            futures::join!(boot, serve, balance);
        booted?;
        served?;
        balanced?;
        // Those that start now load their rules themselves, before anything else.
        self.mend_rules(spec, &world, events).await?;
        self.discover(spec).await
    }

    /// Makes one machine exist and run.
    async fn ensure_machine(&self, recipe: &Recipe<'_>, node: &NodeSpec<'_>, world: &World, events: &Events) -> Result<(), InfraError> {
        let id = format!("lab/machine/{}", node.name);
        let Some((machine, hash)) = world.machines.iter().find(|(m, _)| m.name == node.name) else {
            let title = format!("instance {}", node.pool.instance_type);
            return events.step(&id, &title, Some(&node.name), machine::create(&self.engine, recipe, node)).await;
        };
        let user = &recipe.spec.access.user;
        if *hash != machine::spec_hash(node, user) {
            let details = replace_details(machine, node, user).join(", ");
            events.warn(format!("{}: {details}; the machine is left as it is", node.name));
        }
        if machine.state == MachineState::Stopped {
            events.step(&id, "start instance", Some(&node.name), machine::start(&self.engine, &machine.id)).await?;
        }
        Ok(())
    }

    /// Makes the mirror exist and run.
    pub(super) async fn ensure_mirror(
        &self,
        spec: &ClusterSpec,
        wanted: &Wanted,
        image: impl AsyncFnOnce() -> Result<String, InfraError>,
        events: &Events,
    ) -> Result<(), InfraError> {
        let serves = wanted.ensure(events).await?;
        let running = mirror::find(&self.engine, &spec.name).await?;
        if running.is_some_and(|m| mirror::is_current(&m, serves) && mirror::is_running(&m)) {
            return Ok(());
        }
        let image = image().await?;
        events.step("lab/mirror", "mirror", None, mirror::ensure(&self.engine, spec, &image, wanted, serves)).await
    }

    /// Brings the rules of these running machines to what is wanted: who is in a group changes when machines come and go.
    async fn mend_rules(&self, spec: &ClusterSpec, world: &World, events: &Events) -> Result<(), InfraError> {
        let running: Vec<Machine> = world.machines.iter().map(|(m, _)| m.clone()).collect();
        for (machine, wanted, drift) in self.rule_drift(&world.firewall(spec), &running).await {
            let id = format!("lab/rules/{}", machine.name);
            let names: Vec<&str> = drift.iter().map(|(name, _)| name.as_str()).collect();
            let title = format!("security group rules: {}", names.join(", "));
            events.step(&id, &title, Some(&machine.name), machine::load_rules(&self.engine, &machine.id, &wanted)).await?;
        }
        Ok(())
    }

    /// Drift of each running machine's rules, by machine.
    async fn rule_drift(&self, firewall: &nft::Firewall, machines: &[Machine]) -> Vec<(Machine, String, Vec<(String, Drift)>)> {
        let running = machines.iter().filter(|m| m.state == MachineState::Running);
        let checks = running.map(|machine| async move {
            let wanted = nft::listing(firewall, group(&machine.pool));
            // A machine that stops meanwhile has no rules to mend.
            let found = machine::loaded_rules(&self.engine, &machine.id).await.ok()?;
            Some((machine.clone(), wanted.clone(), nft::drift(&wanted, &found)))
        });
        join_all(checks).await.into_iter().flatten().filter(|(_, _, drift)| !drift.is_empty()).collect()
    }
}

/// The first control plane that is there: where SSH jumps through.
fn jump(spec: &ClusterSpec, machines: &[Machine]) -> Option<String> {
    let running = |name: &str| machines.iter().any(|m| m.name == name && m.state == MachineState::Running);
    let planes = || spec.nodes().into_iter().filter(|n| n.control_plane).map(|n| n.name);
    planes().find(|n| running(n)).or_else(|| planes().next())
}

/// Control planes by name and address: those that are wanted, then others that exist, while they are being replaced.
fn control_planes(spec: &ClusterSpec, world: &World) -> Vec<(String, Ipv4Addr)> {
    let mut all: Vec<(String, Ipv4Addr)> =
        spec.nodes().into_iter().filter(|n| n.control_plane).filter_map(|n| Some((n.name, n.address?))).collect();
    for (machine, _) in world.machines.iter().filter(|(m, _)| m.pool == ClusterSpec::CONTROL_PLANE) {
        if all.iter().all(|(_, address)| *address != machine.private_address) {
            all.push((format!("{}-{}", machine.name, machine.private_address), machine.private_address));
        }
    }
    all
}

fn group(pool: &str) -> Group {
    if pool == ClusterSpec::CONTROL_PLANE { Group::ControlPlane } else { Group::Worker }
}

/// The cluster's rules; with `ssh_from: auto` the operator is this host, seen as the network's router.
pub(super) fn wanted_rules(spec: &ClusterSpec) -> Vec<Rule> {
    let operator = spec.access.ssh_from_auto.then(|| Ipv4Net::from(network::gateway(spec)));
    rules(spec, operator.as_slice())
}

/// containerd 2 for the nodes' Debian, where official sources are used (docs.docker.com/engine/install/debian).
fn containerd_repository() -> serde_json::Value {
    let url = "https://download.docker.com/linux/debian";
    serde_json::json!({"url": url, "suite": image::SUITE, "components": ["stable"], "key_url": format!("{url}/gpg")})
}

fn change(action: Action, kind: &str, name: &str, details: Vec<String>) -> Change {
    Change { action, kind: kind.to_owned(), name: name.to_owned(), details }
}

#[async_trait]
impl Provider for Lab {
    async fn plan(&self, spec: &ClusterSpec) -> Result<Vec<Change>, InfraError> {
        let world = self.look(spec).await?;
        let firewall = world.firewall(spec);
        let mut changes = Vec::new();
        if !world.network {
            network::check_free(&self.engine, spec).await?;
            changes.push(change(Action::Create, "network", &network::name(&spec.name), vec![format!("range: {}", spec.network.vpc)]));
        }
        let wanted = Wanted::new(spec, &cache::directory()?)?;
        let complete = wanted.complete();
        let mirror = mirror::find(&self.engine, &spec.name).await?;
        let current = |m: &bollard::models::ContainerSummary| complete.is_some_and(|c| mirror::is_current(m, c)) && mirror::is_running(m);
        if !mirror.as_ref().is_some_and(current) {
            let action = if mirror.is_some() { Action::Update } else { Action::Create };
            let mut details = vec![format!("address: {}", mirror::address(spec))];
            if complete.is_none() {
                details.push(format!(
                    "packages and images of Kubernetes {} are built first where official ones cannot be reached",
                    spec.kubernetes.version
                ));
            }
            changes.push(change(action, "mirror", "mirror", details));
        }
        if let Some(difference) = balancer::difference(&self.engine, spec, &firewall, &control_planes(spec, &world)).await? {
            let (action, detail) = match difference {
                Difference::Missing => {
                    (Action::Create, format!("address: {}", spec.balancers().iter().map(ToString::to_string).collect::<String>()))
                }
                Difference::Stopped => (Action::Update, "state: stopped → running".to_owned()),
                Difference::Configuration => (Action::Update, "configuration: control planes or security group".to_owned()),
                Difference::Surplus => (Action::Delete, "one control plane needs none".to_owned()),
            };
            changes.push(change(action, "load balancer", "balancer", vec![detail]));
        }
        for node in spec.nodes() {
            match world.machines.iter().find(|(m, _)| m.name == node.name) {
                None => {
                    let mut details = vec![format!("type: {}", node.pool.instance_type)];
                    details.extend(node.address.map(|a| format!("address: {a}")));
                    changes.push(change(Action::Create, "instance", &node.name, details));
                }
                Some((machine, hash)) => {
                    if machine.state == MachineState::Stopped {
                        changes.push(change(Action::Update, "instance", &node.name, vec!["state: stopped → running".to_owned()]));
                    }
                    if *hash != machine::spec_hash(&node, &spec.access.user) {
                        let details = replace_details(machine, &node, &spec.access.user);
                        changes.push(change(Action::Update, "instance", &node.name, details));
                    }
                }
            }
        }
        let machines: Vec<Machine> = world.machines.iter().map(|(m, _)| m.clone()).collect();
        for (machine, _, drift) in self.rule_drift(&firewall, &machines).await {
            for (name, kind) in drift {
                let (action, detail) = match kind {
                    Drift::Missing => (Action::Create, "missing in the instance"),
                    Drift::Changed => (Action::Update, "differs in the instance"),
                    Drift::Foreign => (Action::Delete, "not in the specification"),
                };
                let rule = firewall.rules.iter().find(|r| r.group == group(&machine.pool) && r.name == name);
                let mut details = vec![detail.to_owned()];
                details.extend(rule.map(Rule::summary));
                changes.push(change(
                    action,
                    "security group rule",
                    &format!("{}/{name} on {}", group(&machine.pool).name(), machine.name),
                    details,
                ));
            }
        }
        Ok(changes)
    }

    async fn apply(&self, spec: &ClusterSpec, events: &Events) -> Result<Provision, InfraError> {
        self.ensure(spec, None, events).await
    }

    async fn apply_machines(&self, spec: &ClusterSpec, names: &[String], events: &Events) -> Result<Provision, InfraError> {
        self.ensure(spec, Some(names), events).await
    }

    async fn delete_machine(&self, spec: &ClusterSpec, machine: &Machine, events: &Events) -> Result<(), InfraError> {
        let id = format!("lab/machine/{}", machine.name);
        events.change(&id, "delete instance", Some(&machine.name), self.engine.remove(&machine.id, &machine.name)).await?;
        self.mend_rules(spec, &self.look(spec).await?, events).await
    }

    fn lock(&self, spec: &ClusterSpec) -> Option<Box<dyn LockStore>> {
        Some(Box::new(ContainerLock { engine: self.engine.clone(), cluster: spec.name.clone() }))
    }

    async fn discover(&self, spec: &ClusterSpec) -> Result<Provision, InfraError> {
        let machines = self.look(spec).await?.machines.into_iter().map(|(m, _)| m).collect();
        self.provision(spec, machines).await
    }

    async fn health(&self, spec: &ClusterSpec) -> Result<Vec<MachineHealth>, InfraError> {
        health::look(&self.engine, &spec.name).await
    }

    async fn publish_host_keys(&self, _: &ClusterSpec, machine: &Machine, current: &str, pending: Option<&str>) -> Result<(), InfraError> {
        let keys: Vec<&str> = std::iter::once(current).chain(pending).collect();
        machine::publish_keys(&self.engine, &machine.id, &keys).await
    }

    async fn destroy(&self, spec: &ClusterSpec, _: Volumes, events: &Events) -> Result<Vec<Change>, InfraError> {
        let mut changes = Vec::new();
        let nodes = self.engine.containers(&spec.name, labels::ROLE_NODE).await?;
        let mirrors = self.engine.containers(&spec.name, labels::ROLE_MIRROR).await?;
        let balancers = self.engine.containers(&spec.name, labels::ROLE_BALANCER).await?;
        let beside = mirrors.iter().map(|c| (c, "mirror")).chain(balancers.iter().map(|c| (c, "balancer")));
        let all = nodes.iter().map(|c| (c, "instance")).chain(beside);
        let removals = all.filter_map(|(c, kind)| {
            let name = c.labels.as_ref().and_then(|l| l.get(labels::NODE)).cloned().unwrap_or_else(|| kind.to_owned());
            c.id.clone().map(|id| async move {
                let step = format!("lab/{kind}/{name}");
                events.step(&step, &format!("delete {kind}"), Some(&name), self.engine.remove(&id, &name)).await?;
                Ok::<_, InfraError>(change(Action::Delete, kind, &name, Vec::new()))
            })
        });
        changes.extend(try_join_all(removals).await?);
        if network::remove(&self.engine, &spec.name).await? {
            changes.push(change(Action::Delete, "network", &network::name(&spec.name), Vec::new()));
        }
        if changes.is_empty() {
            // An engine that does not answer must not look like a lab that is gone.
            self.engine.info().await?;
        }
        Ok(changes)
    }
}

fn replace_details(machine: &Machine, node: &NodeSpec<'_>, user: &str) -> Vec<String> {
    let mut details = Vec::new();
    let mut differ = |field: &str, before: &str, after: &str| {
        if before != after {
            details.push(format!("{field}: {before} → {after} (needs a new machine)"));
        }
    };
    differ("type", &machine.instance_type, &node.pool.instance_type);
    differ("address", &machine.private_address.to_string(), &node.address.map(|a| a.to_string()).unwrap_or_default());
    differ("user", &machine.user, user);
    details
}
