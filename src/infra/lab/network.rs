//! The cluster's VPC: one Docker network. Its range is compared with everything that the host already routes first.

use super::{
    docker::{Engine, failed, status},
    host, labels,
};
use crate::{infra::InfraError, spec::ClusterSpec};
use bollard::models::{Ipam, IpamConfig, NetworkCreateRequest};
use ipnet::Ipv4Net;
use std::{collections::HashMap, net::Ipv4Addr};

/// `kubewright-CLUSTER`.
pub(super) fn name(cluster: &str) -> String {
    format!("kubewright-{cluster}")
}

/// The router of the VPC, which is this host: the first address, as on EC2.
pub(super) fn gateway(spec: &ClusterSpec) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(spec.network.vpc.network()) + 1)
}

/// Whether the cluster's network is there.
pub(super) async fn exists(engine: &Engine, spec: &ClusterSpec) -> Result<bool, InfraError> {
    let name = name(&spec.name);
    match engine.api.inspect_network(&name, None).await {
        Ok(found) => {
            let subnet = found.ipam.and_then(|i| i.config).and_then(|c| c.into_iter().find_map(|c| c.subnet));
            if subnet.as_deref() == Some(&spec.network.vpc.to_string()) {
                return Ok(true);
            }
            Err(InfraError::Missing {
                what: format!(
                    "Docker network {name} is {}, and network.vpc says {}",
                    subnet.unwrap_or_else(|| "without a range".to_owned()),
                    spec.network.vpc
                ),
                hint: "a network's range cannot be changed: destroy the lab first, or set network.vpc back".to_owned(),
            })
        }
        Err(e) if status(&e) == Some(404) => Ok(false),
        Err(e) => Err(failed(&format!("looking for network {name}"), &e)),
    }
}

/// Creates the network if it is missing. Returns whether it did.
pub(super) async fn ensure(engine: &Engine, spec: &ClusterSpec) -> Result<bool, InfraError> {
    if exists(engine, spec).await? {
        return Ok(false);
    }
    check_free(engine, spec).await?;
    let name = name(&spec.name);
    let config = IpamConfig { subnet: Some(spec.network.vpc.to_string()), gateway: Some(gateway(spec).to_string()), ..Default::default() };
    let request = NetworkCreateRequest {
        name: name.clone(),
        driver: Some("bridge".to_owned()),
        ipam: Some(Ipam { config: Some(vec![config]), ..Default::default() }),
        labels: Some(HashMap::from([(labels::CLUSTER.to_owned(), spec.name.clone())])),
        ..Default::default()
    };
    match engine.api.create_network(request).await {
        Ok(_) => Ok(true),
        // Somebody else was faster.
        Err(e) if status(&e) == Some(409) => Ok(false),
        Err(e) => Err(failed(&format!("creating network {name} ({})", spec.network.vpc), &e)),
    }
}

/// Fails when the range is in use on this host: by another Docker network, or by a route such as a VPN's.
pub(super) async fn check_free(engine: &Engine, spec: &ClusterSpec) -> Result<(), InfraError> {
    let vpc = spec.network.vpc;
    let networks = engine.api.list_networks(None).await.map_err(|e| failed("listing networks", &e))?;
    let docker = networks.iter().flat_map(|n| {
        let configs = n.ipam.as_ref().and_then(|i| i.config.as_ref()).into_iter().flatten();
        configs.filter_map(|c| c.subnet.as_deref()?.parse::<Ipv4Net>().ok()).map(|net| (net, n.name.clone().unwrap_or_default()))
    });
    let taken = docker
        .map(|(net, name)| (net, format!("Docker network {name}")))
        .chain(host::routes().into_iter().map(|(net, interface)| (net, format!("a route of this host over {interface}"))));
    match overlapping(vpc, taken) {
        None => Ok(()),
        Some((net, owner)) => Err(InfraError::Missing {
            what: format!("network.vpc {vpc} overlaps {net}, which is {owner}"),
            hint: "choose a free range, such as network.vpc: 172.30.0.0/16; subnets and addresses follow it".to_owned(),
        }),
    }
}

fn overlapping(vpc: Ipv4Net, mut taken: impl Iterator<Item = (Ipv4Net, String)>) -> Option<(Ipv4Net, String)> {
    taken.find(|(net, _)| net.contains(&vpc.network()) || vpc.contains(&net.network()))
}

/// Removes the network. Returns whether it was there.
pub(super) async fn remove(engine: &Engine, cluster: &str) -> Result<bool, InfraError> {
    let name = name(cluster);
    match engine.api.remove_network(&name).await {
        Ok(()) => Ok(true),
        Err(e) if status(&e) == Some(404) => Ok(false),
        Err(e) => Err(failed(&format!("removing network {name}"), &e)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlap_is_seen_both_ways() {
        let net = |s: &str| s.parse::<Ipv4Net>().unwrap();
        let find = |vpc: &str, other: &str| overlapping(net(vpc), std::iter::once((net(other), "x".to_owned()))).is_some();
        assert!(find("10.0.0.0/16", "10.0.0.0/8"));
        assert!(find("10.0.0.0/16", "10.0.3.0/24"));
        assert!(find("10.0.0.0/16", "10.0.0.0/16"));
        assert!(!find("10.0.0.0/16", "10.1.0.0/16"));
    }
}
