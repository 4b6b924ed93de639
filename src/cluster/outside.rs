//! What controllers of the cluster made outside of it: load balancers for Services, volumes for claims. Before a cluster is destroyed
//! they go the way they came, while those controllers live: nobody else knows all of what they made.

use super::{ClusterError, Wait, doing};
use ::kube::{
    Api, Client, Resource,
    api::{DeleteParams, ListParams},
};
use k8s_openapi::{
    NamespaceResourceScope,
    api::{
        apps::v1::StatefulSet,
        core::v1::{PersistentVolume, PersistentVolumeClaim, Pod, Service},
    },
};
use serde::de::DeserializeOwned;
use std::{collections::BTreeSet, fmt, time::Duration};

/// An object in a namespace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Named {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// What stands outside for this cluster's objects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outside {
    /// Services of type LoadBalancer, and where they lead.
    pub services: Vec<(Named, Option<String>)>,
    /// Claims whose volume a storage driver (CSI) made, and that volume.
    pub claims: Vec<(Named, String)>,
    /// StatefulSets that would make claims anew.
    pub stateful_sets: Vec<Named>,
}

impl Outside {
    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.services.is_empty() && self.claims.is_empty()
    }
}

/// Looks for it. Reads only.
pub async fn outside(client: &Client) -> Result<Outside, ClusterError> {
    let all = ListParams::default();
    let (services, claims, volumes, sets) = futures::try_join!(
        list::<Service>(client, "Services"),
        list::<PersistentVolumeClaim>(client, "volume claims"),
        async { doing("list volumes", Api::<PersistentVolume>::all(client.clone()).list(&all).await) },
        list::<StatefulSet>(client, "StatefulSets"),
    )?;
    let driven: BTreeSet<String> =
        volumes.into_iter().filter(|v| v.spec.as_ref().is_some_and(|s| s.csi.is_some())).filter_map(|v| v.metadata.name).collect();
    let balanced = |s: &Service| s.spec.as_ref().is_some_and(|s| s.type_.as_deref() == Some("LoadBalancer"));
    let leads = |s: &Service| {
        let ingress = s.status.as_ref()?.load_balancer.as_ref()?.ingress.as_ref()?.first()?;
        ingress.hostname.clone().or_else(|| ingress.ip.clone())
    };
    let volume = |c: &PersistentVolumeClaim| c.spec.as_ref()?.volume_name.clone().filter(|v| driven.contains(v));
    let claiming = |s: &StatefulSet| s.spec.as_ref().is_some_and(|s| s.volume_claim_templates.as_ref().is_some_and(|t| !t.is_empty()));
    Ok(Outside {
        services: services.iter().filter(|s| balanced(s)).map(|s| (named(s), leads(s))).collect(),
        claims: claims.iter().filter_map(|c| Some((named(c), volume(c)?))).collect(),
        stateful_sets: sets.iter().filter(|s| claiming(s)).map(named).collect(),
    })
}

/// Deletes the Services, and the claims with whatever uses them (`claims`; else they stay), and waits until their controllers have
/// taken away what they made. What is left when `within` is over is named in the error.
pub async fn take_away(client: &Client, what: &Outside, claims: bool, within: Duration) -> Result<(), ClusterError> {
    for (service, _) in &what.services {
        delete::<Service>(client, service).await?;
    }
    if claims && !what.claims.is_empty() {
        for set in &what.stateful_sets {
            delete::<StatefulSet>(client, set).await?;
        }
        for (claim, _) in &what.claims {
            delete::<PersistentVolumeClaim>(client, claim).await?;
        }
        // A claim stays while a pod uses it, and no new pod begins with a claim that is going.
        for pod in list::<Pod>(client, "pods").await?.iter().filter(|p| uses(p, &what.claims)) {
            delete::<Pod>(client, &named(pod)).await?;
        }
    }
    let mut wait = Wait::new("load balancers and volumes taken away by their controllers", within);
    loop {
        let now = outside(client).await?;
        let mut left: Vec<String> = now.services.iter().map(|(s, _)| format!("Service {s}")).collect();
        if claims {
            left.extend(now.claims.iter().map(|(c, v)| format!("claim {c} (volume {v})")));
            left.extend(orphans(client, &what.claims).await?);
        }
        if left.is_empty() {
            return Ok(());
        }
        wait.not_yet(format!("still there: {}", left.join(", "))).await?;
    }
}

/// Volumes whose claim is gone and that their driver has not deleted yet. Those that are to be kept (`Retain`) are not waited for.
async fn orphans(client: &Client, claims: &[(Named, String)]) -> Result<Vec<String>, ClusterError> {
    let api: Api<PersistentVolume> = Api::all(client.clone());
    let volumes = doing("list volumes", api.list(&ListParams::default()).await)?;
    let goes = |v: &PersistentVolume| v.spec.as_ref().is_some_and(|s| s.persistent_volume_reclaim_policy.as_deref() == Some("Delete"));
    let names = volumes.iter().filter(|v| goes(v)).filter_map(|v| v.metadata.name.clone());
    Ok(names.filter(|name| claims.iter().any(|(_, volume)| volume == name)).map(|name| format!("volume {name}")).collect())
}

fn uses(pod: &Pod, claims: &[(Named, String)]) -> bool {
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let volumes = pod.spec.iter().flat_map(|s| s.volumes.iter().flatten());
    let mut names = volumes.filter_map(|v| v.persistent_volume_claim.as_ref()).map(|c| c.claim_name.as_str());
    names.any(|name| claims.iter().any(|(claim, _)| claim.namespace == namespace && claim.name == name))
}

async fn list<K>(client: &Client, what: &str) -> Result<Vec<K>, ClusterError>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + DeserializeOwned + fmt::Debug,
{
    Ok(doing(format!("list {what}"), Api::<K>::all(client.clone()).list(&ListParams::default()).await)?.items)
}

fn named<K: Resource>(object: &K) -> Named {
    let meta = object.meta();
    Named { namespace: meta.namespace.clone().unwrap_or_default(), name: meta.name.clone().unwrap_or_default() }
}

/// That it is gone already is fine.
async fn delete<K>(client: &Client, object: &Named) -> Result<(), ClusterError>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + DeserializeOwned + fmt::Debug,
{
    match Api::<K>::namespaced(client.clone(), &object.namespace).delete(&object.name, &DeleteParams::background()).await {
        Err(::kube::Error::Api(status)) if status.code == 404 => Ok(()),
        other => doing(format!("delete {} {object}", K::kind(&())), other).map(drop),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_uses_claims_of_its_own_namespace() {
        let pod = |namespace: &str, claim: &str| -> Pod {
            serde_json::from_value(serde_json::json!({
                "metadata": {"name": "p", "namespace": namespace},
                "spec": {"containers": [], "volumes": [{"name": "t", "emptyDir": {}}, {"name": "d", "persistentVolumeClaim": {"claimName": claim}}]}
            }))
            .unwrap()
        };
        let claims = [(Named { namespace: "a".into(), name: "data".into() }, "pv-1".to_owned())];
        assert!(uses(&pod("a", "data"), &claims));
        assert!(!uses(&pod("b", "data"), &claims));
        assert!(!uses(&pod("a", "other"), &claims));
    }
}
