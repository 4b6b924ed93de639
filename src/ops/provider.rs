//! Spec → the provider that it names.

use super::OpsError;
use crate::{
    event::Events,
    infra::{Change, InfraError, Machine, MachineState, Provider, Provision, Volumes},
    spec::{self, ClusterSpec},
};
use async_trait::async_trait;
use std::sync::Arc;

/// The provider of a spec. Dials nothing yet.
pub async fn of(spec: &ClusterSpec) -> Result<Arc<dyn Provider>, OpsError> {
    match &spec.provider {
        spec::Provider::Lab(settings) => Ok(Arc::new(crate::infra::lab::Lab::new(settings)?)),
        #[cfg(feature = "aws")]
        spec::Provider::Aws(settings) => Ok(Arc::new(crate::infra::aws::Aws::connect(settings).await?)),
        #[cfg(not(feature = "aws"))]
        spec::Provider::Aws(_) => {
            let problem = crate::text::Problem::new("this kubewright was built without EC2")
                .hint("build it with `cargo build --release --features aws`");
            Err(OpsError::Invalid(problem.into()))
        }
        spec::Provider::Static(_) => Ok(Arc::new(Static)),
    }
}

/// Machines that exist already: nothing to make, nothing to delete.
struct Static;

#[async_trait]
impl Provider for Static {
    async fn plan(&self, _: &ClusterSpec) -> Result<Vec<Change>, InfraError> {
        Ok(Vec::new())
    }

    async fn apply(&self, spec: &ClusterSpec, _: &Events) -> Result<Provision, InfraError> {
        self.discover(spec).await
    }

    async fn apply_machines(&self, spec: &ClusterSpec, _: &[String], _: &Events) -> Result<Provision, InfraError> {
        self.discover(spec).await
    }

    async fn delete_machine(&self, spec: &ClusterSpec, machine: &Machine, _: &Events) -> Result<(), InfraError> {
        Err(InfraError::Missing {
            what: format!("{} was not made by kubewright, so it does not delete it", machine.name),
            hint: format!("take Kubernetes off it: kubewright reset -i {} {}", spec.directory.display(), machine.name),
        })
    }

    fn makes_machines(&self) -> bool {
        false
    }

    async fn discover(&self, spec: &ClusterSpec) -> Result<Provision, InfraError> {
        let spec::Provider::Static(hosts) = &spec.provider else { return Ok(Provision::default()) };
        let mut machines = Vec::new();
        for host in hosts {
            let private = host.private_address.or_else(|| host.address.parse().ok()).ok_or_else(|| InfraError::Missing {
                what: format!("host {} has a name as its address and no private_address", host.name),
                hint: format!("add `private_address:` to host {} in cluster.yaml", host.name),
            })?;
            machines.push(Machine {
                id: host.name.clone(),
                name: host.name.clone(),
                pool: host.pool.clone(),
                instance_type: String::new(),
                zone: None,
                private_address: private,
                dial_address: Some(host.address.clone()),
                ssh_port: host.port,
                user: spec.access.user.clone(),
                host_keys: host.host_key.iter().cloned().collect(),
                one_time_key: false,
                jump: host.jump.clone(),
                state: MachineState::Running,
                provider_id: None,
                launched: None,
            });
        }
        Ok(Provision { machines, api_balancer: spec.balancers(), ..Provision::default() })
    }

    async fn destroy(&self, spec: &ClusterSpec, _: Volumes, _: &Events) -> Result<Vec<Change>, InfraError> {
        Err(InfraError::Missing {
            what: format!("the machines of {} were not made by kubewright, so it does not delete them", spec.name),
            hint: format!("take Kubernetes off them: kubewright reset -i {}", spec.directory.display()),
        })
    }
}
