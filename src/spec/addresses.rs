//! Default subnets and addresses: the same offsets in whatever range the machines have.

use super::{ClusterSpec, Network, Pool};
use ipnet::Ipv4Net;
use std::{collections::HashSet, net::Ipv4Addr};

/// First host number that machines get in a subnet; AWS reserves .0 to .3 and the last.
const FIRST: u32 = 10;
/// Each further pool begins this much later, so that a pool can grow without moving its neighbour.
const POOL_STEP: u32 = 40;

/// The `index`th /24 of a range: 10.0.0.0/16 → 10.0.0.0/24, 10.0.1.0/24, …; `None` where it does not fit.
pub(super) fn default_subnet(vpc: Ipv4Net, index: u32) -> Option<Ipv4Net> {
    if vpc.prefix_len() > 22 {
        return None;
    }
    let base = u32::from(vpc.network()).checked_add(index << 8)?;
    let net = Ipv4Net::new(Ipv4Addr::from(base), 24).ok()?;
    vpc.contains(&net).then_some(net)
}

/// Whether EC2 keeps an address of a subnet for itself: the network, the next three, and the last
/// (docs.aws.amazon.com/vpc/latest/userguide/subnet-sizing.html).
pub(super) fn reserved(subnet: Ipv4Net, address: Ipv4Addr) -> bool {
    let offset = u32::from(address).wrapping_sub(u32::from(subnet.network()));
    offset < 4 || address == subnet.broadcast()
}

/// Fills in what is missing: control planes .10, .20, .30 …; workers .10 in each subnet in turn, then .11 ….
/// A pool stays short where its subnets are full, and a check says so.
pub(super) fn assign(spec: &mut ClusterSpec) {
    let mut used: HashSet<Ipv4Addr> = spec.all_pools().flat_map(|p| p.addresses.clone()).chain(spec.balancers()).collect();
    fill(&mut spec.control_plane, FIRST, 10, &mut used);
    for (i, pool) in (0_u32..).zip(&mut spec.pools) {
        fill(pool, FIRST + i * POOL_STEP, 1, &mut used);
    }
}

fn fill(pool: &mut Pool, first: u32, step: usize, used: &mut HashSet<Ipv4Addr>) {
    // What is used stays used, so each subnet is walked once.
    let mut free: Vec<_> = pool.subnets.iter().map(|subnet| candidates(*subnet, first, step)).collect();
    for index in pool.addresses.len()..pool.count as usize {
        // In turn by place in the pool, so that the third machine is in the third subnet whoever wrote the first two.
        let turn = (0..free.len()).map(|i| (index + i) % free.len()).collect::<Vec<_>>();
        let Some(address) = turn.into_iter().find_map(|at| free.get_mut(at)?.find(|a| !used.contains(a))) else { return };
        used.insert(address);
        pool.addresses.push(address);
    }
}

/// Addresses of a subnet that a machine may have: `first`, `first + step`, …, then all.
fn candidates(subnet: Ipv4Net, first: u32, step: usize) -> impl Iterator<Item = Ipv4Addr> {
    let base = u32::from(subnet.network());
    let size = u32::from(subnet.broadcast()) - base;
    (first..size).step_by(step).chain(4..size).map(move |offset| Ipv4Addr::from(base + offset)).filter(move |a| !reserved(subnet, *a))
}

/// The subnets of a pool that names none.
pub(super) fn default_subnets(network: &Network, control_plane: bool) -> Vec<Ipv4Net> {
    if control_plane || network.private_subnets.is_empty() { vec![network.public_subnet] } else { network.private_subnets.clone() }
}
