//! One function per command: options in, typed outcome out. The only place that strings the stages together.
//! Nothing here prints: what happens goes out as events, what came of it is returned.

pub mod ansible_cfg;
pub mod api;
mod api_services;
pub mod bootstrap;
mod cluster;
pub mod control_planes;
pub mod destroy;
pub mod embedded;
mod error;
pub mod etcd;
pub mod explain;
pub mod host_keys;
pub mod hosts;
pub mod kubectl;
pub mod lease;
pub mod mend;
mod names;
pub mod node;
pub mod plan;
pub mod playbooks;
mod provider;
pub mod proxy;
pub mod replace;
pub mod reset;
mod services;
pub mod ssh;
pub mod state;
pub mod support_bundle;
pub mod survey;
pub mod vault;
pub mod verify;

pub use cluster::Cluster;
pub use error::OpsError;

/// Common name of the operator's client certificate.
pub const OPERATOR: &str = "kubewright:operator";
/// Its group: kubeadm binds it to cluster-admin (unlike system:masters it can be revoked).
pub const OPERATOR_GROUP: &str = "kubeadm:cluster-admins";
