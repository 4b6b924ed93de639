//! Elastic IPs: one per NAT gateway, one per control plane. AllocateAddress takes no client token, so they are found by tag.

use super::{
    api::Effect,
    errors::Fault,
    internet_gateway,
    plan::{self, Creation, Plan},
    run::Ctx,
    tags::{Tags, at_creation},
    wanted::Wanted,
    world::World,
};
use aws_sdk_ec2::types::{DomainType, ResourceType};

/// Calls.
#[derive(Clone, Debug)]
pub enum Work {
    /// Allocates one.
    Create {
        /// Its tags.
        tags: Tags,
    },
    /// Gives it to a machine, as soon as that runs.
    Associate {
        /// The address's key.
        key: String,
        /// The machine's key.
        instance: String,
    },
}

/// Adds what differs: the addresses, and that control planes have theirs.
pub fn diff(wanted: &Wanted, world: &World, plan: &mut Plan) {
    for key in &wanted.addresses {
        let there = world.address(key);
        plan.resource("elastic ip", key, world, there.map(|a| &a.own), wanted.tags(key), |tags| Creation {
            after: &[],
            details: Vec::new(),
            work: plan::Work::ElasticIp(Work::Create { tags }),
        });
        let Some(machine) = wanted.machines.iter().find(|m| m.address_key.as_deref() == Some(key)) else { continue };
        let has = there.and_then(|a| a.instance.as_deref());
        let instance = world.instance(&machine.key).map(|i| i.own.id.as_str());
        if has.is_none() || has != instance {
            let fresh = plan.makes(key) || plan.makes(&machine.key) || instance.is_none();
            let details = vec![format!("belongs to: {} → {}", has.unwrap_or("(nothing)"), machine.name)];
            let work = Work::Associate { key: key.clone(), instance: machine.key.clone() };
            let after = [key.as_str(), &machine.key, internet_gateway::ATTACHMENT];
            plan.part("elastic ip", &format!("{key}/association"), &after, fresh, details, plan::Work::ElasticIp(work));
        }
    }
}

impl Work {
    pub(super) async fn run(&self, ctx: &Ctx<'_>) -> Result<Option<String>, Fault> {
        let ec2 = &ctx.api.ec2;
        match self {
            Self::Create { tags } => {
                let made = ctx
                    .api
                    .call("AllocateAddress", Effect::Once, || {
                        let tags = at_creation(ResourceType::ElasticIp, tags);
                        ec2.allocate_address().domain(DomainType::Vpc).tag_specifications(tags).send()
                    })
                    .await?;
                Ok(made.allocation_id)
            }
            Self::Associate { key, instance } => {
                let (id, instance) = (ctx.id(key)?, ctx.id(instance)?);
                // A pending instance cannot have one: WrongState is repeated until it runs.
                ctx.api
                    .call("AssociateAddress", Effect::Repeatable, || {
                        ec2.associate_address().allocation_id(&id).instance_id(&instance).allow_reassociation(true).send()
                    })
                    .await?;
                Ok(None)
            }
        }
    }
}
