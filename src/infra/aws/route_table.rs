//! Route tables: one to the internet gateway, one per NAT gateway; their default routes and their subnets.

use super::{
    api::Effect,
    errors::{Fault, Meaning},
    internet_gateway, nat_gateway,
    plan::{self, Creation, Plan, Standing},
    run::Ctx,
    tags::{Tags, at_creation},
    token, vpc,
    wanted::{Via, Wanted},
    world::World,
};
use aws_sdk_ec2::types::ResourceType;

const EVERYWHERE: &str = "0.0.0.0/0";

/// Calls.
#[derive(Clone, Debug)]
pub enum Work {
    /// Makes it.
    Create {
        /// Its key.
        key: String,
        /// Its tags.
        tags: Tags,
    },
    /// Sets the default route.
    Route {
        /// The table's key.
        key: String,
        /// Where it goes.
        via: Via,
        /// Whether there is one that goes elsewhere.
        replace: bool,
    },
    /// Gives it a subnet.
    Associate {
        /// The table's key.
        key: String,
        /// The subnet's key.
        subnet: String,
    },
    /// Moves a subnet here from another table, in one step.
    Move {
        /// The table's key.
        key: String,
        /// Its present association.
        association: String,
    },
}

/// Adds what differs.
pub fn diff(wanted: &Wanted, world: &World, plan: &mut Plan) {
    for want in &wanted.tables {
        let key = &want.key;
        let there = world.route_table(key);
        let standing = plan.resource("route table", key, world, there.map(|t| &t.own), wanted.tags(key), |tags| Creation {
            after: &[vpc::KEY],
            details: vec![format!("default route: {}", want.via.key()), format!("subnets: {}", want.subnets.join(", "))],
            work: plan::Work::RouteTable(Work::Create { key: key.clone(), tags }),
        });
        let fresh = standing == Standing::New;
        let target = plan.ids.get(want.via.key()).cloned();
        let route = there.and_then(|t| t.default_route.as_ref());
        let good = route.is_some_and(|(to, active)| *active && Some(to) == target.as_ref());
        if !good {
            let before = route.map_or("(none)", |(to, _)| to.as_str());
            let details = vec![format!("{EVERYWHERE}: {before} → {}", want.via.key())];
            let after = [key.as_str(), want.via.key(), internet_gateway::ATTACHMENT];
            let work = Work::Route { key: key.clone(), via: want.via.clone(), replace: route.is_some() };
            plan.part("route", &format!("{key}/default-route"), &after, fresh, details, plan::Work::RouteTable(work));
        }
        for subnet in &want.subnets {
            let has = there.zip(plan.ids.get(subnet)).is_some_and(|(t, id)| t.associations.contains_key(id));
            if !has {
                let details = vec![format!("subnet {subnet}: (main table) → {key}")];
                let other = plan.ids.get(subnet).and_then(|id| world.route_tables.iter().find_map(|t| t.associations.get(id)));
                let work = match other {
                    Some(association) => Work::Move { key: key.clone(), association: association.clone() },
                    None => Work::Associate { key: key.clone(), subnet: subnet.clone() },
                };
                let fresh = fresh || plan.makes(subnet);
                let part = format!("{key}/{subnet}");
                // A subnet that works does not move to a table without a route.
                let route = format!("{key}/default-route");
                let mut after = vec![key.as_str(), subnet];
                after.extend(other.map(|_| route.as_str()));
                plan.part("route table association", &part, &after, fresh, details, plan::Work::RouteTable(work));
            }
        }
    }
}

impl Work {
    pub(super) async fn run(&self, ctx: &Ctx<'_>) -> Result<Option<String>, Fault> {
        let ec2 = &ctx.api.ec2;
        match self {
            Self::Create { key, tags } => {
                let vpc = ctx.id(vpc::KEY)?;
                // The token guards this call's own repetitions only: a table that is gone must not be found again by a later run.
                let token = token(&[&vpc, key, &rand::random::<u64>().to_string()]);
                let made = ctx
                    .api
                    .call("CreateRouteTable", Effect::Repeatable, || {
                        ec2.create_route_table()
                            .vpc_id(&vpc)
                            .client_token(&token)
                            .tag_specifications(at_creation(ResourceType::RouteTable, tags))
                            .send()
                    })
                    .await?;
                Ok(made.route_table.and_then(|t| t.route_table_id))
            }
            Self::Route { key, via, replace } => {
                let (table, target) = (ctx.id(key)?, ctx.id(via.key())?);
                let (gateway, nat) = match via {
                    Via::Internet => (Some(target), None),
                    Via::Nat(_) => (None, Some(target)),
                };
                if let Some(nat) = &nat {
                    nat_gateway::wait_available(ctx, nat).await?;
                }
                let create = || {
                    let call = ec2.create_route().route_table_id(&table).destination_cidr_block(EVERYWHERE);
                    call.set_gateway_id(gateway.clone()).set_nat_gateway_id(nat.clone()).send()
                };
                let set = || {
                    let call = ec2.replace_route().route_table_id(&table).destination_cidr_block(EVERYWHERE);
                    call.set_gateway_id(gateway.clone()).set_nat_gateway_id(nat.clone()).send()
                };
                if !*replace {
                    match ctx.api.call("CreateRoute", Effect::Repeatable, create).await {
                        Err(fault) if fault.meaning == Meaning::Duplicate => {}
                        Err(fault) => return Err(fault),
                        Ok(_) => return Ok(None),
                    }
                }
                ctx.api.call("ReplaceRoute", Effect::Repeatable, set).await?;
                Ok(None)
            }
            Self::Associate { key, subnet } => {
                let (table, subnet) = (ctx.id(key)?, ctx.id(subnet)?);
                ctx.api
                    .call("AssociateRouteTable", Effect::Repeatable, || {
                        ec2.associate_route_table().route_table_id(&table).subnet_id(&subnet).send()
                    })
                    .await?;
                Ok(None)
            }
            Self::Move { key, association } => {
                let table = ctx.id(key)?;
                ctx.api
                    .call("ReplaceRouteTableAssociation", Effect::Once, || {
                        ec2.replace_route_table_association().association_id(association).route_table_id(&table).send()
                    })
                    .await?;
                Ok(None)
            }
        }
    }
}
