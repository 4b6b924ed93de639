//! One instance: a container with an instance type's shape, a fixed address, a host key of its own, user data.

use super::{
    archive::Archive,
    cache,
    docker::{Engine, failed, status},
    host::Host,
    labels, network, nft,
};
use crate::{
    infra::{InfraError, Machine, MachineState, operator_key, rules::Group},
    spec::{ClusterSpec, InstanceShape, NodeSpec, instance_shape},
};
use bollard::{
    models::{
        ContainerCreateBody, ContainerSummary, ContainerSummaryStateEnum, EndpointIpamConfig, EndpointSettings, HostConfig,
        HostConfigCgroupnsModeEnum, NetworkingConfig, PortBinding, RestartPolicy, RestartPolicyNameEnum,
    },
    query_parameters::CreateContainerOptions,
};
use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr},
    time::{Duration, Instant},
};

/// Where the rules are in an instance; its boot loads them from there.
pub(super) const RULES: &str = "etc/kubewright-lab/security-groups.nft";
/// sshd's port, as Docker writes it.
const SSH: &str = "22/tcp";
/// Public host keys, once the first one has been replaced.
const HOST_KEYS: &str = "etc/kubewright-lab/host-keys";
/// How long the SIGRTMIN+3 of a stop may take, in seconds.
const STOP_TIMEOUT: i64 = 10;
/// How long a request of a run that was killed may still be under way at the engine.
const UNDER_WAY: Duration = Duration::from_secs(20);

/// Times of the first boot, in seconds after sshd answers.
#[derive(Clone, Debug)]
pub(super) struct FirstBoot {
    /// Until the operator's key is written.
    pub(super) keys_after: f32,
    /// How long dpkg is locked.
    pub(super) lock_for: f32,
}

impl FirstBoot {
    /// From `KUBEWRIGHT_LAB_FIRST_BOOT=KEYS:LOCK`, else 1 and 2 seconds: enough to meet what EC2 does, little enough to wait for.
    pub(super) fn from_env() -> Self {
        let text = std::env::var("KUBEWRIGHT_LAB_FIRST_BOOT").unwrap_or_default();
        let mut parts = text.split(':').map(|p| p.parse::<f32>().ok().filter(|s| s.is_finite() && *s >= 0.0));
        Self { keys_after: parts.next().flatten().unwrap_or(1.0), lock_for: parts.next().flatten().unwrap_or(2.0) }
    }
}

/// What all machines of a cluster are made from.
pub(super) struct Recipe<'a> {
    pub(super) spec: &'a ClusterSpec,
    pub(super) image: String,
    pub(super) host: Host,
    pub(super) firewall: &'a nft::Firewall,
    pub(super) keys: Vec<String>,
    pub(super) resolvers: Vec<Ipv4Addr>,
    pub(super) resolved: bool,
    pub(super) first_boot: FirstBoot,
}

/// The control planes' weight where CPUs are short; Docker's default is 1024.
const CONTROL_PLANE_SHARES: i64 = 8192;

/// What makes a machine itself.
pub(super) struct Seed {
    /// Its public host key, where it is known before the machine boots.
    pub(super) host_key: Option<String>,
    /// Files for its first boot.
    pub(super) files: Archive,
    /// An address of this host at which its SSH port is published.
    pub(super) public_address: Option<IpAddr>,
}

impl Seed {
    /// A host key of its own and the operator's keys, put into it.
    fn injected(recipe: &Recipe<'_>) -> Result<Self, InfraError> {
        let (host_key, line) = operator_key::new_key().map_err(|e| failed("making a host key", &e))?;
        let files = Archive::new()
            .file("etc/ssh/ssh_host_ed25519_key", 0o600, &host_key)
            .file("etc/ssh/ssh_host_ed25519_key.pub", 0o644, &format!("{line}\n"))
            .file("etc/kubewright-lab/authorized_keys", 0o644, &(recipe.keys.join("\n") + "\n"));
        Ok(Self { host_key: Some(line), files, public_address: None })
    }
}

