//! The load balancer before several control planes: internal, TCP, with a fixed address in each of their subnets. Its name
//! stands for it, because EC2's load balancers can be asked for by name but not by tag; the tag says that it is ours.
//! Creating it does not wait: nothing uses it before the API answers ([`super::target::wait`]).

use super::{
    api::Effect,
    errors::Fault,
    plan::{self, Creation, Plan},
    run::Ctx,
    tags::{self, Tags},
    token, vpc,
    wanted::Wanted,
    world::{LoadBalancer, World},
};
use aws_sdk_ec2::types::Filter;
use aws_sdk_elasticloadbalancingv2::types::{
    IpAddressType, LoadBalancerAttribute, LoadBalancerSchemeEnum, LoadBalancerTypeEnum, SubnetMapping,
};
use std::{collections::BTreeMap, net::Ipv4Addr};

/// Its key.
pub const KEY: &str = "load-balancer/api";
/// Its security group's key.
pub const GROUP: &str = "security-group/balancer";
const CROSS_ZONE: &str = "load_balancing.cross_zone.enabled";

/// Calls.
#[derive(Clone, Debug)]
pub enum Work {
    /// Makes it.
    Create {
        /// Its name.
        name: String,
        /// Keys of its subnets, each with its address there.
        places: Vec<(String, Ipv4Addr)>,
        /// Its tags.
        tags: Tags,
    },
    /// Lets it send to every control plane, whatever zone a connection comes from.
    CrossZone,
    /// Gives it its group.
    Group,
}

/// The name of load balancer and target group: at most 32 letters, digits and single hyphens
/// (<https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_CreateLoadBalancer.html>).
pub fn name(cluster: &str) -> String {
    let plain = format!("kubewright-{cluster}");
    if plain.len() <= 32 && !plain.contains("--") {
        return plain;
    }
    let start: String = cluster.chars().filter(|c| *c != '-').take(12).collect();
    format!("kubewright-{start}-{}", &token(&[cluster])[..8])
}

/// Adds what differs.
pub fn diff(wanted: &Wanted, world: &World, plan: &mut Plan) {
    let Some(places) = &wanted.balancer else { return };
    let name = name(&wanted.cluster);
    if world.taken.contains(&"load balancer") {
        plan.foreign("load balancer", &name, &wanted.cluster);
        return;
    }
    let there = world.load_balancer();
    // Its name is taken until it is gone: one that failed, or that an interrupted run left in another VPC.
    let blocking: Vec<String> = world.load_balancers.iter().filter(|_| there.is_none()).map(|b| format!("delete/{}", b.own.id)).collect();
    for failed in world.load_balancers.iter().filter(|b| b.state == "failed") {
        plan.notes.push(format!("load balancer {} failed; it is replaced", failed.name));
    }
    let mut after: Vec<&str> = vec![vpc::KEY, GROUP];
    after.extend(places.iter().map(|(subnet, _)| subnet.as_str()));
    after.extend(blocking.iter().map(String::as_str));
    let details = std::iter::once("type: network, internal, TCP 6443".to_owned())
        .chain(places.iter().map(|(subnet, address)| format!("address: {address} in {subnet}")))
        .collect();
    plan.resource("load balancer", KEY, world, there.map(|b| &b.own), wanted.tags(KEY), |tags| Creation {
        after: &after,
        details,
        work: plan::Work::LoadBalancer(Work::Create { name: name.clone(), places: places.clone(), tags }),
    });
    if let Some(there) = there {
        immutable(&name, places, there, plan);
    }
    if there.is_none_or(|b| !b.cross_zone) {
        let details = vec!["to control planes in other zones: off → on".to_owned()];
        let work = plan::Work::LoadBalancer(Work::CrossZone);
        plan.part("load balancer", &format!("{KEY}/cross-zone"), &[KEY], there.is_none(), details, work);
    }
    if let Some(there) = there
        && plan.ids.get(GROUP).is_none_or(|group| there.groups != [group.clone()])
    {
        let details = vec![format!("security groups: {} → {GROUP}", there.groups.join(" "))];
        plan.part("load balancer", &format!("{KEY}/group"), &[GROUP], false, details, plan::Work::LoadBalancer(Work::Group));
    }
}

