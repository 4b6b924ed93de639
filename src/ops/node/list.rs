//! `node list`: every machine and Node with what it is, and what differs from `cluster.yaml`.

use super::{
    super::{Cluster, OpsError, hosts},
    journal,
    look::{Known, Target},
};
use crate::{
    cluster::{self, Cordon},
    infra::{Action, Change, MachineState},
};
use k8s_openapi::api::core::v1::Node;
use serde::Serialize;
use std::collections::BTreeMap;

/// One line. What is not known is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Row {
    /// The machine's name.
    pub name: String,
    /// Its address inside the network.
    pub address: String,
    /// `control-plane` or `worker`.
    pub role: String,
    /// kubelet's version.
    pub version: String,
    /// Seconds since it joined.
    pub age: Option<i64>,
    /// `Ready`, `NotReady`, `Silent` (no sign of life), `NotJoined`, `NoMachine`, with `,Cordoned`; `Unknown`: the API cannot be
    /// asked.
    pub status: String,
    /// Its pool.
    pub pool: String,
    /// What differs from `cluster.yaml`, and what is under way.
    pub differs: Vec<String>,
    /// The name of its Node.
    pub node: String,
    /// EC2's instance type.
    #[serde(rename = "type")]
    pub instance_type: String,
    /// The provider's id.
    pub id: String,
    /// Its zone, where there is one.
    pub zone: String,
    /// What the provider says of it: `running`, `stopped`.
    pub machine: String,
    /// Operating system.
    pub os: String,
    /// Kernel.
    pub kernel: String,
    /// Container runtime and its version.
    pub runtime: String,
}

/// The list; and what a person should know beside it.
pub async fn list(cluster: &Cluster) -> Result<(Vec<Row>, Vec<String>), OpsError> {
    let known = Known::look(cluster).await?;
    let (mut rows, mut notes) = (Vec::new(), Vec::new());
    let changes = match cluster.provider.plan(&cluster.spec).await {
        Ok(changes) => changes,
        Err(error) => {
            notes.push(format!("what differs in machines is not known: {error}"));
            Vec::new()
        }
    };
    let mut open = match &known.api {
        Ok(access) => journal::read(&access.client).await?,
        Err(error) => {
            notes.push(format!("the API cannot be asked: {error}"));
            BTreeMap::new()
        }
    };
    for target in known.targets(&cluster.spec) {
        let mut row = row(&target, known.api.is_ok());
        row.differs = differences(cluster, &target, known.api.is_ok(), &changes);
        if let (Ok(access), Some(_), Some(machine)) = (&known.api, &target.node, &target.machine) {
            let wanted = hosts::desired(&cluster.spec, machine);
            row.differs.extend(cluster::ensure_node(&access.client, &target.node_name, &wanted, true).await?.details);
        }
        if let Some(entry) = open.remove(&target.node_name) {
            row.differs.push(format!(
                "{} under way or interrupted since {}",
                entry.operation,
                entry.since.strftime("%Y-%m-%d %H:%M:%S UTC")
            ));
        }
        rows.push(row);
    }
    Ok((rows, notes))
}

fn row(target: &Target, asked: bool) -> Row {
    let machine = target.machine.as_ref();
    let info = target.node.as_ref().and_then(|n| n.status.as_ref()?.node_info.as_ref());
    let of = |text: Option<&String>| text.cloned().unwrap_or_default();
    let address = machine.map(|m| m.private_address.to_string());
    let address = address.or_else(|| target.node.as_ref().and_then(cluster::internal_address).map(|a| a.to_string()));
    let created = target.node.as_ref().and_then(|n| n.metadata.creation_timestamp.as_ref()).map(|t| t.0);
    Row {
        name: target.name.clone(),
        address: address.unwrap_or_default(),
        role: if target.is_control_plane() { "control-plane".to_owned() } else { "worker".to_owned() },
        version: info.map(|i| i.kubelet_version.trim_start_matches('v').to_owned()).unwrap_or_default(),
        age: created.map(|t| jiff::Timestamp::now().duration_since(t).as_secs()),
        status: status(target, asked),
        pool: target.pool.clone(),
        differs: Vec::new(),
        node: if target.node.is_some() { target.node_name.clone() } else { String::new() },
        instance_type: machine.map(|m| m.instance_type.clone()).unwrap_or_default(),
        id: machine.map(|m| m.id.clone()).unwrap_or_default(),
        zone: machine.and_then(|m| m.zone.clone()).unwrap_or_default(),
        machine: machine.map(|m| state(m.state).to_owned()).unwrap_or_default(),
        os: of(info.map(|i| &i.os_image)),
        kernel: of(info.map(|i| &i.kernel_version)),
        runtime: of(info.map(|i| &i.container_runtime_version)),
    }
}