/// Name of a node's container.
pub(super) fn container(cluster: &str, node: &str) -> String {
    format!("kubewright-{cluster}-{node}")
}

/// What of a machine can only be changed by making it anew.
pub(super) fn spec_hash(node: &NodeSpec<'_>, user: &str) -> String {
    let address = node.address.map(|a| a.to_string()).unwrap_or_default();
    cache::key([node.name.as_str(), &node.pool.name, &node.pool.instance_type, &address, user])
}

fn shape(instance_type: &str) -> Result<InstanceShape, InfraError> {
    instance_shape(instance_type).ok_or_else(|| InfraError::Missing {
        what: format!("CPU and memory of instance type {instance_type} are not known"),
        hint: "use a type of the table in spec/shapes.rs, such as t3.small".to_owned(),
    })
}

/// Whether a run was killed between creating and starting it.
pub(super) fn is_half_made(found: &ContainerSummary) -> bool {
    found.state == Some(ContainerSummaryStateEnum::CREATED)
}

/// Creates and starts a machine; a half-made one of that name is replaced.
pub(super) async fn create(engine: &Engine, recipe: &Recipe<'_>, node: &NodeSpec<'_>) -> Result<(), InfraError> {
    create_with(engine, recipe, node, Seed::injected(recipe)?).await
}

/// As [`create`], from a seed.
pub(super) async fn create_with(engine: &Engine, recipe: &Recipe<'_>, node: &NodeSpec<'_>, seed: Seed) -> Result<(), InfraError> {
    let spec = recipe.spec;
    let name = container(&spec.name, &node.name);
    let shape = shape(&node.pool.instance_type)?;
    let address = node.address.ok_or_else(|| failed(&format!("creating {}", node.name), &"it has no address"))?;
    let mut labels: HashMap<String, String> = spec.tags.iter().map(|(k, v)| (k.clone(), v.clone())).collect();
    labels.extend(seed.host_key.map(|line| (labels::HOST_KEY.to_owned(), line)));
    labels.extend(
        [
            (labels::CLUSTER, spec.name.clone()),
            (labels::ROLE, labels::ROLE_NODE.to_owned()),
            (labels::NODE, node.name.clone()),
            (labels::POOL, node.pool.name.clone()),
            (labels::TYPE, node.pool.instance_type.clone()),
            (labels::ADDRESS, address.to_string()),
            (labels::USER, spec.access.user.clone()),
            (labels::SPEC_HASH, spec_hash(node, &spec.access.user)),
        ]
        .map(|(k, v)| (k.to_owned(), v)),
    );
    let body = ContainerCreateBody {
        image: Some(recipe.image.clone()),
        hostname: Some(node.name.clone()),
        labels: Some(labels),
        exposed_ports: seed.public_address.map(|_| vec![SSH.to_owned()]),
        // The container runtime's overlays cannot lie on the image's overlay.
        volumes: Some(vec!["/var".to_owned()]),
        stop_timeout: Some(STOP_TIMEOUT),
        host_config: Some(host_config(shape, node.control_plane, recipe.host, seed.public_address)),
        networking_config: Some(NetworkingConfig {
            endpoints_config: Some(HashMap::from([(
                network::name(&spec.name),
                EndpointSettings {
                    ipam_config: Some(EndpointIpamConfig { ipv4_address: Some(address.to_string()), ..Default::default() }),
                    ..Default::default()
                },
            )])),
        }),
        ..Default::default()
    };
    let options = CreateContainerOptions { name: Some(name.clone()), ..Default::default() };
    let begun = Instant::now();
    let made = loop {
        let made = engine.api.create_container(Some(options.clone()), body.clone()).await;
        if !made.as_ref().is_err_and(|e| status(e) == Some(409)) || begun.elapsed() > UNDER_WAY {
            break made;
        }
        let all = engine.containers(&spec.name, labels::ROLE_NODE).await?;
        let named = |c: &&ContainerSummary| c.labels.as_ref().and_then(|l| l.get(labels::NODE)) == Some(&node.name);
        match all.iter().find(named) {
            Some(found) if is_half_made(found) => engine.remove(found.id.as_deref().unwrap_or(&name), &name).await?,
            // A killed run's last request started it meanwhile; its files were written before.
            Some(_) => return start(engine, &name).await,
            // The engine takes the name before it lists the container.
            None => tokio::time::sleep(Duration::from_millis(200)).await,
        }
    };
    match made {
        Ok(made) => {
            let group = if node.control_plane { Group::ControlPlane } else { Group::Worker };
            let archive = seed
                .files
                .file("etc/kubewright-lab/user-data", 0o644, &user_data(recipe, node, address))
                .file("etc/kubewright-lab/meminfo", 0o444, &meminfo(shape))
                .file(RULES, 0o600, &nft::file(&nft::listing(recipe.firewall, group)));
            // A machine without its host key must not be found by the next run.
            if let Err(e) = engine.upload(&made.id, archive.finish()).await {
                let _ = engine.remove(&made.id, &name).await;
                return Err(e);
            }
        }
        Err(e) => return Err(failed(&format!("creating container {name}"), &e)),
    }
    start(engine, &name).await
}

