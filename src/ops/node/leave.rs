//! A control plane's way out of etcd, by the arithmetic of `cluster::quorum`.

use super::super::{
    Cluster, OpsError,
    control_planes::ControlPlanes,
    etcd::{self, member_of},
};
use super::look::Target;
use crate::{
    cluster::{etcd::seats, quorum},
    infra::Provision,
    spec::ClusterSpec,
};

/// For good, or for a new machine in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// The cluster gets smaller.
    ForGood,
    /// Another machine takes its place and its address.
    InPlace,
}

/// The control planes but one.
fn others(cluster: &Cluster, provision: &Provision, name: &str) -> ControlPlanes {
    let planes = provision.machines.iter().filter(|m| m.pool == ClusterSpec::CONTROL_PLANE && m.name != name);
    ControlPlanes::new(cluster.connector(provision), planes.map(|m| m.name.clone()))
}

/// Whether it may go; nothing is changed. Returns what etcd is left with, in words.
pub async fn may_leave(cluster: &Cluster, provision: &Provision, target: &Target, way: Way) -> Result<Option<String>, OpsError> {
    let Some(address) = target.machine.as_ref().map(|m| m.private_address) else { return Ok(None) };
    let etcd = etcd::client(&others(cluster, provision, &target.name)).await?;
    let members = etcd.look().await?;
    let Some(member) = member_of(&members, &target.node_name, address) else { return Ok(None) };
    let (seats, label) = (seats(&members), member.member.label());
    let left = match way {
        Way::ForGood => quorum::shrinking(&seats, &label),
        Way::InPlace => quorum::replacing_in_place(&seats, &label),
    };
    let refused = |r: quorum::Refusal| OpsError::Refused { what: r.why, hint: r.hint };
    let left = left.map_err(refused)?;
    Ok(Some(format!("etcd meanwhile: {left}, and it stands the loss of {} more", left.tolerance())))
}

/// kubelet ends kube-apiserver in order, and that takes its own endpoint out of Service kubernetes before it stops to listen (6443 is
/// 192B). Killed with its machine it would be asked until its lease has run out. What it still does after that is not waited for.
const END_API_SERVER: &str = "exec sudo -n sh -c 'm=/etc/kubernetes/manifests/kube-apiserver.yaml; [ ! -e $m ] || mv $m /etc/kubernetes/kube-apiserver.yaml.left; \
     n=0; while [ $n -lt 30 ] && grep -qs \":192B 0*:0000 0A\" /proc/net/tcp /proc/net/tcp6; do sleep 1; n=$((n + 1)); done'";

/// On a machine that answers. One that does not has nothing that could be ended.
async fn end_api_server(cluster: &Cluster, provision: &Provision, target: &Target) {
    let Some(machine) = &target.machine else { return };
    let connector = cluster.connector(provision);
    if let Ok(connection) = connector.connect(&machine.name).await {
        // What comes next takes it away in any case.
        let _ = connection.run(END_API_SERVER, b"").await;
    }
}

/// Takes its member out of etcd, while the others can spare it.
pub async fn leave(cluster: &Cluster, provision: &Provision, target: &Target) -> Result<(), OpsError> {
    let Some(address) = target.machine.as_ref().map(|m| m.private_address) else { return Ok(()) };
    let etcd = etcd::client(&others(cluster, provision, &target.name)).await?;
    let members = etcd.look().await?;
    let Some(member) = member_of(&members, &target.node_name, address) else { return Ok(()) };
    quorum::removal(&seats(&members), &member.member.label()).map_err(|r| OpsError::Refused { what: r.why, hint: r.hint })?;
    if target.alive {
        end_api_server(cluster, provision, target).await;
    }
    Ok(etcd.remove(&member.member).await?)
}
