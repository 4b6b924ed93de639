//! `reset`: Kubernetes taken off machines, and the rest of the cluster told that they are gone.

use super::{
    Cluster, OpsError,
    api::{self, ApiError},
    control_planes::ControlPlanes,
    names, playbooks,
};
use crate::{
    engine::{RunOptions, RunSummary},
    event::Events,
    inventory::Raw,
    spec::ClusterSpec,
};
use tokio_util::sync::CancellationToken;

/// Resets these machines; all of them without names.
pub async fn run(cluster: &Cluster, machines: &[String], events: &Events, cancel: CancellationToken) -> Result<RunSummary, OpsError> {
    let provision = cluster.discover().await?;
    let all: Vec<&str> = provision.machines.iter().map(|m| m.name.as_str()).collect();
    names::known(&cluster.spec.name, machines, &all)?;
    let goes = |name: &str| machines.is_empty() || machines.iter().any(|m| m == name);
    let planes = provision.machines.iter().filter(|m| m.pool == ClusterSpec::CONTROL_PLANE).map(|m| m.name.clone());
    let stay: Vec<String> = planes.filter(|name| !goes(name)).collect();
    // Where kubeadm init was never done there is nobody to tell.
    let told = !stay.is_empty() && {
        let planes = ControlPlanes::new(cluster.connector(&provision), stay.clone());
        let access = api::access(&cluster.spec, &cluster.state, &planes, super::OPERATOR, super::OPERATOR_GROUP).await;
        !matches!(access, Err(ApiError::NotInitialised { .. }))
    };
    let limit = (!machines.is_empty()).then(|| machines.join(","));
    let extra_vars = [("cluster_stays".to_owned(), Raw { value: told.into(), span: None })].into_iter().collect();
    let options = RunOptions { limit, extra_vars, ..RunOptions::default() };
    let hosts = playbooks::leaving_hosts(cluster, &provision, stay).await?;
    playbooks::run(&[playbooks::shipped_source("playbooks/reset.yml")], &playbooks::load_options(), hosts, &options, events, cancel).await
}