/// Starts a machine that is stopped.
pub(super) async fn start(engine: &Engine, name: &str) -> Result<(), InfraError> {
    match engine.api.start_container(name, None).await {
        Err(e) if status(&e) != Some(304) => Err(failed(&format!("starting container {name}"), &e)),
        _ => Ok(()),
    }
}

fn host_config(shape: InstanceShape, control_plane: bool, host: Host, public_address: Option<IpAddr>) -> HostConfig {
    let published = |ip: IpAddr| vec![PortBinding { host_ip: Some(ip.to_string()), host_port: Some("22".to_owned()) }];
    let memory = i64::try_from(shape.memory_mib << 20).unwrap_or(i64::MAX);
    HostConfig {
        // Instances have CPUs of their own; here all share the host's. Everything waits for the control plane: it goes first.
        cpu_shares: control_plane.then_some(CONTROL_PLANE_SHARES),
        nano_cpus: Some(i64::from(shape.vcpus) * 1_000_000_000),
        memory: Some(memory),
        // The same as memory: no swap.
        memory_swap: Some(memory),
        cap_add: Some(vec!["ALL".to_owned()]),
        // Time is in no namespace: who may set it in a node sets the host's. (systemd-timedated does, by an hour, the first time
        // that a time zone is set.)
        cap_drop: Some(["SYS_TIME"].into_iter().chain((!host.sys_resource).then_some("SYS_RESOURCE")).map(str::to_owned).collect()),
        security_opt: Some(["seccomp=unconfined", "apparmor=unconfined"].map(str::to_owned).to_vec()),
        // What the command line makes of systempaths=unconfined: nothing under /proc is hidden or read-only.
        masked_paths: Some(Vec::new()),
        readonly_paths: Some(Vec::new()),
        device_cgroup_rules: Some(vec!["a *:* rwm".to_owned()]),
        cgroupns_mode: Some(HostConfigCgroupnsModeEnum::PRIVATE),
        tmpfs: Some(HashMap::from([("/run".to_owned(), "exec,mode=755".to_owned()), ("/tmp".to_owned(), "exec,mode=1777".to_owned())])),
        port_bindings: public_address.map(|ip| HashMap::from([(SSH.to_owned(), Some(published(ip)))])),
        // So that `reboot` inside is a reboot.
        restart_policy: Some(RestartPolicy { name: Some(RestartPolicyNameEnum::UNLESS_STOPPED), maximum_retry_count: None }),
        ..Default::default()
    }
}

/// Shell variables for the boot scripts.
fn user_data(recipe: &Recipe<'_>, node: &NodeSpec<'_>, address: Ipv4Addr) -> String {
    let resolvers = recipe.resolvers.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    format!(
        "NODE='{}'\nADDRESS={address}\nLOGIN='{}'\nRESOLVERS='{resolvers}'\nRESOLVED={}\nKEYS_AFTER={}\nLOCK_FOR={}\n",
        node.name,
        recipe.spec.access.user,
        u8::from(recipe.resolved),
        recipe.first_boot.keys_after,
        recipe.first_boot.lock_for
    )
}

