//! Traffic inside the cluster: one probe pod per node, in a namespace of its own that goes away again.
//!
//! The pods run `probe serve` (src/infra/lab/artefacts/probe). A pod is asked over its own host's connection, which
//! needs no overlay network: so a broken overlay shows as broken pairs and not as silence. Where the host cannot be
//! reached, the API server's pod proxy is tried. Pods are placed by `nodeName`: no scheduler is needed.

use super::{access::Access, plan};
use crate::{connection::Stream, kube::chain};
use ::kube::{
    Api, Client,
    api::{DeleteParams, ListParams, Patch, PatchParams},
};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1::{Namespace, Pod, Service};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::{Duration, Instant},
};

/// Prefix of the namespaces, with a label of the same name.
pub(super) const NAME: &str = "kubewright-verify";
/// A killed run's namespace is removed by the next run after this time, if its pods could not do it themselves.
const STALE: i64 = 240;

/// A question to a pod; see the probe's source.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Ask {
    pub(super) id: String,
    pub(super) kind: &'static str,
    pub(super) target: String,
    #[serde(skip_serializing_if = "zero")]
    pub(super) size: i64,
    #[serde(skip_serializing_if = "zero")]
    pub(super) count: i64,
    pub(super) timeout_ms: u64,
    /// What fails is tried again for this long: a new Service takes kube-proxy a moment.
    #[serde(skip_serializing_if = "zero")]
    pub(super) retry_ms: i64,
    /// Silence is tried again, too: a Service of local endpoints alone drops what comes before it knows them.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) patient: bool,
    /// How an HTTP answer begins: something else on the way (a proxy) may answer, too.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) expect: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) server: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn zero(n: &i64) -> bool {
    *n == 0
}

/// A pod's answer.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Answer {
    pub(super) id: String,
    pub(super) kind: String,
    pub(super) target: String,
    pub(super) size: i64,
    pub(super) ok: bool,
    pub(super) error: String,
    pub(super) class: String,
    pub(super) ms: f64,
    pub(super) rtt_min_ms: f64,
    pub(super) sent: u32,
    pub(super) received: u32,
    pub(super) nonce: String,
    pub(super) answers: Vec<String>,
}

/// What the probes came to.
#[derive(Clone, Debug, Default)]
pub(super) struct Probed {
    /// Nodes with a probe pod, and its address.
    pub(super) pods: BTreeMap<String, String>,
    /// Nodes whose pod did not come up or did not answer, and why.
    pub(super) silent: BTreeMap<String, String>,
    /// Answers by node of the pod that asked.
    pub(super) answers: BTreeMap<String, Vec<Answer>>,
    /// UDP pairs that failed although the request arrived: the way back is broken.
    pub(super) request_arrived: Vec<(String, String)>,
    /// What reached each node's pod with a wrong checksum.
    pub(super) bad_checksums: BTreeMap<String, BadChecksums>,
    pub(super) elapsed: Duration,
}

/// Packets that a probe pod's kernel threw away because their checksum was wrong, since the pod began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct BadChecksums {
    #[serde(rename = "udp_bad_checksum")]
    pub(super) datagrams: u64,
    #[serde(rename = "tcp_bad_checksum")]
    pub(super) segments: u64,
}

/// What probing needs to know.
pub(super) struct Site<'a> {
    pub(super) client: &'a Client,
    pub(super) image: &'a str,
    /// Node name, its address, and a way to it.
    pub(super) nodes: Vec<(String, String, Option<Arc<dyn Access>>)>,
    pub(super) control_planes: Vec<String>,
    pub(super) external_name: &'a str,
    pub(super) egress: &'a str,
    pub(super) dns_pods: Vec<String>,
    pub(super) deadline: Duration,
}

