//! The two security groups. Their rules stand in `security_group_rule.rs`.

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
    /// Deletes it.
    Delete {
        /// Its id.
        id: String,
    },
}

/// Adds what differs.
pub fn diff(wanted: &Wanted, world: &World, plan: &mut Plan) {
    for want in &wanted.groups {
        let key = &want.key;
        if let Some(id) = world.adopted.get(key) {
            plan.ids.insert(key.clone(), id.clone());
            continue;
        }
        let mut tags = wanted.tags(key);
        tags.extend(want.tags.clone());
        if let Some(group) = world.group(key) {
            plan.keep("security group", key, &group.own, &tags);
        } else {
            let work = Work::Create { name: want.name.clone(), description: want.description.clone(), tags };
            plan.create("security group", key, &[vpc::KEY], vec![want.description.clone()], plan::Work::SecurityGroup(work));
        }
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
            Self::Delete { id } => {
                gone_is_fine(ctx.api.call("DeleteSecurityGroup", Effect::Takes, || ec2.delete_security_group().group_id(id).send()).await)?;
                Ok(None)
            }
        }
    }
}
