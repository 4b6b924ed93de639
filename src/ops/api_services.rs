//! The cluster's API for the engine: tasks that need it are handed here.

use super::{
    control_planes::ControlPlanes,
    services::{ClusterServices, KubeTask},
};
use crate::{
    engine::Services,
    modules::{Control, TaskResult},
    template::Scope,
};
use async_trait::async_trait;
use indexmap::IndexMap;
use minijinja::Value;

/// The cluster's API for the engine's tasks.
pub struct ApiServices {
    /// What to do.
    pub services: ClusterServices,
    /// Ways to the control planes, the leading one first.
    pub control_planes: ControlPlanes,
}

#[async_trait]
impl Services for ApiServices {
    async fn control(&self, _: &str, control: &Control, check: bool, _: &dyn Scope) -> TaskResult {
        let applied;
        let (action, args) = match control {
            Control::Kube { action, args } => (action.as_str(), args),
            Control::KubeApply { manifest, field_manager } => {
                applied = IndexMap::from([
                    ("manifest".to_owned(), Value::from(manifest.as_str())),
                    ("field_manager".to_owned(), Value::from(field_manager.as_str())),
                ]);
                ("apply", &applied)
            }
            _ => return TaskResult::failure("not a task of the cluster's API"),
        };
        if self.control_planes.names().is_empty() {
            return TaskResult::failure("the cluster has no control plane");
        }
        self.services.run(&self.control_planes, &KubeTask { action, args, check }).await
    }

    async fn ask(&self, _: &str, _: bool) -> Option<String> {
        None
    }
}
