//! What is known of a cluster's machines and nodes before anything is done to one of them.

use super::super::{Cluster, OpsError, api::Access, hosts, names};
use crate::{
    cluster::{self, Heartbeats},
    engine::Network,
    infra::{Machine, MachineState, Provision},
    spec::ClusterSpec,
};
use ::kube::{Api, api::ListParams};
use k8s_openapi::api::core::v1::Node;
use std::sync::Arc;

/// See the module.
pub struct Known {
    /// Machines, as their provider sees them.
    pub provision: Provision,
    /// Ways to them.
    pub connector: Arc<Network>,
    /// The API, or why it cannot be asked.
    pub api: Result<Access, OpsError>,
    /// The Node objects; empty when the API cannot be asked.
    pub nodes: Vec<Node>,
    /// Which of them live.
    pub beats: Heartbeats,
}

/// One machine that is wanted, there, or both, and its Node.
#[derive(Clone, Debug)]
pub struct Target {
    /// Its name in the inventory.
    pub name: String,
    /// The name of its Node.
    pub node_name: String,
    /// Its pool.
    pub pool: String,
    /// `cluster.yaml` asks for it.
    pub wanted: bool,
    /// The machine, where there is one.
    pub machine: Option<Machine>,
    /// The Node, where there is one.
    pub node: Option<Node>,
    /// Its kubelet lives.
    pub alive: bool,
}

impl Target {
    /// Whether it is a control plane.
    pub fn is_control_plane(&self) -> bool {
        self.pool == ClusterSpec::CONTROL_PLANE
    }
}

impl Known {
    /// Looks at provider and API.
    pub async fn look(cluster: &Cluster) -> Result<Self, OpsError> {
        let provision = cluster.discover().await?;
        let connector = cluster.connector(&provision);
        let asked = async {
            let access = cluster.api(&provision, &connector).await?;
            let nodes: Api<Node> = Api::all(access.client.clone());
            let list = nodes.list(&ListParams::default()).await;
            let nodes = list.map_err(|source| cluster::ClusterError::Api { doing: "list nodes".into(), source: Box::new(source) })?;
            let beats = cluster::heartbeats(&access.client).await?;
            Ok::<_, OpsError>((access, nodes.items, beats))
        };
        let (api, nodes, beats) = match asked.await {
            Ok((access, nodes, beats)) => (Ok(access), nodes, beats),
            Err(error) => (Err(error), Vec::new(), Heartbeats::default()),
        };
        Ok(Self { provision, connector, api, nodes, beats })
    }

    /// The API, without which nothing can be done to a node.
    pub fn api(self) -> Result<(Self, Access), OpsError> {
        match self.api {
            Ok(ref access) => {
                let access = access.clone();
                Ok((self, access))
            }
            Err(error) => Err(error),
        }
    }

    /// All machines and nodes: those that are wanted in the order of `cluster.yaml`, then the others.
    pub fn targets(&self, spec: &ClusterSpec) -> Vec<Target> {
        let mut all: Vec<Target> = Vec::new();
        for wanted in spec.nodes() {
            let machine = self.provision.machines.iter().find(|m| m.name == wanted.name);
            let address = machine.map(|m| m.private_address).or(wanted.address);
            let node_name = address.map_or_else(|| wanted.name.clone(), |a| hosts::node_name_at(spec, &wanted.name, a));
            all.push(self.target(wanted.name, node_name, wanted.pool.name.clone(), true, machine));
        }
        for machine in self.provision.machines.iter().filter(|m| !spec.nodes().iter().any(|n| n.name == m.name)) {
            all.push(self.target(machine.name.clone(), hosts::node_name(spec, machine), machine.pool.clone(), false, Some(machine)));
        }
        for node in &self.nodes {
            let name = node.metadata.name.clone().unwrap_or_default();
            if !all.iter().any(|t| t.node_name == name) {
                let pool = node.metadata.labels.as_ref().and_then(|l| l.get("kubewright.dev/pool")).cloned().unwrap_or_default();
                all.push(self.target(name.clone(), name, pool, false, None));
            }
        }
        all
    }

    fn target(&self, name: String, node_name: String, pool: String, wanted: bool, machine: Option<&Machine>) -> Target {
        let node = self.nodes.iter().find(|n| n.metadata.name.as_ref() == Some(&node_name)).cloned();
        // What its provider says is known sooner: a kubelet is missed only after 40 s.
        let gone = machine.map_or(!pool.is_empty(), |m| m.state != MachineState::Running);
        let alive = node.is_some() && !gone && self.beats.alive(&node_name);
        Target { name, node_name, pool, wanted, machine: machine.cloned(), node, alive }
    }

    /// The one that a person means: by the machine's name or the Node's.
    pub fn find(&self, cluster: &Cluster, typed: &str) -> Result<Target, OpsError> {
        let all = self.targets(&cluster.spec);
        if let Some(found) = all.iter().find(|t| t.name == typed || t.node_name == typed) {
            return Ok(found.clone());
        }
        let all: Vec<&str> = all.iter().map(|t| t.name.as_str()).collect();
        Err(names::known(&cluster.spec.name, &[typed.to_owned()], &all)
            .err()
            .unwrap_or_else(|| OpsError::NoCluster(cluster.spec.name.clone())))
    }
}
