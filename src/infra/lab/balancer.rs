//! The load balancer before several control planes: HAProxy in a container of its own, where EC2 has an NLB. It passes TCP
//! through and asks each control plane's /readyz; its configuration is read back, so that drift shows.

use super::{
    archive::Archive,
    docker::{Engine, failed, status},
    image, labels, machine, network, nft,
};
use crate::{
    event::Events,
    infra::{InfraError, rules::Group},
    spec::{ClusterSpec, LabSettings},
};
use bollard::{
    models::{
        ContainerCreateBody, ContainerSummary, ContainerSummaryStateEnum, EndpointIpamConfig, EndpointSettings, HostConfig,
        NetworkingConfig, RestartPolicy, RestartPolicyNameEnum,
    },
    query_parameters::CreateContainerOptions,
};
use std::{collections::HashMap, fmt::Write, net::Ipv4Addr, path::Path, time::Duration};

const CONFIG: &str = "etc/haproxy/haproxy.cfg";
const API_PORT: u16 = 6443;
/// HAProxy only reads one small file.
const START_DEADLINE: Duration = Duration::from_secs(10);

/// Its address; `None`: the cluster has one control plane, and its name leads there.
pub(super) fn address(spec: &ClusterSpec) -> Option<Ipv4Addr> {
    spec.balancers().first().copied()
}

/// The cluster's balancer, if there is one.
pub(super) async fn find(engine: &Engine, cluster: &str) -> Result<Option<ContainerSummary>, InfraError> {
    Ok(engine.containers(cluster, labels::ROLE_BALANCER).await?.into_iter().next())
}

/// What it runs with: control planes by name. A check every second and two misses, where an NLB needs ten; a connection to
/// one that is down is closed, so that clients dial again.
pub(super) fn config(control_planes: &[(String, Ipv4Addr)]) -> String {
    let mut text = "\
global
  user haproxy
  group haproxy
  log stdout format raw local0 notice
defaults
  mode tcp
  log global
  timeout connect 3s
  timeout client 350s
  timeout server 350s
listen api
  bind :6443
  balance leastconn
  option httpchk GET /readyz
  http-check expect status 200
  default-server check check-ssl verify none inter 1s fastinter 500ms downinter 500ms fall 2 rise 1 on-marked-down shutdown-sessions
"
    .to_owned();
    for (name, address) in control_planes {
        // A String takes everything.
        let _ = writeln!(text, "  server {name} {address}:{API_PORT}");
    }
    text
}

/// What it should be and what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Difference {
    /// There is none.
    Missing,
    /// It does not run.
    Stopped,
    /// Its control planes are others, or its security group.
    Configuration,
    /// The cluster needs none.
    Surplus,
}

/// Compares; reads only.
pub(super) async fn difference(
    engine: &Engine,
    spec: &ClusterSpec,
    firewall: &nft::Firewall,
    control_planes: &[(String, Ipv4Addr)],
) -> Result<Option<Difference>, InfraError> {
    let found = find(engine, &spec.name).await?;
    let Some((found, id)) = found.as_ref().and_then(|f| Some((f, f.id.as_deref()?))) else {
        return Ok(address(spec).map(|_| Difference::Missing));
    };
    if address(spec).is_none() {
        return Ok(Some(Difference::Surplus));
    }
    // One that was made by a run that was killed has no configuration yet.
    if machine::is_half_made(found) {
        return Ok(Some(Difference::Missing));
    }
    if found.state != Some(ContainerSummaryStateEnum::RUNNING) {
        return Ok(Some(Difference::Stopped));
    }
    let read = engine.exec(id, &["cat", &format!("/{CONFIG}")]).await?;
    let loaded = machine::loaded_rules(engine, id).await?;
    let same = read.stdout == config(control_planes) && nft::drift(&nft::listing(firewall, Group::Balancer), &loaded).is_empty();
    Ok((!same).then_some(Difference::Configuration))
}