/// /proc/meminfo of an idle machine of that size: kubelet takes its capacity from MemTotal. What is in use comes from the
/// control group, not from here.
fn meminfo(shape: InstanceShape) -> String {
    let total = shape.memory_mib * 1024;
    let available = total / 100 * 92;
    let line = |name: &str, kib: u64| format!("{:<15} {kib:>8} kB\n", format!("{name}:"));
    [
        ("MemTotal", total),
        ("MemFree", total / 100 * 85),
        ("MemAvailable", available),
        ("Buffers", 0),
        ("Cached", total / 100 * 7),
        ("SwapCached", 0),
        ("Active", total / 100 * 5),
        ("Inactive", total / 100 * 4),
        ("SwapTotal", 0),
        ("SwapFree", 0),
        ("Dirty", 0),
        ("Slab", total / 100),
        ("HugePages_Total", 0),
    ]
    .map(|(name, kib)| line(name, kib))
    .concat()
}

/// Writes the rules of a machine's group and loads them.
pub(super) async fn load_rules(engine: &Engine, id: &str, listing: &str) -> Result<(), InfraError> {
    engine.write_file(id, &format!("/{RULES}"), "0600", &nft::file(listing)).await?;
    let said = engine.exec(id, &["nft", "-f", &format!("/{RULES}")]).await?;
    if said.rc == 0 { Ok(()) } else { Err(failed("loading security groups", &said.stderr.trim())) }
}

/// The rules that a machine has loaded, as `nft` lists them; empty: none.
pub(super) async fn loaded_rules(engine: &Engine, id: &str) -> Result<String, InfraError> {
    let mut command = vec!["nft", "--stateless", "list", "table"];
    command.extend(nft::TABLE.split(' '));
    Ok(engine.exec(id, &command).await?.stdout)
}

/// The public host keys that were published after the machine was made, in a file that only Docker's API shows to others.
pub(super) async fn published_keys(engine: &Engine, id: &str) -> Result<Option<Vec<String>>, InfraError> {
    let file = engine.read_file(id, &format!("/{HOST_KEYS}")).await?;
    Ok(file.map(|text| String::from_utf8_lossy(&text).lines().map(str::to_owned).collect()))
}

/// Publishes them, all or none.
pub(super) async fn publish_keys(engine: &Engine, id: &str, keys: &[&str]) -> Result<(), InfraError> {
    engine.write_file(id, &format!("/{HOST_KEYS}"), "0644", &(keys.join("\n") + "\n")).await
}

/// A machine from its container's labels; `None` where they are not ours.
pub(super) fn read(found: &ContainerSummary, jump: Option<&str>) -> Option<Machine> {
    let labels = found.labels.as_ref()?;
    let label = |key: &str| labels.get(key).cloned();
    let (name, pool) = (label(labels::NODE)?, label(labels::POOL)?);
    let private_address: Ipv4Addr = label(labels::ADDRESS)?.parse().ok()?;
    let control_plane = pool == ClusterSpec::CONTROL_PLANE;
    Some(Machine {
        id: found.id.clone()?,
        instance_type: label(labels::TYPE)?,
        zone: None,
        private_address,
        dial_address: control_plane.then(|| private_address.to_string()),
        ssh_port: 22,
        user: label(labels::USER)?,
        host_keys: label(labels::HOST_KEY).into_iter().collect(),
        one_time_key: false,
        jump: if control_plane { None } else { jump.map(str::to_owned) },
        state: match found.state {
            Some(ContainerSummaryStateEnum::RUNNING) => MachineState::Running,
            Some(ContainerSummaryStateEnum::RESTARTING) => MachineState::Pending,
            _ => MachineState::Stopped,
        },
        provider_id: None,
        launched: found.created,
        name,
        pool,
    })
}
