//! The two security groups. Their rules stand in `security_group_rule.rs`.

use super::{
    api::Effect,
    errors::Fault,
    plan::{self, Creation, Plan},
    run::Ctx,
    tags::{Tags, at_creation},
    vpc,
    wanted::Wanted,
    world::World,
};
use aws_sdk_ec2::types::ResourceType;

/// Calls.
#[derive(Clone, Debug)]
pub enum Work {
    /// Makes it.
    Create {
        /// Its name.
        name: String,
        /// What it is for.
        description: String,
        /// Its tags.
        tags: Tags,
    },
}

/// Adds what differs.
pub fn diff(wanted: &Wanted, world: &World, plan: &mut Plan) {
    for want in &wanted.groups {
        let key = &want.key;
        let mut tags = wanted.tags(key);
        tags.extend(want.tags.clone());
        plan.resource("security group", key, world, world.group(key).map(|g| &g.own), tags, |tags| Creation {
            after: &[vpc::KEY],
            details: vec![want.description.clone()],
            work: plan::Work::SecurityGroup(Work::Create { name: want.name.clone(), description: want.description.clone(), tags }),
        });
    }
}

impl Work {
    pub(super) async fn run(&self, ctx: &Ctx<'_>) -> Result<Option<String>, Fault> {
        let ec2 = &ctx.api.ec2;
        match self {
            Self::Create { name, description, tags } => {
                let vpc = ctx.id(vpc::KEY)?;
                let made = ctx
                    .api
                    .call("CreateSecurityGroup", Effect::Once, || {
                        ec2.create_security_group()
                            .group_name(name)
                            .description(description)
                            .vpc_id(&vpc)
                            .tag_specifications(at_creation(ResourceType::SecurityGroup, tags))
                            .send()
                    })
                    .await?;
                Ok(made.group_id)
            }
        }
    }
}
