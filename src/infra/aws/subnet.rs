//! Subnets: one public, and private ones over the zones.

use super::{
    api::Effect,
    errors::Fault,
    plan::{self, Creation, Plan, Standing},
    run::Ctx,
    tags::{Tags, at_creation},
    vpc,
    wanted::Wanted,
    world::World,
};
use aws_sdk_ec2::types::{AttributeBooleanValue, ResourceType};

/// Calls.
#[derive(Clone, Debug)]
pub enum Work {
    /// Makes it.
    Create {
        /// Its range.
        cidr: String,
        /// Its zone.
        zone: String,
        /// Its tags.
        tags: Tags,
    },
    /// Instances in it get a public address at launch.
    PublicIp {
        /// Its key.
        key: String,
    },
}

/// Adds what differs.
pub fn diff(wanted: &Wanted, world: &World, plan: &mut Plan) {
    for want in &wanted.subnets {
        let key = &want.key;
        let mut tags = wanted.tags(key);
        tags.extend(want.tags.clone());
        let there = world.subnet(key);
        let standing = plan.resource("subnet", key, world, there.map(|s| &s.own), tags, |tags| Creation {
            after: &[vpc::KEY],
            details: vec![format!("range: {}", want.cidr), format!("zone: {}", want.zone)],
            work: plan::Work::Subnet(Work::Create { cidr: want.cidr.clone(), zone: want.zone.clone(), tags }),
        });
        if standing == Standing::Adopted {
            continue;
        }
        if let Some(subnet) = there.filter(|s| s.cidr != want.cidr) {
            plan.refused.push(format!(
                "subnet {key} ({}): its range {} cannot become {}: add a new subnet at the end of the list instead",
                subnet.own.id, subnet.cidr, want.cidr
            ));
        }
        if want.public && !there.is_some_and(|s| s.public_ip) {
            let fresh = standing == Standing::New;
            let details = vec!["public address at launch: no → yes".to_owned()];
            let part = format!("{key}/public-ip");
            plan.part("subnet", &part, &[key], fresh, details, plan::Work::Subnet(Work::PublicIp { key: key.clone() }));
        }
    }
}

impl Work {
    pub(super) async fn run(&self, ctx: &Ctx<'_>) -> Result<Option<String>, Fault> {
        let ec2 = &ctx.api.ec2;
        match self {
            Self::Create { cidr, zone, tags } => {
                let vpc = ctx.id(vpc::KEY)?;
                let made = ctx
                    .api
                    .call("CreateSubnet", Effect::Once, || {
                        ec2.create_subnet()
                            .vpc_id(&vpc)
                            .cidr_block(cidr)
                            .availability_zone(zone)
                            .tag_specifications(at_creation(ResourceType::Subnet, tags))
                            .send()
                    })
                    .await?;
                Ok(made.subnet.and_then(|s| s.subnet_id))
            }
            Self::PublicIp { key } => {
                let id = ctx.id(key)?;
                let on = AttributeBooleanValue::builder().value(true).build();
                ctx.api
                    .call("ModifySubnetAttribute", Effect::Repeatable, || {
                        ec2.modify_subnet_attribute().subnet_id(&id).map_public_ip_on_launch(on.clone()).send()
                    })
                    .await?;
                Ok(None)
            }
        }
    }
}
