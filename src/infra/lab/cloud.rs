//! Machines for the instances of another cloud: an EC2 endpoint on this host talks about instances, and here they boot, with
//! the addresses and the user data that they were given, read by the real cloud-init. For tests end to end.

use super::{
    Lab,
    archive::Archive,
    artefacts::Wanted,
    cache,
    docker::failed,
    host, image,
    machine::{self, FirstBoot, Recipe, Seed},
    network,
    nft::Firewall,
    provider::wanted_rules,
};
use crate::{
    event::Events,
    infra::{InfraError, Provision},
    spec::ClusterSpec,
};
use std::net::IpAddr;

/// An instance as its cloud describes it.
#[derive(Clone, Debug)]
pub struct Instance {
    /// The cloud's id.
    pub id: String,
    /// Node name; type and private address are the specification's.
    pub node: String,
    /// What it was launched with, decoded. It holds a private key.
    pub user_data: String,
    /// Keys that the cloud gives to cloud-init: the key pair's.
    pub public_keys: Vec<String>,
    /// A loopback address that stands for its public one: SSH is published there.
    pub public_address: Option<IpAddr>,
}

impl Lab {
    /// The network and the mirror of a cluster, without machines, and what follows from this host for the playbooks.
    pub async fn prepare(&self, spec: &ClusterSpec, events: &Events) -> Result<Provision, InfraError> {
        host::raise_inotify()?;
        network::ensure(&self.engine, spec).await?;
        let cache = cache::directory()?;
        let wanted = Wanted::new(spec, &cache)?;
        let image = async || image::node(&self.engine, &self.settings, &cache, events).await;
        self.ensure_mirror(spec, &wanted, image, events).await?;
        self.provision(spec, Vec::new()).await
    }

    /// Boots an instance. `spec` says its type, address and security group, by its node name.
    pub async fn boot(&self, spec: &ClusterSpec, instance: &Instance, events: &Events) -> Result<(), InfraError> {
        let nodes = spec.nodes();
        let node = nodes.iter().find(|n| n.name == instance.node);
        let node = node.ok_or_else(|| failed(&format!("booting {}", instance.id), &format!("there is no node {}", instance.node)))?;
        let plain = image::node(&self.engine, &self.settings, &cache::directory()?, events).await?;
        let firewall = Firewall::new(spec, wanted_rules(spec), []);
        let recipe = Recipe {
            spec,
            image: image::with_cloud_init(&self.engine, &plain, events).await?,
            host: host::look(&self.engine).await?,
            firewall: &firewall,
            keys: Vec::new(),
            resolvers: host::resolvers(),
            resolved: self.settings.resolved,
            first_boot: FirstBoot::from_env(),
        };
        let seed =
            Seed { host_key: None, files: Archive::new().file(SEED, 0o600, &seed(instance)), public_address: instance.public_address };
        machine::create_with(&self.engine, &recipe, node, seed).await
    }
}

const SEED: &str = "etc/cloud/cloud.cfg.d/90_seed.cfg";

/// User data and meta-data in cloud-init's own configuration
/// (<https://docs.cloud-init.io/en/latest/reference/datasources/nocloud.html>). JSON is YAML.
fn seed(instance: &Instance) -> String {
    let meta = serde_json::json!({"instance-id": instance.id, "public-keys": instance.public_keys});
    let source = serde_json::json!({"user-data": instance.user_data, "meta-data": meta});
    serde_json::json!({"datasource": {"NoCloud": source}}).to_string()
}
