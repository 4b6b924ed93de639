//! A cluster as commands begin with it: what is wanted, who provides the machines, where the local caches are.

use super::{OpsError, hosts, provider, state::State};
use crate::{
    connection::Connection,
    engine::{LoginDefaults, Network},
    infra::{Provider, Provision},
    spec::ClusterSpec,
};
use std::{path::Path, sync::Arc};

/// A cluster by its inventory directory.
pub struct Cluster {
    /// What is wanted.
    pub spec: Arc<ClusterSpec>,
    /// Where machines come from.
    pub provider: Box<dyn Provider>,
    /// Local caches and logs.
    pub state: State,
}

impl Cluster {
    /// Reads and validates `cluster.yaml` and finds its provider. Touches nothing.
    pub async fn open(directory: &Path) -> Result<Self, OpsError> {
        let mut spec = crate::spec::load(directory)?;
        // The operator's key belongs to the inventory: a relative path starts there, whatever directory we are in.
        if let Some(key) = &mut spec.access.key {
            let base = std::path::absolute(&spec.directory)
                .map_err(|source| OpsError::Local { what: "cannot find the inventory".into(), source })?;
            *key = base.join(&*key);
        }
        let spec = Arc::new(spec);
        let provider = provider::of(&spec).await?;
        let state = State::of(&spec.name);
        Ok(Self { spec, provider, state })
    }

    /// What exists. An error when nothing does.
    pub async fn discover(&self) -> Result<Provision, OpsError> {
        let provision = self.provider.discover(&self.spec).await?;
        if provision.machines.is_empty() {
            return Err(OpsError::NoCluster(self.spec.name.clone()));
        }
        Ok(provision)
    }

    /// Ways to the machines that exist.
    pub fn connector(&self, provision: &Provision) -> Network {
        Network::new(hosts::dialled(&self.spec, provision, false), LoginDefaults::default())
    }

    /// A connection to the first control plane, and its name.
    pub async fn control_plane(&self, provision: &Provision, connector: &Network) -> Result<(String, Arc<dyn Connection>), OpsError> {
        let machine = provision.machines.iter().find(|m| m.pool == "control-plane");
        let name = machine.map(|m| m.name.clone()).ok_or_else(|| OpsError::NoCluster(self.spec.name.clone()))?;
        let connection = connector.connect(&name).await?;
        Ok((name, connection))
    }

    /// The Kubernetes API as the operator, through the first control plane.
    pub async fn api(&self, provision: &Provision, connector: &Network) -> Result<super::api::Access, OpsError> {
        let (name, connection) = self.control_plane(provision, connector).await?;
        Ok(super::api::access(&self.spec, &self.state, &name, &connection, super::OPERATOR, super::OPERATOR_GROUP).await?)
    }
}