/// Starts the pods, asks them, and removes them, whatever happened in between. `Err`: there are no probes at all.
pub(super) async fn probe(site: &Site<'_>) -> Result<Probed, String> {
    let begun = Instant::now();
    let namespace = format!("{NAME}-{:04x}", rand::random::<u16>());
    let mut probed = Probed::default();
    let result = tokio::time::timeout(site.deadline, run(site, &namespace, &mut probed)).await;
    let result = match result {
        Ok(result) => result,
        Err(_) => {
            // What was answered in time stays known.
            let late = format!("no answer within {} s", site.deadline.as_secs());
            for (node, ..) in site.nodes.iter().filter(|(node, ..)| !probed.answers.contains_key(node)) {
                probed.silent.entry(node.clone()).or_insert_with(|| late.clone());
            }
            if probed.answers.is_empty() { Err(format!("the probes were not done within {} s", site.deadline.as_secs())) } else { Ok(()) }
        }
    };
    let asked = begun.elapsed();
    let cleaned = tokio::time::timeout(Duration::from_secs(5), remove(site.client, &namespace)).await;
    tracing::debug!(?asked, all = ?begun.elapsed(), "probes removed");
    result?;
    if !matches!(cleaned, Ok(Ok(()))) {
        // The pods remove the namespace themselves once nobody asks them any more.
        tracing::warn!(namespace, "the probes' namespace was not removed");
    }
    probed.elapsed = begun.elapsed();
    Ok(probed)
}

async fn run(site: &Site<'_>, namespace: &str, probed: &mut Probed) -> Result<(), String> {
    let stale = remove_stale(site.client);
    let (services, ()) = futures::join!(start(site, namespace), stale);
    let services = services?;
    let begun = Instant::now();
    wait_for_pods(site, namespace, probed).await?;
    awake(site, probed).await;
    tracing::debug!(elapsed = ?begun.elapsed(), silent = ?probed.silent, "probe pods run");
    let questions = plan::questions(site, &probed.pods, &services);
    ask_all(site, namespace, &questions, probed).await;
    who_heard(site, namespace, probed).await;
    counters(site, namespace, probed).await;
    Ok(())
}

/// Addresses of the services in front of the probes.
#[derive(Clone, Debug, Default)]
pub(super) struct Services {
    /// Spread over all pods.
    pub(super) vip: String,
    /// To the pod on the same node, which is the asking pod itself: the hairpin.
    pub(super) own: String,
    /// On every node.
    pub(super) node_port: u16,
}

async fn start(site: &Site<'_>, namespace: &str) -> Result<Services, String> {
    let params = PatchParams::apply("kubewright-verify").force();
    let labels = json!({NAME: "probe", "app.kubernetes.io/managed-by": "kubewright"});
    let why = |what: &'static str| move |e: ::kube::Error| format!("cannot create the probes' {what}: {}", chain(&e));
    let spaces: Api<Namespace> = Api::all(site.client.clone());
    let mut space_labels = labels.clone();
    space_labels["pod-security.kubernetes.io/enforce"] = "restricted".into();
    let space = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": space_labels}});
    spaces.patch(namespace, &params, &Patch::Apply(&space)).await.map_err(why("namespace"))?;
    // A pod may delete its own namespace and nothing else: that is how a killed run leaves nothing behind.
    let meta = json!({"name": "probe", "namespace": namespace, "labels": labels});
    let rights = [
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta}),
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": meta,
            "rules": [{"apiGroups": [""], "resources": ["namespaces"], "resourceNames": [namespace], "verbs": ["delete"]}]}),
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": meta,
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "probe"},
            "subjects": [{"kind": "ServiceAccount", "name": "probe", "namespace": namespace}]}),
    ];
    crate::kube::apply(site.client, &rights, "kubewright-verify", false).await.map_err(|e| e.to_string())?;
    let api: Api<Service> = Api::namespaced(site.client.clone(), namespace);
    let service = |name: &str, more: Value| {
        let mut spec = json!({"selector": {NAME: "probe"}, "ports": [{"name": "http", "port": 80, "targetPort": 8080}]});
        if let (Some(spec), Value::Object(more)) = (spec.as_object_mut(), more) {
            spec.extend(more);
        }
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": namespace, "labels": labels}, "spec": spec})
    };
    let (spread, own) = (service("spread", json!({"type": "NodePort"})), service("own", json!({"internalTrafficPolicy": "Local"})));
    let pods: Api<Pod> = Api::namespaced(site.client.clone(), namespace);
    let make = site.nodes.iter().map(|(node, ..)| {
        let (pods, params, pod) = (&pods, &params, pod(site, namespace, node, &labels));
        async move { pods.patch(&pod_name(node), params, &Patch::Apply(&pod)).await }
    });
    let (spread, own) = (Patch::Apply(&spread), Patch::Apply(&own));
    let (spread, own, made) =
        futures::join!(api.patch("spread", &params, &spread), api.patch("own", &params, &own), futures::future::join_all(make));
    made.into_iter().collect::<Result<Vec<_>, _>>().map_err(why("pods"))?;
    let address = |s: &Service| s.spec.as_ref().and_then(|s| s.cluster_ip.clone()).unwrap_or_default();
    let spread = spread.map_err(why("services"))?;
    let node_port = spread.spec.as_ref().and_then(|s| s.ports.as_ref()?.first()?.node_port).unwrap_or_default();
    Ok(Services {
        vip: address(&spread),
        own: address(&own.map_err(why("services"))?),
        node_port: u16::try_from(node_port).unwrap_or_default(),
    })
}

