//! What Docker says of the machines: the lab's form of EC2's status checks.

use super::{
    docker::{Engine, failed},
    labels,
};
use crate::infra::{Aspect, InfraError, MachineHealth};
use bollard::models::{ContainerState, ContainerStateStatusEnum};
use futures::future::try_join_all;

/// The state of each machine's container.
pub(super) async fn look(engine: &Engine, cluster: &str) -> Result<Vec<MachineHealth>, InfraError> {
    let found = engine.containers(cluster, labels::ROLE_NODE).await?;
    let looks = found.iter().filter_map(|c| {
        let machine = c.labels.as_ref()?.get(labels::NODE)?.clone();
        let id = c.id.clone()?;
        Some(async move {
            let inspected = engine.api.inspect_container(&id, None).await;
            let state = inspected.map_err(|e| failed(&format!("inspecting {machine}"), &e))?.state;
            Ok::<_, InfraError>(judge(machine, state.as_ref()))
        })
    });
    try_join_all(looks).await
}

fn judge(machine: String, state: Option<&ContainerState>) -> MachineHealth {
    let status = state.and_then(|s| s.status);
    let word = status.map_or_else(|| "unknown".to_owned(), |s| s.to_string());
    let code = state.and_then(|s| s.exit_code).unwrap_or_default();
    let more = if status == Some(ContainerStateStatusEnum::EXITED) { format!(" (exit code {code})") } else { String::new() };
    MachineHealth {
        machine,
        aspect: Aspect::Status,
        observed: format!("container {word}{more}"),
        fine: status.map(|s| s == ContainerStateStatusEnum::RUNNING),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_running_container_is_a_running_machine() {
        let of =
            |status| judge("worker-1".into(), Some(&ContainerState { status: Some(status), exit_code: Some(137), ..Default::default() }));
        assert_eq!(of(ContainerStateStatusEnum::RUNNING).fine, Some(true));
        assert_eq!(of(ContainerStateStatusEnum::PAUSED).observed, "container paused");
        assert_eq!(of(ContainerStateStatusEnum::EXITED).observed, "container exited (exit code 137)");
        assert_eq!((of(ContainerStateStatusEnum::EXITED).fine, judge("x".into(), None).fine), (Some(false), None));
    }
}