/// Makes it so. Connections through it live on when only its configuration changes.
pub(super) async fn ensure(
    engine: &Engine,
    spec: &ClusterSpec,
    settings: &LabSettings,
    cache: &Path,
    firewall: &nft::Firewall,
    control_planes: &[(String, Ipv4Addr)],
    events: &Events,
) -> Result<(), InfraError> {
    let Some(difference) = difference(engine, spec, firewall, control_planes).await? else { return Ok(()) };
    let name = format!("{}-balancer", network::name(&spec.name));
    let found = find(engine, &spec.name).await?.and_then(|f| f.id);
    let archive = || {
        Archive::new()
            .file(CONFIG, 0o644, &config(control_planes))
            .file(machine::RULES, 0o600, &nft::file(&nft::listing(firewall, Group::Balancer)))
            .finish()
    };
    let id = "lab/balancer";
    match (difference, found) {
        (Difference::Surplus, Some(found)) => events.step(id, "delete load balancer", None, engine.remove(&found, &name)).await,
        (Difference::Configuration, Some(found)) => {
            let reload = async {
                engine.upload(&found, archive()).await?;
                let script = format!("haproxy -c -q -f /{CONFIG} && nft -f /{} && kill -USR2 1", machine::RULES);
                let said = engine.exec(&found, &["sh", "-c", &script]).await?;
                if said.rc == 0 { Ok(()) } else { Err(failed("reloading the load balancer", &said.stderr.trim())) }
            };
            events.step(id, "load balancer: configuration", None, reload).await
        }
        (Difference::Stopped, Some(found)) => {
            let start = async {
                engine.upload(&found, archive()).await?;
                machine::start(engine, &name).await?;
                answers(engine, &name).await
            };
            events.step(id, "start load balancer", None, start).await
        }
        (_, found) => {
            let image = image::balancer(engine, settings, cache, events).await?;
            let create = async {
                if let Some(found) = found {
                    engine.remove(&found, &name).await?;
                }
                let options = CreateContainerOptions { name: Some(name.clone()), ..Default::default() };
                match engine.api.create_container(Some(options), body(spec, &image)).await {
                    Ok(made) => engine.upload(&made.id, archive()).await?,
                    Err(e) if status(&e) == Some(409) => {}
                    Err(e) => return Err(failed(&format!("creating container {name}"), &e)),
                }
                machine::start(engine, &name).await?;
                answers(engine, &name).await
            };
            events.step(id, "load balancer", None, create).await
        }
    }
}

fn body(spec: &ClusterSpec, image: &str) -> ContainerCreateBody {
    let address = address(spec).map(|a| a.to_string());
    let labels = [(labels::CLUSTER, spec.name.clone()), (labels::ROLE, labels::ROLE_BALANCER.to_owned())];
    ContainerCreateBody {
        image: Some(image.to_owned()),
        hostname: Some("balancer".to_owned()),
        labels: Some(labels.into_iter().map(|(k, v)| (k.to_owned(), v)).collect()),
        host_config: Some(HostConfig {
            cap_add: Some(vec!["NET_ADMIN".to_owned()]),
            restart_policy: Some(RestartPolicy { name: Some(RestartPolicyNameEnum::UNLESS_STOPPED), maximum_retry_count: None }),
            ..Default::default()
        }),
        networking_config: Some(NetworkingConfig {
            endpoints_config: Some(HashMap::from([(
                network::name(&spec.name),
                EndpointSettings {
                    ipam_config: Some(EndpointIpamConfig { ipv4_address: address, ..Default::default() }),
                    ..Default::default()
                },
            )])),
        }),
        ..Default::default()
    }
}

/// Waits until its port is open. Its security group drops what comes from this host, so it is asked inside.
async fn answers(engine: &Engine, name: &str) -> Result<(), InfraError> {
    let listens = async {
        while !engine.exec(name, &["ss", "-Hltn", "sport = :6443"]).await.is_ok_and(|said| said.stdout.contains("LISTEN")) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(START_DEADLINE, listens).await.map_err(|_| InfraError::Failed {
        what: "starting the load balancer".to_owned(),
        why: format!("port {API_PORT} does not open within {} s", START_DEADLINE.as_secs()),
        hint: Some(format!("see: docker logs {name}")),
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_control_plane_is_a_server_with_a_check() {
        let text =
            super::config(&[("control-plane-1".to_owned(), [10, 0, 0, 10].into()), ("control-plane-2".to_owned(), [10, 0, 0, 20].into())]);
        assert!(text.contains("\n  server control-plane-1 10.0.0.10:6443\n  server control-plane-2 10.0.0.20:6443\n"), "{text}");
        assert!(text.contains("option httpchk GET /readyz"));
    }
}