fn pod_name(node: &str) -> String {
    format!("probe-{node}")
}

fn pod(site: &Site<'_>, namespace: &str, node: &str, labels: &Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": pod_name(node), "namespace": namespace, "labels": labels},
        "spec": {
            "nodeName": node, "serviceAccountName": "probe", "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 1, "activeDeadlineSeconds": STALE, "enableServiceLinks": false,
            "tolerations": [{"operator": "Exists"}],
            "securityContext": {"runAsNonRoot": true, "runAsUser": 65532, "runAsGroup": 65532, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [{
                "name": "probe", "image": site.image, "imagePullPolicy": "IfNotPresent",
                "args": ["serve", "--idle", "40s", "--namespace", namespace],
                "ports": [{"containerPort": 8080}],
                "resources": {"requests": {"cpu": "1m", "memory": "8Mi"}, "limits": {"memory": "64Mi"}},
                "securityContext": {"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]}},
            }],
        },
    })
}

/// Until every pod runs, or for the share of the deadline that leaves time to ask the others.
async fn wait_for_pods(site: &Site<'_>, namespace: &str, probed: &mut Probed) -> Result<(), String> {
    let api: Api<Pod> = Api::namespaced(site.client.clone(), namespace);
    let begun = Instant::now();
    loop {
        let pods = api.list(&ListParams::default()).await.map_err(|e| chain(&e))?;
        (probed.pods, probed.silent) = (BTreeMap::new(), BTreeMap::new());
        for (node, ..) in &site.nodes {
            let pod = pods.iter().find(|p| p.metadata.name.as_deref() == Some(&pod_name(node)));
            match pod.map(running) {
                Some(Ok(address)) => drop(probed.pods.insert(node.clone(), address)),
                Some(Err(why)) => drop(probed.silent.insert(node.clone(), why)),
                None => drop(probed.silent.insert(node.clone(), "the pod is gone".to_owned())),
            }
        }
        if probed.silent.is_empty() || begun.elapsed() > site.deadline / 2 {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// A container that runs may not listen yet: until each one does, so that its peers do not find it closed. Who stays silent
/// says so when it is asked.
async fn awake(site: &Site<'_>, probed: &Probed) {
    let each = site.nodes.iter().filter_map(|(node, _, access)| Some((probed.pods.get(node)?, access.as_ref()?)));
    let waits = each.map(|(address, access)| async move {
        let knock = async || {
            let stream = access.stream(address, 8080).await.ok()?;
            over_stream(stream, address, "GET", "/", Vec::new()).await.ok()
        };
        while knock().await.is_none() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    let _ = tokio::time::timeout(Duration::from_secs(5), futures::future::join_all(waits)).await;
}

fn running(pod: &Pod) -> Result<String, String> {
    let status = pod.status.clone().unwrap_or_default();
    let containers = status.container_statuses.unwrap_or_default();
    match (status.phase.as_deref(), status.pod_ip, containers.first()) {
        (Some("Running"), Some(address), Some(c)) if c.ready => Ok(address),
        (phase, _, container) => {
            let waiting = container.and_then(|c| c.state.as_ref()?.waiting.clone());
            let why = waiting.map(|w| format!("{} {}", w.reason.unwrap_or_default(), w.message.unwrap_or_default()));
            Err(format!("probe pod is {}: {}", phase.unwrap_or("not started"), why.unwrap_or_default().trim()))
        }
    }
}

async fn ask_all(site: &Site<'_>, namespace: &str, questions: &HashMap<String, Vec<Vec<Ask>>>, probed: &mut Probed) {
    let rounds = questions.values().map(Vec::len).max().unwrap_or(0);
    // All pods do a round side by side; the rounds come one after the other (throughput would disturb latency).
    for round in 0..rounds {
        let asked = probed.pods.iter().map(|(node, address)| async move {
            let Some(asks) = questions.get(node).and_then(|rounds| rounds.get(round)).filter(|a| !a.is_empty()) else {
                return (node.clone(), Ok(Vec::new()));
            };
            let body = serde_json::to_vec(asks).unwrap_or_default();
            let answer = request(site, namespace, node, address, "POST", "/checks", body).await;
            (node.clone(), answer.and_then(|text| serde_json::from_slice::<Vec<Answer>>(&text).map_err(|e| e.to_string())))
        });
        let begun = Instant::now();
        let answered = futures::future::join_all(asked).await;
        tracing::debug!(round, elapsed = ?begun.elapsed(), "probe pods answered");
        for (node, answer) in answered {
            match answer {
                Ok(answers) => probed.answers.entry(node).or_default().extend(answers),
                Err(why) => drop(probed.silent.insert(node, why)),
            }
        }
    }
}

/// For UDP that did not come back: did it arrive? The pod that was asked knows.
async fn who_heard(site: &Site<'_>, namespace: &str, probed: &mut Probed) {
    let mut lost: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
    for (from, answers) in &probed.answers {
        for answer in answers.iter().filter(|a| a.kind == "udp" && !a.ok && a.received == 0) {
            if let Some(to) = answer.id.strip_prefix("udp:") {
                lost.entry(to.to_owned()).or_default().push((from.clone(), answer.nonce.clone()));
            }
        }
    }
    for (to, from) in lost {
        let Some(address) = probed.pods.get(&to) else { continue };
        let nonces: Vec<&str> = from.iter().map(|(_, nonce)| nonce.as_str()).collect();
        let path = format!("/seen?nonces={}", nonces.join(","));
        let Ok(text) = request(site, namespace, &to, address, "GET", &path, Vec::new()).await else { continue };
        let seen: HashMap<String, bool> = serde_json::from_slice(&text).unwrap_or_default();
        for (from, nonce) in from {
            if seen.get(&nonce).copied().unwrap_or(false) {
                probed.request_arrived.push((from, to.clone()));
            }
        }
    }
}

async fn counters(site: &Site<'_>, namespace: &str, probed: &mut Probed) {
    let ask = probed.pods.iter().filter(|(node, _)| probed.answers.contains_key(*node)).map(|(node, address)| async move {
        let text = request(site, namespace, node, address, "GET", "/counters", Vec::new()).await.ok()?;
        Some((node.clone(), serde_json::from_slice(&text).ok()?))
    });
    let counted = futures::future::join_all(ask).await;
    probed.bad_checksums.extend(counted.into_iter().flatten());
}

async fn request(
    site: &Site<'_>,
    namespace: &str,
    node: &str,
    address: &str,
    method: &str,
    path: &str,
    body: Vec<u8>,
) -> Result<Vec<u8>, String> {
    let access = site.nodes.iter().find(|(name, ..)| name == node).and_then(|(_, _, access)| access.clone());
    let mut why = format!("{node} is not reachable");
    if let Some(access) = access {
        let direct = async {
            let stream = access.stream(address, 8080).await.map_err(|e| e.to_string())?;
            over_stream(stream, address, method, path, body.clone()).await.and_then(successful)
        };
        let begun = Instant::now();
        let answer = tokio::time::timeout(Duration::from_secs(8), direct).await;
        tracing::debug!(node, path, elapsed = ?begun.elapsed(), failed = ?answer.as_ref().map(|a| a.as_ref().err()).ok(), "probe pod asked");
        match answer {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(e)) => why = e,
            Err(_) => "no answer within 8 s".clone_into(&mut why),
        }
    }
    let uri = format!("/api/v1/namespaces/{namespace}/pods/{}:8080/proxy{path}", pod_name(node));
    let request = http::Request::builder().method(method).uri(uri).header("content-type", "application/json");
    let request = request.body(body).map_err(|e| e.to_string())?;
    let proxied = tokio::time::timeout(Duration::from_secs(6), site.client.request_text(request)).await;
    match proxied {
        Ok(Ok(text)) => Ok(text.into_bytes()),
        Ok(Err(e)) => Err(format!("probe on {node}: {why}; through the API server: {}", chain(&e))),
        Err(_) => Err(format!("probe on {node}: {why}; through the API server: no answer within 6 s")),
    }
}

/// One HTTP request over a stream that is not used again.
pub(super) async fn over_stream(
    stream: Box<dyn Stream>,
    host: &str,
    method: &str,
    path: &str,
    body: Vec<u8>,
) -> Result<(http::StatusCode, Vec<u8>), String> {
    let (mut sender, link) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|e| e.to_string())?;
    let link = tokio_util::task::AbortOnDropHandle::new(tokio::spawn(link));
    let request = http::Request::builder().method(method).uri(path).header("host", host);
    let request = request.body(Full::new(Bytes::from(body))).map_err(|e| e.to_string())?;
    let answer = sender.send_request(request).await.map_err(|e| e.to_string())?;
    let status = answer.status();
    let body = answer.into_body().collect().await.map_err(|e| e.to_string())?.to_bytes();
    drop(link);
    Ok((status, body.to_vec()))
}

/// The body of a successful answer.
pub(super) fn successful((status, body): (http::StatusCode, Vec<u8>)) -> Result<Vec<u8>, String> {
    if status.is_success() { Ok(body) } else { Err(format!("HTTP {status}")) }
}

/// The pods without grace first: a namespace with nothing in it ends at once.
async fn remove(client: &Client, namespace: &str) -> Result<(), ::kube::Error> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let _ = pods.delete_collection(&DeleteParams::default().grace_period(0), &ListParams::default()).await;
    let spaces: Api<Namespace> = Api::all(client.clone());
    match spaces.delete(namespace, &DeleteParams::background()).await {
        Err(::kube::Error::Api(status)) if status.code == 404 || status.code == 409 => Ok(()),
        other => other.map(drop),
    }
}

/// Namespaces of runs that were killed.
async fn remove_stale(client: &Client) {
    let spaces: Api<Namespace> = Api::all(client.clone());
    let Ok(list) = spaces.list(&ListParams::default().labels(&format!("{NAME}=probe"))).await else { return };
    let now = jiff::Timestamp::now().as_second();
    for space in list {
        let created = space.metadata.creation_timestamp.map_or(now, |t| t.0.as_second());
        if let Some(name) = space.metadata.name.filter(|_| now - created > STALE) {
            let _ = remove(client, &name).await;
        }
    }
}
