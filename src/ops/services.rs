//! The tasks of the shipped playbooks that need the Kubernetes API instead of a shell: the engine hands them here.

use super::{
    api::{self, Access, ApiError},
    control_planes::ControlPlanes,
    etcd,
    node::journal,
    state::State,
};
use crate::{
    cluster::{self, Desired, Heard, NodeIdentity},
    event::Diff,
    modules::TaskResult,
    spec::ClusterSpec,
};
use indexmap::IndexMap;
use jiff::Timestamp;
use minijinja::Value;
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::{
    sync::{Mutex, OnceCell},
    time::Instant,
};

/// One cluster's API, opened when the first task needs it.
pub struct ClusterServices {
    spec: Arc<ClusterSpec>,
    state: State,
    access: Mutex<Option<Access>>,
    /// Operations on nodes that were under way when this run began.
    operations: OnceCell<BTreeMap<String, journal::Entry>>,
}

/// One task that needs the API.
pub struct KubeTask<'a> {
    /// Which: `config`, `token`, `certificates`, `etcd`, `node`, `pod`, `rollout`, `spread`, `csr`, `apply`.
    pub action: &'a str,
    /// Its arguments, coerced by the module.
    pub args: &'a IndexMap<String, Value>,
    /// Nothing may be written.
    pub check: bool,
}

impl ClusterServices {
    /// Services of a cluster; dials nothing.
    pub fn new(spec: Arc<ClusterSpec>, state: State) -> Self {
        Self { spec, state, access: Mutex::new(None), operations: OnceCell::new() }
    }

    /// Runs one task through the first control plane that works.
    pub async fn run(&self, control_planes: &ControlPlanes, task: &KubeTask<'_>) -> TaskResult {
        let access = match self.access(control_planes, task).await {
            Ok(access) => access,
            // In a plan, a cluster that is not there yet is what the plan is about.
            Err(ApiError::NotInitialised { .. }) if task.check => return planned(task),
            Err(error) => return TaskResult::failure(error.to_string()),
        };
        let result = match task.action {
            "config" => config(&access),
            "token" => self.token(&access, task).await,
            "certificates" => certificates(&access, task).await,
            "etcd" => etcd_member(control_planes, task).await,
            "node" => self.node(&access, task).await,
            "pod" => pod(&access, task).await,
            "rollout" => rollout(&access, task).await,
            "spread" => spread(&access, task).await,
            "csr" => csr(&access, task).await,
            "apply" => apply(&access, task).await,
            other => Ok(TaskResult::failure(format!("no such action on the cluster: {other}"))),
        };
        result.unwrap_or_else(|e| TaskResult::failure(e.to_string()))
    }

    async fn access(&self, control_planes: &ControlPlanes, task: &KubeTask<'_>) -> Result<Access, ApiError> {
        let mut slot = self.access.lock().await;
        if let Some(access) = slot.as_ref() {
            return Ok(access.clone());
        }
        let name = text(task, "client_name").unwrap_or_else(|| super::OPERATOR.to_owned());
        let group = text(task, "group").unwrap_or_else(|| super::OPERATOR_GROUP.to_owned());
        let access = api::access(&self.spec, &self.state, control_planes, &name, &group).await?;
        *slot = Some(access.clone());
        Ok(access)
    }

    async fn node(&self, access: &Access, task: &KubeTask<'_>) -> Result<TaskResult, cluster::ClusterError> {
        let name = text(task, "name").unwrap_or_default();
        let within = Duration::from_secs(number(task, "wait").unwrap_or(0));
        let api: ::kube::Api<k8s_openapi::api::core::v1::Node> = ::kube::Api::all(access.client.clone());
        if text(task, "state").as_deref() == Some("absent") {
            let address = text(task, "address").and_then(|a| a.parse().ok());
            let machine = address.map_or(cluster::Machine::Gone, cluster::Machine::At);
            let was = cluster::forget_node(&access.client, &name, machine, task.check).await?;
            let said = if was { format!("node {name} of an earlier machine is forgotten") } else { format!("there is no node {name}") };
            return Ok(TaskResult { changed: was, ..TaskResult::ok(said) });
        }
        if task.check && matches!(api.get_opt(&name).await, Ok(None)) {
            return Ok(TaskResult { changed: true, ..TaskResult::ok(format!("node {name} would join")) });
        }
        if !within.is_zero() && !task.check {
            // Empty: kubelet was not running when we looked.
            let heard = match text(task, "since") {
                None => Heard::Ever,
                Some(since) => since.parse().ok().and_then(|s| Timestamp::from_second(s).ok()).map_or(Heard::Anew, Heard::Since),
            };
            cluster::wait_node_ready(&access.client, &name, heard, within).await?;
        }
        let desired = Desired { labels: map(task, "labels"), annotations: map(task, "annotations"), taints: list(task, "taints") };
        let change = cluster::ensure_node(&access.client, &name, &desired, task.check).await?;
        if let (false, Some(machine)) = (task.check, text(task, "machine").filter(|m| !m.is_empty())) {
            let open = self.operations.get_or_try_init(|| journal::read(&access.client)).await?;
            journal::settle(&access.client, open, &name, &machine).await?;
        }
        let diff =
            change.details.iter().map(|d| Diff { subject: format!("node {name}"), before: String::new(), after: d.clone() }).collect();
        Ok(TaskResult { changed: !change.details.is_empty(), diff, ..TaskResult::ok(change.details.join(", ")) })
    }

