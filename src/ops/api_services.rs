//! The cluster's API for the engine: tasks that need it are handed here.

use super::services::{ClusterServices, KubeTask};
use crate::{
    engine::{Network, Services},
    modules::{Control, TaskResult},
    template::Scope,
};
use async_trait::async_trait;
use indexmap::IndexMap;
use minijinja::Value;
use std::sync::Arc;

/// The cluster's API for the engine's tasks.
pub struct ApiServices {
    /// What to do.
    pub services: ClusterServices,
    /// Ways to the machines.
    pub connector: Arc<Network>,
    /// Names of the control planes, the first one first.
    pub control_planes: Vec<String>,
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
        let Some(name) = self.control_planes.first() else { return TaskResult::failure("the cluster has no control plane") };
        match self.connector.connect(name).await {
            Ok(connection) => self.services.run(name, &connection, &KubeTask { action, args, check }).await,
            Err(error) => TaskResult::failure(error.to_string()),
        }
    }

    async fn ask(&self, _: &str, _: bool) -> Option<String> {
        None
    }
}
