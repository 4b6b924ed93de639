//! The machines that a specification asks for, one by one.

use super::{ClusterSpec, Pool, Provider};
use ipnet::Ipv4Net;
use std::net::Ipv4Addr;

/// The balancer's place in a subnet: after what EC2 keeps (.0 to .3) and the lab's mirror (.5), before the machines (.10).
const BALANCER: u32 = 6;

/// One machine that is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeSpec<'a> {
    /// Node name: `worker-2`.
    pub name: String,
    /// Its pool.
    pub pool: &'a Pool,
    /// Whether it is a control plane.
    pub control_plane: bool,
    /// Its private address; `None` for a static host that is known by name only.
    pub address: Option<Ipv4Addr>,
    /// The subnet that the address lies in; `None` for static hosts.
    pub subnet: Option<Ipv4Net>,
}

impl ClusterSpec {
    /// Name of the control planes' pool.
    pub const CONTROL_PLANE: &'static str = "control-plane";

    /// The control planes' pool, then the workers'.
    pub fn all_pools(&self) -> impl Iterator<Item = &Pool> {
        std::iter::once(&self.control_plane).chain(&self.pools)
    }

    /// All machines: control planes first, then pool by pool. Pools are named `NAME-1`, `NAME-2`, …; static hosts have
    /// names of their own.
    pub fn nodes(&self) -> Vec<NodeSpec<'_>> {
        if let Provider::Static(hosts) = &self.provider {
            return self
                .all_pools()
                .flat_map(|pool| {
                    hosts.iter().filter(|h| h.pool == pool.name).map(move |h| NodeSpec {
                        name: h.name.clone(),
                        pool,
                        control_plane: pool.name == Self::CONTROL_PLANE,
                        address: h.private_address.or_else(|| h.address.parse().ok()),
                        subnet: None,
                    })
                })
                .collect();
        }
        self.all_pools()
            .flat_map(|pool| {
                (0..pool.count as usize).map(move |i| {
                    let address = pool.addresses.get(i).copied();
                    NodeSpec {
                        name: format!("{}-{}", pool.name, i + 1),
                        pool,
                        control_plane: pool.name == Self::CONTROL_PLANE,
                        address,
                        subnet: address.and_then(|a| self.network.subnets().find(|s| s.contains(&a))),
                    }
                })
            })
            .collect()
    }

    /// Addresses of the load balancer before several control planes, one in each of their subnets; empty: there is none.
    /// The lab's is one container; with `static` machines it is somebody else's.
    pub fn balancers(&self) -> Vec<Ipv4Addr> {
        if let Provider::Static(_) = self.provider {
            return self.access.api_address.into_iter().collect();
        }
        if self.control_plane.count < 2 {
            return Vec::new();
        }
        let addresses = self.control_plane.subnets.iter().map(|subnet| Ipv4Addr::from(u32::from(subnet.network()) + BALANCER));
        let most = if matches!(self.provider, Provider::Lab(_)) { 1 } else { usize::MAX };
        addresses.take(most).collect()
    }

    /// The stable name of the API: `api.NAME.internal`. It is `controlPlaneEndpoint` with one control plane too.
    pub fn api_name(&self) -> String {
        format!("api.{}.internal", self.name)
    }
}

impl super::Network {
    /// The public subnet, then the private ones.
    pub fn subnets(&self) -> impl Iterator<Item = Ipv4Net> + '_ {
        std::iter::once(self.public_subnet).chain(self.private_subnets.iter().copied())
    }
}
