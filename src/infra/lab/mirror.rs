//! The mirror: one container beside the nodes that serves packages and images, as a company's mirror would. Its server is a
//! static program in the served directory, so it needs no image of its own.

use super::{
    artefacts::{Serves, Wanted},
    docker::{Engine, failed, status},
    labels, machine, network,
};
use crate::{infra::InfraError, spec::ClusterSpec};
use bollard::{
    models::{
        ContainerCreateBody, ContainerSummary, ContainerSummaryStateEnum, EndpointIpamConfig, EndpointSettings, HostConfig,
        NetworkingConfig, RestartPolicy, RestartPolicyNameEnum,
    },
    query_parameters::CreateContainerOptions,
};
use std::{collections::HashMap, net::Ipv4Addr, time::Duration};

/// Port of the registry.
const REGISTRY: u16 = 5000;
/// A static program that only opens two ports.
const START_DEADLINE: Duration = Duration::from_secs(10);

/// Its address: the sixth of the VPC, which no machine gets (they begin at .10).
pub(super) fn address(spec: &ClusterSpec) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(spec.network.vpc.network()) + 5)
}

/// `host:port` for image names.
pub(super) fn registry(spec: &ClusterSpec) -> String {
    format!("{}:{REGISTRY}", address(spec))
}

/// The package repository.
pub(super) fn packages(spec: &ClusterSpec) -> crate::spec::PackageRepository {
    let base = format!("http://{}/apt", address(spec));
    crate::spec::PackageRepository { url: format!("{base}/"), key_url: format!("{base}/key.asc") }
}

/// The cluster's mirror, if there is one.
pub(super) async fn find(engine: &Engine, cluster: &str) -> Result<Option<ContainerSummary>, InfraError> {
    Ok(engine.containers(cluster, labels::ROLE_MIRROR).await?.into_iter().next())
}

fn label<'a>(found: &'a ContainerSummary, key: &str) -> Option<&'a str> {
    found.labels.as_ref().and_then(|l| l.get(key)).map(String::as_str)
}

/// What it serves.
pub(super) fn serves(found: &ContainerSummary) -> Serves {
    if label(found, labels::SERVES) == Some(labels::SERVES_OURS) { Serves::Ours } else { Serves::All }
}

/// Whether it is the one that is wanted.
pub(super) fn is_current(found: &ContainerSummary, wanted: Serves) -> bool {
    serves(found) == wanted && label(found, labels::SPEC_HASH) == Some(&Wanted::server())
}

/// Whether it runs.
pub(super) fn is_running(found: &ContainerSummary) -> bool {
    found.state == Some(ContainerSummaryStateEnum::RUNNING)
}

/// Makes it run.
pub(super) async fn ensure(engine: &Engine, spec: &ClusterSpec, image: &str, wanted: &Wanted, serving: Serves) -> Result<(), InfraError> {
    let name = format!("{}-mirror", network::name(&spec.name));
    let found = find(engine, &spec.name).await?;
    if let Some(id) = found.as_ref().filter(|f| !is_current(f, serving)).and_then(|f| f.id.as_ref()) {
        engine.remove(id, &name).await?;
    }
    if !found.as_ref().is_some_and(|f| is_current(f, serving)) {
        let options = CreateContainerOptions { name: Some(name.clone()), ..Default::default() };
        match engine.api.create_container(Some(options), body(spec, image, wanted, serving)).await {
            Err(e) if status(&e) != Some(409) => return Err(failed(&format!("creating container {name}"), &e)),
            _ => {}
        }
    }
    machine::start(engine, &name).await?;
    answers(spec).await
}

fn body(spec: &ClusterSpec, image: &str, wanted: &Wanted, serving: Serves) -> ContainerCreateBody {
    let serves = if serving == Serves::All { labels::SERVES_ALL } else { labels::SERVES_OURS };
    let labels = [
        (labels::CLUSTER, spec.name.clone()),
        (labels::ROLE, labels::ROLE_MIRROR.to_owned()),
        (labels::SERVES, serves.to_owned()),
        (labels::SPEC_HASH, Wanted::server()),
    ];
    ContainerCreateBody {
        image: Some(image.to_owned()),
        hostname: Some("mirror".to_owned()),
        entrypoint: Some(vec!["/srv/mirror/server".to_owned(), "/srv/mirror".to_owned()]),
        labels: Some(labels.into_iter().map(|(k, v)| (k.to_owned(), v)).collect()),
        stop_signal: Some("SIGKILL".to_owned()),
        host_config: Some(HostConfig {
            binds: Some(vec![format!("{}:/srv/mirror:ro", wanted.directory().display())]),
            restart_policy: Some(RestartPolicy { name: Some(RestartPolicyNameEnum::UNLESS_STOPPED), maximum_retry_count: None }),
            ..Default::default()
        }),
        networking_config: Some(NetworkingConfig {
            endpoints_config: Some(HashMap::from([(
                network::name(&spec.name),
                EndpointSettings {
                    ipam_config: Some(EndpointIpamConfig { ipv4_address: Some(address(spec).to_string()), ..Default::default() }),
                    ..Default::default()
                },
            )])),
        }),
        ..Default::default()
    }
}

/// Waits until the registry's port is open.
async fn answers(spec: &ClusterSpec) -> Result<(), InfraError> {
    let address = (address(spec), REGISTRY);
    let connect = async {
        while tokio::net::TcpStream::connect(address).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(START_DEADLINE, connect).await.map_err(|_| InfraError::Failed {
        what: "starting the mirror".to_owned(),
        why: format!("port {REGISTRY} of {} does not open within {} s", address.0, START_DEADLINE.as_secs()),
        hint: Some(format!("see: docker logs {}-mirror", network::name(&spec.name))),
    })
}