fn immutable(name: &str, places: &[(String, Ipv4Addr)], there: &LoadBalancer, plan: &mut Plan) {
    let wants: BTreeMap<Option<&String>, Ipv4Addr> = places.iter().map(|(subnet, address)| (plan.ids.get(subnet), *address)).collect();
    let has: BTreeMap<Option<&String>, Ipv4Addr> = there.addresses.iter().map(|(subnet, address)| (Some(subnet), *address)).collect();
    let list = |all: &BTreeMap<Option<&String>, Ipv4Addr>| all.values().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    let mut refuse = |what: &str, is: &str, want: &str| {
        plan.refused.push(format!(
            "load balancer {name}: its {what} {is} cannot become {want} in place: machines know the API by it; delete it \
             (`aws elbv2 delete-load-balancer --load-balancer-arn {}`) and run the same command again",
            there.own.id
        ));
    };
    if has != wants {
        refuse("addresses", &list(&has), &list(&wants));
    }
    if !there.internal {
        refuse("scheme", "internet-facing", "internal");
    }
}

impl Work {
    pub(super) async fn run(&self, ctx: &Ctx<'_>) -> Result<Option<String>, Fault> {
        let elb = &ctx.api.elb;
        match self {
            Self::Create { name, places, tags } => {
                let group = ctx.id(GROUP)?;
                let mut mappings = Vec::new();
                for (subnet, address) in places {
                    mappings.push(SubnetMapping::builder().subnet_id(ctx.id(subnet)?).private_ipv4_address(address.to_string()).build());
                }
                // The same request again finds the same one.
                let made = ctx
                    .api
                    .call("CreateLoadBalancer", Effect::Repeatable, || {
                        elb.create_load_balancer()
                            .name(name)
                            .r#type(LoadBalancerTypeEnum::Network)
                            .scheme(LoadBalancerSchemeEnum::Internal)
                            .ip_address_type(IpAddressType::Ipv4)
                            .set_subnet_mappings(Some(mappings.clone()))
                            .security_groups(&group)
                            .set_tags(Some(tags::write_elb(tags)))
                            .send()
                    })
                    .await?;
                Ok(made.load_balancers().first().and_then(|b| b.load_balancer_arn()).map(str::to_owned))
            }
            Self::CrossZone => {
                let id = ctx.id(KEY)?;
                let on = LoadBalancerAttribute::builder().key(CROSS_ZONE).value("true").build();
                ctx.api
                    .call("ModifyLoadBalancerAttributes", Effect::Repeatable, || {
                        elb.modify_load_balancer_attributes().load_balancer_arn(&id).attributes(on.clone()).send()
                    })
                    .await?;
                Ok(None)
            }
            Self::Group => {
                let (id, group) = (ctx.id(KEY)?, ctx.id(GROUP)?);
                ctx.api
                    .call("SetSecurityGroups", Effect::Repeatable, || {
                        elb.set_security_groups().load_balancer_arn(&id).security_groups(&group).send()
                    })
                    .await?;
                Ok(None)
            }
        }
    }
}

/// Whether these attributes let it send to other zones.
pub(super) fn is_cross_zone(attributes: &[LoadBalancerAttribute]) -> bool {
    attributes.iter().any(|a| a.key() == Some(CROSS_ZONE) && a.value() == Some("true"))
}

/// Waits until its network interfaces are gone: they hold its subnets, its group and its addresses.
pub(super) async fn wait_deleted(ctx: &Ctx<'_>, id: &str) -> Result<(), Fault> {
    // arn:aws:elasticloadbalancing:REGION:ACCOUNT:loadbalancer/net/NAME/ID; each interface's description is ELB net/NAME/ID.
    let Some((_, path)) = id.split_once(":loadbalancer/") else { return Ok(()) };
    let its = Filter::builder().name("description").values(format!("ELB {path}")).build();
    ctx.api
        .wait_for("DescribeNetworkInterfaces", &format!("the network interfaces of {path} are gone"), async || {
            let call = || ctx.api.ec2.describe_network_interfaces().filters(its.clone()).send();
            let found = ctx.api.call("DescribeNetworkInterfaces", Effect::Repeatable, call).await?;
            Ok(found.network_interfaces().is_empty().then_some(()))
        })
        .await
}

#[cfg(test)]
mod tests {
    use super::name;

    #[test]
    fn names_fit_and_differ() {
        assert_eq!(name("dev"), "kubewright-dev");
        let long = ["a-cluster-with-a-long-name-in-europe", "a-cluster-with-a-long-name-in-america", "a--b", "a-b"];
        let names: std::collections::BTreeSet<String> = long.iter().map(|c| name(c)).collect();
        assert_eq!(names.len(), long.len(), "{names:?}");
        assert!(names.iter().all(|n| n.len() <= 32 && !n.contains("--") && !n.ends_with('-')), "{names:?}");
    }
}
