//! A cluster as commands begin with it: what is wanted, who provides the machines, where the local caches are.

use super::{OpsError, api::ApiError, control_planes::ControlPlanes, hosts, provider, state::State};
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
    pub provider: Arc<dyn Provider>,
    /// Local caches and logs.
    pub state: State,
}

impl Cluster {
    /// Reads and validates `cluster.yaml` and finds its provider. Touches nothing.
    pub async fn open(directory: &Path) -> Result<Self, OpsError> {
        let mut spec = crate::spec::load(directory)?;
        // The operator's key belongs to the inventory: a relative path starts there, whatever directory we are in.
        let logins = spec.registries.iter_mut().filter_map(|r| r.login.as_mut()).map(|l| &mut l.password_file);
        let files = spec.access.key.iter_mut().chain(spec.backup.as_mut().and_then(|b| b.credentials.as_mut())).chain(logins);
        for key in files {
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
    pub fn connector(&self, provision: &Provision) -> Arc<Network> {
        Arc::new(Network::new(hosts::dialled(&self.spec, provision, hosts::Patience::Up), LoginDefaults::default()))
    }

    /// Ways to the cluster through its control planes.
    pub fn control_planes(&self, provision: &Provision, connector: &Arc<Network>) -> ControlPlanes {
        let planes = provision.machines.iter().filter(|m| m.pool == ClusterSpec::CONTROL_PLANE);
        ControlPlanes::new(Arc::clone(connector), planes.map(|m| m.name.clone()))
    }

    /// A connection to a control plane that has the cluster, and its name.
    pub async fn control_plane(&self, provision: &Provision, connector: &Arc<Network>) -> Result<(String, Arc<dyn Connection>), OpsError> {
        let initialised = |host: String, connection: Arc<dyn Connection>| async move {
            let look = connection.run("exec sudo -n test -s /etc/kubernetes/admin.conf", b"").await?;
            if look.rc == 0 { Ok((host, connection)) } else { Err(ApiError::NotInitialised { host }.into()) }
        };
        let none = || OpsError::NoCluster(self.spec.name.clone());
        let planes = self.control_planes(provision, connector);
        planes.first(initialised).await.map_err(|errors: Vec<OpsError>| errors.into_iter().next().unwrap_or_else(none))
    }

    /// The Kubernetes API as the operator, through a control plane that works.
    pub async fn api(&self, provision: &Provision, connector: &Arc<Network>) -> Result<super::api::Access, OpsError> {
        let planes = self.control_planes(provision, connector);
        Ok(super::api::access(&self.spec, &self.state, &planes, super::OPERATOR, super::OPERATOR_GROUP).await?)
    }
}
