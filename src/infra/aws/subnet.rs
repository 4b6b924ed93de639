//! Subnets: one public, and private ones over the zones.

use super::{
    api::{Effect, gone_is_fine},
    errors::Fault,
    plan::{self, Plan},
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
    /// Deletes it.
    Delete {
        /// Its id.
        id: String,
    },
}

/// Adds what differs.
pub fn diff(wanted: &Wanted, world: &World, plan: &mut Plan) {
    for want in &wanted.subnets {
        let key = &want.key;
        if let Some(id) = world.adopted.get(key) {
            plan.ids.insert(key.clone(), id.clone());
            continue;
        }
        let mut tags = wanted.tags(key);
        tags.extend(want.tags.clone());
        let public_ip = if let Some(subnet) = world.subnet(key) {
            plan.keep("subnet", key, &subnet.own, &tags);
            if subnet.cidr != want.cidr {
                plan.refused.push(format!(
                    "subnet {key} ({}): its range {} cannot become {}: add a new subnet at the end of the list instead",
                    subnet.own.id, subnet.cidr, want.cidr
                ));
            }
            subnet.public_ip
        } else {
            let work = Work::Create { cidr: want.cidr.clone(), zone: want.zone.clone(), tags };
            let details = vec![format!("range: {}", want.cidr), format!("zone: {}", want.zone)];
            plan.create("subnet", key, &[vpc::KEY], details, plan::Work::Subnet(work));
            false
        };
        if want.public && !public_ip {
            let fresh = plan.makes(key);
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
            Self::Delete { id } => {
                gone_is_fine(ctx.api.call("DeleteSubnet", Effect::Takes, || ec2.delete_subnet().subnet_id(id).send()).await)?;
                Ok(None)
            }
        }
    }
}
