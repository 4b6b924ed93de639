//! What is wanted against what there is. Pure; the order of the lines below is the order in which a person reads the plan.

use super::{
    destroy, elastic_ip, instance, internet_gateway, key_pair, listener, load_balancer, nat_gateway,
    plan::Plan,
    route_table, security_group, security_group_rule, subnet, target, target_group, vpc,
    wanted::Wanted,
    world::{Instance, World},
};
use std::collections::BTreeSet;

/// The plan that leads from `world` to `wanted`. Existing ids are known before anything refers to them.
pub fn diff(wanted: &Wanted, world: &World) -> Plan {
    let mut plan = Plan::default();
    vpc::diff(wanted, world, &mut plan);
    internet_gateway::diff(wanted, world, &mut plan);
    subnet::diff(wanted, world, &mut plan);
    security_group::diff(wanted, world, &mut plan);
    security_group_rule::diff(wanted, world, &mut plan);
    key_pair::diff(wanted, world, &mut plan);
    instance::diff(wanted, world, &mut plan);
    elastic_ip::diff(wanted, world, &mut plan);
    nat_gateway::diff(wanted, world, &mut plan);
    route_table::diff(wanted, world, &mut plan);
    load_balancer::diff(wanted, world, &mut plan);
    target_group::diff(wanted, world, &mut plan);
    listener::diff(wanted, world, &mut plan);
    target::diff(wanted, world, &mut plan);
    leftovers(world, &mut plan);
    plan
}

/// Duplicates of interrupted runs and what the spec no longer wants go, except what cannot be taken away safely. What goes is
/// deleted only after everything else is done: routes have moved by then.
fn leftovers(world: &World, plan: &mut Plan) {
    let left: BTreeSet<&str> = plan
        .left_over(world)
        .into_iter()
        // Made by a controller for a PVC; it is data.
        .filter(|id| !world.volumes.iter().any(|v| v.own.id == *id && (v.dynamic || v.instance.is_some())))
        .filter(|id| !world.nat_gateways.iter().any(|n| n.own.id == *id && n.state == "deleting"))
        .filter(|id| !world.instances.iter().any(|i| i.own.id == *id && (i.state == "shutting-down" || is_surplus(i, world))))
        .collect();
    // What they stand in cannot go before them.
    let stays: BTreeSet<&str> = world.instances.iter().filter(|i| is_surplus(i, world)).map(|i| i.subnet.as_str()).collect();
    let left: BTreeSet<&str> = left
        .into_iter()
        .filter(|id| !stays.contains(id))
        .filter(|id| !world.route_tables.iter().any(|t| t.own.id == *id && t.associations.keys().any(|s| stays.contains(s.as_str()))))
        .collect();
    let vpc = world.vpc_id();
    let mut deletions = Plan::default();
    destroy::plan(world, &left, &mut deletions);
    let before: Vec<String> = plan.ops.iter().map(|op| op.key.clone()).collect();
    // What serves nobody holds the address, or the name, that the new one needs.
    let (balancer, group) = (world.load_balancer(), world.target_group());
    let useless: BTreeSet<String> = world
        .nat_gateways
        .iter()
        .filter(|n| Some(n.vpc.as_str()) != vpc || n.state == "failed")
        .map(|n| &n.own.id)
        .chain(world.load_balancers.iter().filter(|_| balancer.is_none()).map(|b| &b.own.id))
        .chain(world.target_groups.iter().filter(|_| group.is_none()).map(|t| &t.own.id))
        .map(|id| format!("delete/{id}"))
        .collect();
    for mut op in deletions.ops {
        if !useless.contains(&op.key) {
            op.after.extend(before.iter().cloned());
        }
        plan.ops.push(op);
    }
}

/// A machine that the spec no longer names, and no duplicate: it is a node, so it is drained before it goes
/// (`bootstrap --prune`, `node remove`).
fn is_surplus(instance: &Instance, world: &World) -> bool {
    Some(instance.vpc.as_str()) == world.vpc_id() && world.instance(&instance.own.key).is_some_and(|first| first.own.id == instance.own.id)
}
