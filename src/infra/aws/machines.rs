//! Instances as machines.

use super::{tags, world::World};
use crate::{
    infra::{Machine, MachineState, Provision},
    spec::ClusterSpec,
};

/// The machines of a world, control planes first, workers reached through the first control plane that the operator can dial.
pub fn provision(world: &World, spec: &ClusterSpec) -> Provision {
    let mut machines: Vec<Machine> = world
        .instances
        .iter()
        .filter(|i| i.state != "shutting-down" && world.instance(&i.own.key).is_some_and(|first| first.own.id == i.own.id))
        .filter_map(|i| {
            let tag = |key: &str| i.own.tags.get(key).cloned();
            let elastic = world.addresses.iter().find(|a| a.instance.as_ref() == Some(&i.own.id)).map(|a| a.public_ip.clone());
            Some(Machine {
                name: tag(tags::NODE)?,
                pool: tag(tags::POOL)?,
                instance_type: i.instance_type.clone(),
                zone: Some(i.zone.clone()),
                private_address: i.private_ip?,
                dial_address: elastic.or(i.public_ip.map(|a| a.to_string())),
                ssh_port: 22,
                user: spec.access.user.clone(),
                host_keys: [tags::HOST_KEY, tags::HOST_KEY_PENDING].into_iter().filter_map(tag).collect(),
                one_time_key: tag(tags::HOST_KEY_ONCE).is_some(),
                jump: None,
                state: match i.state.as_str() {
                    "pending" => MachineState::Pending,
                    "running" => MachineState::Running,
                    _ => MachineState::Stopped,
                },
                provider_id: Some(format!("aws:///{}/{}", i.zone, i.own.id)),
                launched: Some(i.launched),
                id: i.own.id.clone(),
            })
        })
        .collect();
    machines.sort_by_key(|m| {
        let number: u32 = m.name.rsplit('-').next().and_then(|n| n.parse().ok()).unwrap_or_default();
        (m.pool != "control-plane", m.pool.clone(), number)
    });
    let jump = machines.iter().find(|m| m.pool == "control-plane" && m.dial_address.is_some()).map(|m| m.name.clone());
    for machine in machines.iter_mut().filter(|m| m.dial_address.is_none()) {
        machine.jump.clone_from(&jump);
    }
    let mut api_balancer: Vec<_> = world.load_balancer().into_iter().flat_map(|b| b.addresses.values().copied()).collect();
    api_balancer.sort();
    Provision { machines, api_balancer, ..Provision::default() }
}