    async fn token(&self, access: &Access, task: &KubeTask<'_>) -> Result<TaskResult, cluster::ClusterError> {
        let description = text(task, "description").unwrap_or_else(|| "kubewright".to_owned());
        if text(task, "state").as_deref() == Some("absent") {
            let revoked = match text(task, "token_id") {
                Some(_) if task.check => 1,
                Some(id) => u32::from(cluster::revoke_token(&access.client, &id).await?),
                None => cluster::revoke_described(&access.client, &description, task.check).await?,
            };
            return Ok(TaskResult { changed: revoked > 0, ..TaskResult::ok(format!("{revoked} revoked")) });
        }
        let mut fields = IndexMap::from([("ca_cert_hashes".to_owned(), Value::from(vec![cluster::ca_hash(&access.credentials.ca)?]))]);
        if task.check {
            fields.insert("token".into(), Value::from(PLANNED_TOKEN));
            fields.insert("certificate_key".into(), Value::from(PLANNED_TOKEN));
        } else {
            let ttl = text(task, "ttl").and_then(|t| humantime::parse_duration(&t).ok()).unwrap_or(self.spec.kubernetes.token_ttl);
            let token = cluster::create_token(&access.client, ttl, &description).await?;
            fields.insert("token_id".into(), token.id.into());
            fields.insert("token".into(), token.token.expose().as_str().into());
            if task.args.get("certificate_key").is_some_and(Value::is_true) {
                fields.insert("certificate_key".into(), cluster::certificate_key().expose().as_str().into());
            }
        }
        // Made for one join and revoked after it: no lasting change of the cluster.
        Ok(TaskResult { fields, ..TaskResult::ok("join token made") })
    }
}

/// Stands in a plan for the hash of a CA that does not exist yet.
const UNKNOWN_HASH: &str = "sha256:known-after-init";

/// Stands in a plan for a token: a plan makes none.
const PLANNED_TOKEN: &str = "made-when-joining";

/// What a plan says of a task on a cluster that does not exist yet.
fn planned(task: &KubeTask<'_>) -> TaskResult {
    let fields = match task.action {
        "config" => IndexMap::from([("ca_cert_hash".to_owned(), Value::from(UNKNOWN_HASH))]),
        "token" => IndexMap::from([
            ("ca_cert_hashes".to_owned(), Value::from(vec![UNKNOWN_HASH])),
            ("token".to_owned(), Value::from(PLANNED_TOKEN)),
            ("certificate_key".to_owned(), Value::from(PLANNED_TOKEN)),
        ]),
        "etcd" => IndexMap::from([("member".to_owned(), Value::from(false))]),
        _ => IndexMap::new(),
    };
    TaskResult { changed: true, fields, ..TaskResult::ok("once the control plane is initialised") }
}

fn config(access: &Access) -> Result<TaskResult, cluster::ClusterError> {
    let hash = cluster::ca_hash(&access.credentials.ca)?;
    let fields = IndexMap::from([("made".to_owned(), Value::from(access.made)), ("ca_cert_hash".to_owned(), hash.into())]);
    Ok(TaskResult { fields, ..TaskResult::ok(if access.made { "client certificate made" } else { "client certificate is valid" }) })
}

async fn certificates(access: &Access, task: &KubeTask<'_>) -> Result<TaskResult, cluster::ClusterError> {
    let deleted = cluster::delete_uploaded(&access.client, task.check).await?;
    Ok(TaskResult { changed: deleted > 0, ..TaskResult::ok(format!("{deleted} deleted")) })
}

async fn etcd_member(control_planes: &ControlPlanes, task: &KubeTask<'_>) -> Result<TaskResult, cluster::ClusterError> {
    let (name, address) = (text(task, "name").unwrap_or_default(), text(task, "address").unwrap_or_default());
    let address = address.parse().map_err(|_| cluster::ClusterError::Invalid(format!("`{address}` is not an IPv4 address")))?;
    let etcd = etcd::client(control_planes).await.map_err(|e| cluster::ClusterError::Invalid(e.to_string()))?;
    match text(task, "state").as_deref() {
        Some("room") => {
            let removed = etcd::make_room(&etcd, &name, address, task.check).await?;
            Ok(TaskResult { changed: !removed.is_empty(), ..TaskResult::ok(format!("removed: {}", removed.join(", "))) })
        }
        Some("voter") if task.check => Ok(TaskResult::ok("a plan does not wait")),
        Some("voter") => etcd::wait_voter(&etcd, &name, address).await.map(|()| TaskResult::ok("it votes and is well")),
        _ => {
            let members = etcd.members().await?;
            let known = members.iter().any(|m| m.address() == Some(address) && (m.name == name || m.name.is_empty()) && !m.learner);
            let fields = IndexMap::from([("member".to_owned(), Value::from(known))]);
            Ok(TaskResult { fields, ..TaskResult::ok(if known { "it is a member" } else { "it is no member" }) })
        }
    }
}

