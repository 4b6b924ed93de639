//! What the API says: the objects that checks look at, asked for side by side, each with its own fate.

use crate::kube::chain;
use ::kube::{
    Api, Client,
    api::{ListParams, PostParams},
};
use k8s_openapi::{
    NamespaceResourceScope, Resource,
    api::{
        apps::v1::{DaemonSet, Deployment},
        authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec},
        certificates::v1::CertificateSigningRequest,
        coordination::v1::Lease,
        core::v1::{ConfigMap, Namespace, Node, Pod, Secret},
    },
};
use std::{
    collections::BTreeMap,
    fmt::Debug,
    time::{Duration, Instant},
};

/// An answer of the API, or why there is none.
pub(super) type Asked<T> = Result<T, String>;

/// Everything that was asked.
#[derive(Clone, Debug)]
pub(super) struct Cluster {
    pub(super) version: Asked<String>,
    pub(super) readyz: Asked<String>,
    /// Latencies of small reads, ascending, milliseconds.
    pub(super) latencies: Asked<Vec<f64>>,
    pub(super) nodes: Asked<Vec<Node>>,
    pub(super) pods: Asked<Vec<Pod>>,
    pub(super) namespaces: Asked<Vec<Namespace>>,
    pub(super) daemon_sets: Asked<Vec<DaemonSet>>,
    pub(super) deployments: Asked<Vec<Deployment>>,
    pub(super) leases: Asked<Vec<Lease>>,
    pub(super) csrs: Asked<Vec<CertificateSigningRequest>>,
    /// Bootstrap tokens: id and expiration as it is written, `None` where it never expires. Never the secret half.
    pub(super) tokens: Asked<Vec<(String, Option<String>)>>,
    pub(super) config_maps: Asked<BTreeMap<String, BTreeMap<String, String>>>,
    /// What an anonymous caller may do of a list of things that it must not.
    pub(super) anonymous: Asked<Vec<String>>,
    /// A server-side dry run of a pod: `Ok(Err(why))` when admission refuses it.
    pub(super) admission: Asked<Result<(), String>>,
    pub(super) elapsed: Duration,
}

/// Asks everything.
pub(super) async fn look(client: &Client, deadline: Duration) -> Cluster {
    let begun = Instant::now();
    let everywhere = ListParams::default().match_any();
    let (versions, lists, more, rights) = futures::join!(
        async {
            futures::join!(in_time(deadline, version(client)), in_time(deadline, readyz(client)), in_time(deadline, latencies(client)))
        },
        async {
            futures::join!(
                in_time(deadline, cluster_list::<Node>(client, &everywhere)),
                in_time(deadline, cluster_list::<Pod>(client, &everywhere)),
                in_time(deadline, cluster_list::<Namespace>(client, &everywhere)),
                in_time(deadline, cluster_list::<DaemonSet>(client, &everywhere)),
                in_time(deadline, cluster_list::<Deployment>(client, &everywhere)),
                in_time(deadline, cluster_list::<Lease>(client, &everywhere)),
                in_time(deadline, cluster_list::<CertificateSigningRequest>(client, &everywhere)),
            )
        },
        async { futures::join!(in_time(deadline, tokens(client)), in_time(deadline, config_maps(client)),) },
        async { futures::join!(in_time(deadline, anonymous(client)), in_time(deadline, admission(client))) },
    );
    Cluster {
        version: versions.0,
        readyz: versions.1,
        latencies: versions.2,
        nodes: lists.0,
        pods: lists.1,
        namespaces: lists.2,
        daemon_sets: lists.3,
        deployments: lists.4,
        leases: lists.5,
        csrs: lists.6,
        tokens: more.0,
        config_maps: more.1,
        anonymous: rights.0,
        admission: rights.1,
        elapsed: begun.elapsed(),
    }
}

impl Cluster {
    /// Nothing could be asked, for one reason.
    pub(super) fn unreachable(why: &str) -> Self {
        fn no<T>(why: &str) -> Asked<T> {
            Err(why.to_owned())
        }
        Self {
            version: no(why),
            readyz: no(why),
            latencies: no(why),
            nodes: no(why),
            pods: no(why),
            namespaces: no(why),
            daemon_sets: no(why),
            deployments: no(why),
            leases: no(why),
            csrs: no(why),
            tokens: no(why),
            config_maps: no(why),
            anonymous: no(why),
            admission: no(why),
            elapsed: Duration::ZERO,
        }
    }
}

