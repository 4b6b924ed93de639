//! Which PodDisruptionBudgets would hold pods just now: for dry runs.

use super::{ClusterError, PodRef, doing};
use ::kube::{
    Api, Client,
    api::ListParams,
    core::{Selector, SelectorExt as _},
};
use k8s_openapi::api::{core::v1::Pod, policy::v1::PodDisruptionBudget};

/// One line for each pod that a budget without room covers.
pub async fn held_by_budgets(client: &Client, pods: &[PodRef]) -> Result<Vec<String>, ClusterError> {
    let api: Api<PodDisruptionBudget> = Api::all(client.clone());
    let mut tight = doing("list the disruption budgets", api.list(&ListParams::default()).await)?.items;
    tight.retain(|b| b.status.as_ref().is_some_and(|s| s.disruptions_allowed.unwrap_or_default() <= 0));
    let mut held = Vec::new();
    for pod in pods {
        let candidates: Vec<&PodDisruptionBudget> =
            tight.iter().filter(|b| b.metadata.namespace.as_deref() == Some(pod.namespace.as_str())).collect();
        if candidates.is_empty() {
            continue;
        }
        let pods: Api<Pod> = Api::namespaced(client.clone(), &pod.namespace);
        let Some(found) = doing(format!("read pod {pod}"), pods.get_opt(&pod.name).await)? else { continue };
        let labels = found.metadata.labels.unwrap_or_default();
        for budget in candidates {
            let selector = budget.spec.as_ref().and_then(|s| s.selector.clone()).unwrap_or_default();
            let Ok(selector) = Selector::try_from(selector) else { continue };
            let Some(status) = budget.status.as_ref().filter(|_| selector.matches(&labels)) else { continue };
            held.push(format!(
                "pod {pod} would wait: budget {}/{} needs {} healthy pods and has {}",
                pod.namespace,
                budget.metadata.name.as_deref().unwrap_or_default(),
                status.desired_healthy.unwrap_or_default(),
                status.current_healthy.unwrap_or_default()
            ));
        }
    }
    Ok(held)
}