async fn pod(access: &Access, task: &KubeTask<'_>) -> Result<TaskResult, cluster::ClusterError> {
    let deleted = match text(task, "node") {
        Some(node) => cluster::delete_pods_of(&access.client, &node, task.check).await?,
        None => {
            let namespace = text(task, "namespace").unwrap_or_default();
            cluster::delete_pods(&access.client, &namespace, &list(task, "uids"), task.check).await?
        }
    };
    Ok(TaskResult { changed: !deleted.is_empty(), ..TaskResult::ok(deleted.join(", ")) })
}

async fn rollout(access: &Access, task: &KubeTask<'_>) -> Result<TaskResult, cluster::ClusterError> {
    let (kind, namespace, name) = object(task);
    if task.check {
        return Ok(TaskResult::ok("a plan does not wait"));
    }
    let within = Duration::from_secs(number(task, "wait").unwrap_or(180));
    cluster::wait_rollout(&access.client, &kind, &namespace, &name, within).await?;
    Ok(TaskResult::ok(format!("{kind} {namespace}/{name} is complete")))
}

async fn spread(access: &Access, task: &KubeTask<'_>) -> Result<TaskResult, cluster::ClusterError> {
    let (_, namespace, name) = object(task);
    let nodes = usize::try_from(number(task, "nodes").unwrap_or(2)).unwrap_or(2);
    let moved = cluster::spread(&access.client, &namespace, &name, nodes, task.check, Duration::from_secs(120)).await?;
    Ok(TaskResult { changed: moved > 0, ..TaskResult::ok(format!("{moved} pods moved")) })
}

async fn csr(access: &Access, task: &KubeTask<'_>) -> Result<TaskResult, cluster::ClusterError> {
    let nodes: Vec<NodeIdentity> = task
        .args
        .get("nodes")
        .and_then(|v| v.try_iter().ok())
        .into_iter()
        .flatten()
        .map(|v| NodeIdentity {
            name: v.get_attr("name").ok().and_then(|n| n.as_str().map(str::to_owned)).unwrap_or_default(),
            addresses: v
                .get_attr("addresses")
                .ok()
                .and_then(|a| a.try_iter().ok().map(|i| i.filter_map(|a| a.as_str().and_then(|s| s.parse().ok())).collect()))
                .unwrap_or_default(),
        })
        .collect();
    let end = Instant::now() + Duration::from_secs(number(task, "wait").unwrap_or(0));
    let approved = loop {
        let approved = cluster::approve_serving_certificates(&access.client, &nodes, task.check).await?;
        // A kubelet that has just joined asks within seconds.
        if approved > 0 || task.check || Instant::now() >= end {
            break approved;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    };
    Ok(TaskResult { changed: approved > 0, ..TaskResult::ok(format!("{approved} approved")) })
}

async fn apply(access: &Access, task: &KubeTask<'_>) -> Result<TaskResult, cluster::ClusterError> {
    let manifest = text(task, "manifest").unwrap_or_default();
    let manager = text(task, "field_manager").unwrap_or_else(|| "kubewright".to_owned());
    let applied = match crate::kube::documents(&manifest) {
        Ok(documents) => crate::kube::apply(&access.client, &documents, &manager, task.check).await,
        Err(error) => Err(error),
    };
    match applied {
        Ok(applied) => {
            let changed: Vec<String> = applied.iter().filter(|a| a.changed).map(crate::kube::Applied::subject).collect();
            let diff = applied.into_iter().filter_map(|a| a.diff).collect();
            Ok(TaskResult { changed: !changed.is_empty(), diff, ..TaskResult::ok(changed.join(", ")) })
        }
        Err(error) => Ok(TaskResult::failure(error.to_string())),
    }
}

fn text(task: &KubeTask<'_>, name: &str) -> Option<String> {
    let value = task.args.get(name)?;
    (!value.is_undefined() && !value.is_none()).then(|| value.to_string())
}

fn number(task: &KubeTask<'_>, name: &str) -> Option<u64> {
    text(task, name)?.parse().ok()
}

fn object(task: &KubeTask<'_>) -> (String, String, String) {
    let get = |name: &str, default: &str| text(task, name).unwrap_or_else(|| default.to_owned());
    (get("kind", "Deployment"), get("namespace", "default"), get("name", ""))
}

fn map(task: &KubeTask<'_>, name: &str) -> IndexMap<String, String> {
    let Some(value) = task.args.get(name) else { return IndexMap::new() };
    let keys = value.try_iter().into_iter().flatten();
    keys.filter_map(|k| Some((k.as_str()?.to_owned(), value.get_item(&k).ok()?.to_string()))).collect()
}

fn list(task: &KubeTask<'_>, name: &str) -> Vec<String> {
    task.args.get(name).and_then(|v| v.try_iter().ok()).into_iter().flatten().map(|v| v.to_string()).collect()
}
