//! Where machines come from. Providers never speak SSH; discovery by tag or label is the truth.

#[cfg(feature = "aws")]
pub mod aws;
mod cost;
pub mod lab;
pub mod lock;
pub mod operator_key;
pub mod rules;

pub use cost::{Cost, CostLine};

use crate::{event::Events, spec::ClusterSpec};
use async_trait::async_trait;
use serde::Serialize;
use std::{collections::BTreeMap, net::Ipv4Addr};

/// A machine as its provider sees it. Plain data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Machine {
    /// The provider's id: `i-…`, a container id.
    pub id: String,
    /// Node name: `control-plane-1`, `worker-2`.
    pub name: String,
    /// `control-plane` or the worker pool's name.
    pub pool: String,
    /// EC2 instance type.
    pub instance_type: String,
    /// Zone, where there is one.
    pub zone: Option<String>,
    /// Address inside the VPC.
    pub private_address: Ipv4Addr,
    /// Address that the operator can dial; `None`: only through `jump`.
    pub dial_address: Option<String>,
    /// SSH port.
    pub ssh_port: u16,
    /// Login user.
    pub user: String,
    /// Public host keys in OpenSSH's one-line form, known before the first connection.
    /// The first one is in use; a second one is being rotated in.
    pub host_keys: Vec<String>,
    /// The key in use stood in user data, where others can read it: it proves the machine only until first contact.
    pub one_time_key: bool,
    /// Name of the machine that SSH jumps through.
    pub jump: Option<String>,
    /// What it does.
    pub state: MachineState,
    /// `aws:///zone/i-…`; `None` in the lab.
    pub provider_id: Option<String>,
    /// When it was made, or started last where the provider tells; seconds since 1970 by the provider's clock.
    pub launched: Option<i64>,
}

/// What a machine does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum MachineState {
    /// On its way up.
    Pending,
    /// Up, as far as the provider knows.
    Running,
    /// Off, but it still exists.
    Stopped,
}

/// One difference between what is wanted and what is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// What to do.
    pub action: Action,
    /// Kind of resource, in the provider's words: `instance`, `security group rule`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// One line each: `field: before → after`, or attributes of something new.
    pub details: Vec<String>,
}

/// What to do with a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// It is missing.
    Create,
    /// It is there and differs.
    Update,
    /// It is ours and no longer wanted.
    Delete,
}

/// What there is after provisioning.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Provision {
    /// All machines of the cluster.
    pub machines: Vec<Machine>,
    /// Settings that the provider supplies where the spec has none (the lab's mirror).
    pub package_repository: Option<crate::spec::PackageRepository>,
    /// A registry that mirrors the official ones, `host:port`.
    pub image_registry: Option<String>,
    /// Addresses of the load balancer before the API; empty: there is none, and the API's name leads to the control plane.
    pub api_balancer: Vec<Ipv4Addr>,
    /// Variables for the playbooks that follow from the provider (`lab_cgroup_v1: true`).
    pub variables: indexmap::IndexMap<String, serde_json::Value>,
}

/// What a provider says of one machine's health, beside the plan. Plain data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MachineHealth {
    /// Node name.
    pub machine: String,
    /// What it is about.
    pub aspect: Aspect,
    /// In the provider's words.
    pub observed: String,
    /// Whether it is as it should be; `None`: the provider does not know (yet).
    pub fine: Option<bool>,
}

/// What [`MachineHealth`] is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Aspect {
    /// It runs, and the provider's own status checks pass.
    Status,
    /// The metadata service demands tokens (IMDSv2) and answers no pod.
    Metadata,
    /// Its volumes are encrypted.
    Encryption,
}

/// What becomes of the volumes that the cluster's storage driver made for claims (PVCs), when the cluster is destroyed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Volumes {
    /// They go too.
    #[default]
    Delete,
    /// They stay, and go on costing.
    Retain,
}

/// A volume that a cluster's storage driver made. Plain data.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Volume {
    /// The provider's id.
    pub id: String,
    /// GiB.
    pub size_gib: u32,
    /// Its type: `gp3`.
    pub kind: String,
    /// US dollars a month; `None`: not in our table.
    pub monthly: Option<f64>,
    /// The command that deletes it.
    pub delete: String,
}

/// Why a provider could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum InfraError {
    /// Something on the operator's side or in the account is missing; nothing was touched.
    #[error("{what}")]
    Missing {
        /// What is missing, and why it is needed.
        what: String,
        /// What to do.
        hint: String,
    },
    /// A step failed.
    #[error("{what}: {why}")]
    Failed {
        /// What was being done to which resource.
        what: String,
        /// Why it failed, in the provider's words.
        why: String,
        /// What to do.
        hint: Option<String>,
    },
}

