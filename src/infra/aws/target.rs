//! Control planes behind the API's load balancer, each by its address.

use super::{
    api::{Api, Effect},
    errors::Fault,
    listener, load_balancer,
    plan::{self, Plan},
    read_balancer,
    removal::Removal,
    run::Ctx,
    target_group,
    wanted::Wanted,
    world::{LoadBalancer, TargetGroup, World},
};
use crate::infra::{Action, Change};
use aws_sdk_elasticloadbalancingv2::types::TargetDescription;
use std::{collections::BTreeSet, net::Ipv4Addr};

/// Calls.
#[derive(Clone, Debug)]
pub enum Work {
    /// Adds a control plane.
    Register {
        /// Its key.
        machine: String,
        /// Its address, where the machine exists already.
        address: Option<Ipv4Addr>,
    },
}

/// Adds what differs. A machine that the plan makes is registered once it has its address.
pub fn diff(wanted: &Wanted, world: &World, plan: &mut Plan) {
    if wanted.balancer.is_none() {
        return;
    }
    let group = world.target_group().filter(|t| plan.ids.get(target_group::KEY) == Some(&t.own.id));
    let registered = |address: Ipv4Addr| group.is_some_and(|t| t.targets.get(&address).is_some_and(|state| !state.contains("draining")));
    let planes = || wanted.machines.iter().filter(|m| m.pool == "control-plane");
    for machine in planes() {
        let address = world.instance(&machine.key).and_then(|i| i.private_ip);
        if address.is_some_and(registered) {
            continue;
        }
        let work = Work::Register { machine: machine.key.clone(), address };
        // Under the machine's key, so that making this machine alone brings it, and with it a balancer that is whole: what it
        // does, and the control planes that are there already, come first.
        let mut after = vec![machine.key.clone(), listener::KEY.to_owned(), format!("{}/cross-zone", load_balancer::KEY)];
        after.extend([target_group::KEY.to_owned(), format!("{}/clients", target_group::KEY)]);
        if address.is_none() {
            after.extend(planes().filter(|m| world.instance(&m.key).is_some()).map(|m| own_key(&m.key)));
        }
        let change = (address.is_some() && group.is_some()).then(|| Change {
            action: Action::Update,
            kind: "load balancer target".to_owned(),
            name: machine.name.clone(),
            details: vec!["registered: no → yes".to_owned()],
        });
        plan.push(plan::Op { key: own_key(&machine.key), after, change, work: plan::Work::Target(work) });
    }
    // A control plane that the spec no longer names serves until it is taken out of the cluster.
    let serving = world.instances.iter().filter_map(|i| i.private_ip);
    let stays: BTreeSet<Ipv4Addr> = serving.chain(wanted.machines.iter().filter_map(|m| m.address)).collect();
    let gone: Vec<Ipv4Addr> = group.iter().flat_map(|t| t.targets.keys()).copied().filter(|a| !stays.contains(a)).collect();
    for address in gone {
        deregister(world, address, plan);
    }
}

/// Takes an address from behind the load balancer, if it is there.
pub(super) fn deregister(world: &World, address: Ipv4Addr, plan: &mut Plan) {
    let Some(group) = world.target_group().filter(|t| t.targets.get(&address).is_some_and(|state| !state.contains("draining"))) else {
        return;
    };
    let removal = Removal::Target { group: group.own.id.clone(), address };
    plan.delete("load balancer target", &address.to_string(), &format!("delete/target/{address}"), Vec::new(), Vec::new(), removal);
}

fn own_key(machine: &str) -> String {
    format!("{machine}/target")
}

/// One target.
pub(super) fn description(address: Ipv4Addr) -> TargetDescription {
    TargetDescription::builder().id(address.to_string()).port(target_group::PORT).build()
}

impl Work {
    pub(super) async fn run(&self, ctx: &Ctx<'_>) -> Result<Option<String>, Fault> {
        let Self::Register { machine, address } = self;
        let group = ctx.id(target_group::KEY)?;
        let address = match address {
            Some(address) => *address,
            None => address_of(ctx, &ctx.id(machine)?).await?,
        };
        ctx.api
            .call("RegisterTargets", Effect::Repeatable, || {
                ctx.api.elb.register_targets().target_group_arn(&group).targets(description(address)).send()
            })
            .await?;
        Ok(None)
    }
}

/// Where a machine went that was made a moment ago: not always where it belongs, if that zone was full.
async fn address_of(ctx: &Ctx<'_>, id: &str) -> Result<Ipv4Addr, Fault> {
    let call = || ctx.api.ec2.describe_instances().instance_ids(id).send();
    let found = ctx.api.call("DescribeInstances", Effect::Repeatable, call).await?;
    let instance = found.reservations().iter().flat_map(aws_sdk_ec2::types::Reservation::instances).next().map(super::read::instance);
    instance.and_then(|i| i.private_ip).ok_or_else(|| Fault::found("DescribeInstances", format!("{id} has no private address")))
}

/// Waits until the load balancer serves a cluster that runs already: it is active, and a control plane behind it is healthy, or
/// all were asked and none is (then waiting longer helps nobody). A machine learns the balancer's address only after this, so
/// that a cluster which gets its first balancer does not lose its API for the minutes in which that is set up.
pub(super) async fn wait(api: &Api, cluster: &str) -> Result<(), Fault> {
    api.wait_for("DescribeTargetHealth", "the API's load balancer is active and its control planes were asked", async || {
        let found = read_balancer::balancer(api, cluster).await?;
        Ok(serves(&found.load_balancers, &found.target_groups).then_some(()))
    })
    .await
}

/// Whether nothing is to be waited for; see [`wait`].
pub(super) fn serves(balancers: &[LoadBalancer], groups: &[TargetGroup]) -> bool {
    let active = balancers.iter().all(|b| b.state != "provisioning");
    let states: Vec<&String> = groups.iter().flat_map(|t| t.targets.values()).collect();
    active && (states.iter().any(|s| *s == "healthy") || states.iter().all(|s| *s != "initial"))
}