fn state(state: MachineState) -> &'static str {
    match state {
        MachineState::Pending => "pending",
        MachineState::Running => "running",
        MachineState::Stopped => "stopped",
    }
}

fn status(target: &Target, asked: bool) -> String {
    let Some(node) = &target.node else {
        return match (target.machine.is_some(), asked) {
            (false, _) => "NoMachine",
            (true, true) => "NotJoined",
            (true, false) => "Unknown",
        }
        .to_owned();
    };
    let mut text = match (target.alive, is_ready(node)) {
        (false, _) => "Silent",
        (true, true) => "Ready",
        (true, false) => "NotReady",
    }
    .to_owned();
    if cluster::cordon_of(node) != Cordon::Open {
        text.push_str(",Cordoned");
    }
    text
}

fn is_ready(node: &Node) -> bool {
    let conditions = node.status.as_ref().and_then(|s| s.conditions.as_ref());
    conditions.into_iter().flatten().any(|c| c.type_ == "Ready" && c.status == "True")
}

fn differences(cluster: &Cluster, target: &Target, asked: bool, changes: &[Change]) -> Vec<String> {
    let spec = &cluster.spec;
    let mut all = Vec::new();
    if !target.wanted {
        all.push("not in cluster.yaml".to_owned());
    }
    match (&target.machine, &target.node) {
        (None, _) if target.wanted => all.push("has no machine".to_owned()),
        (Some(_), None) if asked => all.push("has not joined".to_owned()),
        (None, Some(_)) => all.push("its machine is gone".to_owned()),
        (Some(machine), Some(node)) => {
            if let Some(is) = cluster::internal_address(node).filter(|a| *a != std::net::IpAddr::from(machine.private_address)) {
                all.push(format!("its Node is at {is}"));
            }
        }
        _ => {}
    }
    if let Some(info) = target.node.as_ref().and_then(|n| n.status.as_ref()?.node_info.as_ref()) {
        let is = info.kubelet_version.trim_start_matches('v');
        if is != spec.kubernetes.version {
            all.push(format!("version: {is} → {}", spec.kubernetes.version));
        }
    }
    if let Some(Cordon::Ours(command)) = target.node.as_ref().map(cluster::cordon_of) {
        all.push(format!("cordoned by `{command}`, which did not come to its end"));
    }
    let own =
        changes.iter().filter(|c| c.action == Action::Update && c.kind == "instance" && c.name.split('/').next() == Some(&target.name));
    all.extend(own.flat_map(|c| c.details.clone()));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(node: Option<serde_json::Value>, alive: bool) -> Target {
        Target {
            name: "worker-1".into(),
            node_name: "worker-1".into(),
            pool: "worker".into(),
            wanted: true,
            machine: None,
            node: node.map(|n| serde_json::from_value(n).unwrap()),
            alive,
        }
    }

    #[test]
    fn a_status_says_what_can_be_relied_on() {
        let node = |ready: &str, closed: bool| {
            let conditions = serde_json::json!([{"type": "Ready", "status": ready}]);
            serde_json::json!({"metadata": {}, "spec": {"unschedulable": closed}, "status": {"conditions": conditions}})
        };
        assert_eq!(status(&target(Some(node("True", false)), true), true), "Ready");
        assert_eq!(status(&target(Some(node("True", true)), true), true), "Ready,Cordoned");
        assert_eq!(status(&target(Some(node("False", false)), true), true), "NotReady");
        assert_eq!(status(&target(Some(node("True", false)), false), true), "Silent", "what it says of itself is old");
        assert_eq!(status(&target(None, false), true), "NoMachine");
    }
}