/// A source of machines. All methods are idempotent and may be killed at any point.
#[async_trait]
pub trait Provider: Send + Sync {
    /// What [`Provider::apply`] would do. Reads only. Empty: nothing. Machines that the specification no longer names are left
    /// alone: they are drained first, which no provider does.
    async fn plan(&self, spec: &ClusterSpec) -> Result<Vec<Change>, InfraError>;
    /// Makes it so: creates what is missing, mends what differs. Returns when the machines exist and are starting;
    /// whether SSH answers is for the connection to find out.
    async fn apply(&self, spec: &ClusterSpec, events: &Events) -> Result<Provision, InfraError>;
    /// Like [`Provider::apply`], but stops before the first change if `planned` is no longer what [`Provider::plan`] says.
    async fn apply_planned(&self, spec: &ClusterSpec, planned: &[Change], events: &Events) -> Result<Provision, InfraError> {
        let _ = planned;
        self.apply(spec, events).await
    }
    /// Makes these machines of the specification exist and run, and whatever they need around them. Other machines are neither
    /// made nor started nor changed.
    async fn apply_machines(&self, spec: &ClusterSpec, names: &[String], events: &Events) -> Result<Provision, InfraError>;
    /// Deletes this very machine, in whatever state it is, and waits until it is gone; that it is gone already is fine.
    /// The next [`Provider::apply`] makes a new one in its place, with a new host key.
    async fn delete_machine(&self, spec: &ClusterSpec, machine: &Machine, events: &Events) -> Result<(), InfraError>;
    /// Whether machines are made and deleted here, and not only used.
    fn makes_machines(&self) -> bool {
        true
    }
    /// What a person should know beside the plan, a line each: whose account it is, the region, foreign rules, the cost.
    /// Reads only.
    async fn about(&self, spec: &ClusterSpec) -> Result<Vec<String>, InfraError> {
        let _ = spec;
        Ok(Vec::new())
    }
    /// What the cluster costs; `None`: nothing.
    async fn cost(&self, spec: &ClusterSpec) -> Result<Option<Cost>, InfraError> {
        let _ = spec;
        Ok(None)
    }
    /// Names of the clusters where this one is, and how many machines each has. Reads only.
    async fn list(&self, spec: &ClusterSpec) -> Result<BTreeMap<String, usize>, InfraError> {
        let machines = self.discover(spec).await?.machines.len();
        Ok((machines > 0).then(|| (spec.name.clone(), machines)).into_iter().collect())
    }
    /// Whether controllers in the cluster can make things here: load balancers, volumes.
    fn has_controllers(&self) -> bool {
        false
    }
    /// The volumes that the cluster's storage driver made. Reads only.
    async fn volumes(&self, spec: &ClusterSpec) -> Result<Vec<Volume>, InfraError> {
        let _ = spec;
        Ok(Vec::new())
    }
    /// What [`Provider::destroy`] would delete. Reads only.
    async fn plan_destroy(&self, spec: &ClusterSpec, volumes: Volumes) -> Result<Vec<Change>, InfraError> {
        let _ = volumes;
        let machines = self.discover(spec).await?.machines;
        let delete = |m: Machine| Change { action: Action::Delete, kind: "machine".to_owned(), name: m.name, details: vec![m.id] };
        Ok(machines.into_iter().map(delete).collect())
    }
    /// Where the cluster's lock is kept; `None`: this provider has no place for it, so its hosts keep it.
    fn lock(&self, spec: &ClusterSpec) -> Option<Box<dyn lock::LockStore>> {
        let _ = spec;
        None
    }
    /// What exists, by label or tag. Reads only. Empty `machines`: there is no such cluster.
    async fn discover(&self, spec: &ClusterSpec) -> Result<Provision, InfraError>;
    /// What the provider says of the machines' health. Reads only. What it knows nothing about is missing.
    async fn health(&self, spec: &ClusterSpec) -> Result<Vec<MachineHealth>, InfraError> {
        let _ = spec;
        Ok(Vec::new())
    }
    /// Publishes a machine's public host keys where every operator finds them: `current`, which is no longer a one-time key
    /// once it stands alone, and `pending`, which is trusted too while it is being rotated in.
    async fn publish_host_keys(
        &self,
        spec: &ClusterSpec,
        machine: &Machine,
        current: &str,
        pending: Option<&str>,
    ) -> Result<(), InfraError> {
        let _ = (spec, current, pending);
        Err(InfraError::Missing {
            what: format!("the host key of {} is not published by its provider", machine.name),
            hint: "write its new key into `host_key` of cluster.yaml yourself".to_owned(),
        })
    }
    /// Deletes everything of this cluster and nothing else. Returns what was deleted.
    async fn destroy(&self, spec: &ClusterSpec, volumes: Volumes, events: &Events) -> Result<Vec<Change>, InfraError>;
}
