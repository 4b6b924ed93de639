//! NAT gateways: the slow ones. Creating one does not wait; the routes that need it do.

use super::{
    api::Effect,
    errors::Fault,
    internet_gateway,
    plan::{self, Creation, Plan},
    run::Ctx,
    tags::{Tags, at_creation},
    token,
    wanted::Wanted,
    world::World,
};
use aws_sdk_ec2::types::{NatGatewayState, ResourceType};

/// Calls.
#[derive(Clone, Debug)]
pub enum Work {
    /// Makes it.
    Create {
        /// Its key.
        key: String,
        /// Key of its address.
        address: String,
        /// Key of its subnet.
        subnet: String,
        /// Its tags.
        tags: Tags,
        /// How many of this key died before: a token must not find those again.
        generation: usize,
    },
}

/// Adds what differs.
pub fn diff(wanted: &Wanted, world: &World, plan: &mut Plan) {
    for want in &wanted.nats {
        let key = &want.key;
        let there = world.nat_gateway(key);
        // One that failed, or that stands in a duplicate VPC, holds the address until it is gone.
        let others = world.nat_gateways.iter().filter(|n| n.own.key == *key && there.is_none());
        for failed in others.clone().filter(|n| n.state == "failed") {
            let why = failed.failure.as_deref().unwrap_or("no reason given");
            plan.notes.push(format!("nat gateway {} failed ({why}); it is replaced", failed.own.id));
        }
        let generation = world.dead.get(key).map_or(0, std::collections::BTreeSet::len) + others.clone().count();
        let blocking: Vec<String> = others.map(|n| format!("delete/{}", n.own.id)).collect();
        let mut after = vec![want.address.as_str(), &want.subnet, internet_gateway::ATTACHMENT];
        after.extend(blocking.iter().map(String::as_str));
        plan.resource("nat gateway", key, world, there.map(|n| &n.own), wanted.tags(key), |tags| {
            let work = Work::Create { key: key.clone(), address: want.address.clone(), subnet: want.subnet.clone(), tags, generation };
            Creation { after: &after, details: vec![format!("subnet: {}", want.subnet)], work: plan::Work::NatGateway(work) }
        });
    }
}

impl Work {
    pub(super) async fn run(&self, ctx: &Ctx<'_>) -> Result<Option<String>, Fault> {
        match self {
            Self::Create { key, address, subnet, tags, generation } => {
                let (allocation, subnet) = (ctx.id(address)?, ctx.id(subnet)?);
                for generation in *generation.. {
                    let token = token(&[&subnet, &allocation, key, &generation.to_string()]);
                    let made = ctx
                        .api
                        .call("CreateNatGateway", Effect::Repeatable, || {
                            ctx.api
                                .ec2
                                .create_nat_gateway()
                                .subnet_id(&subnet)
                                .allocation_id(&allocation)
                                .client_token(&token)
                                .tag_specifications(at_creation(ResourceType::Natgateway, tags))
                                .send()
                        })
                        .await?;
                    let Some(nat) = made.nat_gateway else { break };
                    if matches!(nat.state, Some(NatGatewayState::Pending | NatGatewayState::Available) | None) {
                        return Ok(nat.nat_gateway_id);
                    }
                    // The token found one that an earlier run made and that is gone: the next generation is new.
                }
                Err(Fault::found("CreateNatGateway", "the answer names no gateway"))
            }
        }
    }
}

/// Waits until it is gone.
pub(super) async fn wait_deleted(ctx: &Ctx<'_>, id: &str) -> Result<(), Fault> {
    ctx.api
        .wait_for("DescribeNatGateways", &format!("{id} is deleted"), async || {
            let state = state(ctx, id).await?;
            Ok(state.is_none_or(|(s, _)| s == NatGatewayState::Deleted).then_some(()))
        })
        .await
}

/// Waits until it can be a route's target.
pub(super) async fn wait_available(ctx: &Ctx<'_>, id: &str) -> Result<(), Fault> {
    ctx.api
        .wait_for("DescribeNatGateways", &format!("{id} is available"), async || match state(ctx, id).await? {
            Some((NatGatewayState::Available, _)) => Ok(Some(())),
            Some((NatGatewayState::Failed, why)) => {
                let why = why.unwrap_or_else(|| "no reason given".to_owned());
                Err(Fault::found("CreateNatGateway", format!("{id} failed: {why}")))
            }
            Some((NatGatewayState::Deleting | NatGatewayState::Deleted, _)) => {
                Err(Fault::found("CreateNatGateway", format!("{id} was deleted by somebody while we waited for it")))
            }
            _ => Ok(None),
        })
        .await
}

async fn state(ctx: &Ctx<'_>, id: &str) -> Result<Option<(NatGatewayState, Option<String>)>, Fault> {
    let found = ctx.api.call("DescribeNatGateways", Effect::Takes, || ctx.api.ec2.describe_nat_gateways().nat_gateway_ids(id).send()).await;
    let found = match found {
        Err(fault) if fault.meaning == super::errors::Meaning::NotFound => return Ok(None),
        other => other?,
    };
    let nat = found.nat_gateways.unwrap_or_default().into_iter().next();
    Ok(nat.and_then(|n| Some((n.state?, n.failure_message))))
}