async fn in_time<T>(deadline: Duration, ask: impl Future<Output = Result<T, ::kube::Error>>) -> Asked<T> {
    match tokio::time::timeout(deadline, ask).await {
        Ok(answer) => answer.map_err(|e| chain(&e)),
        Err(_) => Err(format!("no answer from the API within {} s", deadline.as_secs())),
    }
}

async fn version(client: &Client) -> Result<String, ::kube::Error> {
    Ok(client.apiserver_version().await?.git_version)
}

async fn readyz(client: &Client) -> Result<String, ::kube::Error> {
    let request = http::Request::get("/readyz?verbose").body(Vec::new()).map_err(::kube::Error::HttpError)?;
    client.request_text(request).await
}

async fn latencies(client: &Client) -> Result<Vec<f64>, ::kube::Error> {
    let api: Api<Namespace> = Api::all(client.clone());
    let mut times = Vec::new();
    for _ in 0..20 {
        let begun = Instant::now();
        api.get("kube-system").await?;
        times.push(begun.elapsed().as_secs_f64() * 1000.0);
    }
    times.sort_by(f64::total_cmp);
    Ok(times)
}

async fn cluster_list<K>(client: &Client, params: &ListParams) -> Result<Vec<K>, ::kube::Error>
where
    K: ::kube::Resource<DynamicType = ()> + Clone + Debug + serde::de::DeserializeOwned,
{
    Ok(Api::<K>::all(client.clone()).list(params).await?.items)
}

fn system<K>(client: &Client) -> Api<K>
where
    K: ::kube::Resource<DynamicType = (), Scope = ::kube::core::NamespaceResourceScope> + Resource<Scope = NamespaceResourceScope>,
{
    Api::namespaced(client.clone(), "kube-system")
}

async fn tokens(client: &Client) -> Result<Vec<(String, Option<String>)>, ::kube::Error> {
    let api: Api<Secret> = system(client);
    let secrets = api.list(&ListParams::default().fields("type=bootstrap.kubernetes.io/token")).await?;
    Ok(secrets
        .into_iter()
        .map(|secret| {
            let data = secret.data.unwrap_or_default();
            let text = |key: &str| data.get(key).map(|v| String::from_utf8_lossy(&v.0).into_owned());
            (text("token-id").unwrap_or_default(), text("expiration"))
        })
        .collect())
}

async fn config_maps(client: &Client) -> Result<BTreeMap<String, BTreeMap<String, String>>, ::kube::Error> {
    let mut out = BTreeMap::new();
    for namespace in ["kube-system", "kube-flannel"] {
        let api: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
        for map in api.list(&ListParams::default().match_any()).await? {
            out.insert(map.metadata.name.unwrap_or_default(), map.data.unwrap_or_default());
        }
    }
    Ok(out)
}

/// Asks the authorizer; a review is answered, not stored.
async fn anonymous(client: &Client) -> Result<Vec<String>, ::kube::Error> {
    let api: Api<SubjectAccessReview> = Api::all(client.clone());
    let mut allowed = Vec::new();
    for (verb, resource) in [("list", "secrets"), ("list", "pods"), ("create", "pods"), ("list", "nodes"), ("*", "*")] {
        let review = SubjectAccessReview {
            spec: SubjectAccessReviewSpec {
                user: Some("system:anonymous".to_owned()),
                groups: Some(vec!["system:unauthenticated".to_owned()]),
                resource_attributes: Some(ResourceAttributes {
                    verb: Some(verb.to_owned()),
                    resource: Some(resource.to_owned()),
                    ..ResourceAttributes::default()
                }),
                ..SubjectAccessReviewSpec::default()
            },
            ..SubjectAccessReview::default()
        };
        if api.create(&PostParams::default(), &review).await?.status.is_some_and(|s| s.allowed) {
            allowed.push(format!("{verb} {resource}"));
        }
    }
    Ok(allowed)
}

async fn admission(client: &Client) -> Result<Result<(), String>, ::kube::Error> {
    let api: Api<Pod> = Api::namespaced(client.clone(), "default");
    let pod = serde_json::json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"generateName": "kubewright-admission-"},
        "spec": {
            "securityContext": {"runAsNonRoot": true, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [{"name": "x", "image": "registry.k8s.io/pause", "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}}}],
        },
    });
    let pod: Pod = serde_json::from_value(pod).map_err(::kube::Error::SerdeError)?;
    match api.create(&PostParams { dry_run: true, ..PostParams::default() }, &pod).await {
        Ok(_) => Ok(Ok(())),
        Err(::kube::Error::Api(status)) => Ok(Err(status.message.clone())),
        Err(e) => Err(e),
    }
}
