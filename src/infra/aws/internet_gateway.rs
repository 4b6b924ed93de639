//! The internet gateway and its attachment.

use super::{
    api::{Effect, gone_is_fine},
    errors::{Fault, Meaning},
    plan::{self, Plan},
    run::Ctx,
    tags::{Tags, at_creation},
    vpc,
    wanted::Wanted,
    world::World,
};
use aws_sdk_ec2::types::ResourceType;

/// Key of the internet gateway.
pub const KEY: &str = "internet-gateway";
/// Key of its attachment to the VPC: what needs the internet waits for this.
pub const ATTACHMENT: &str = "internet-gateway/attachment";

/// Calls.
#[derive(Clone, Debug)]
pub enum Work {
    /// Makes it.
    Create {
        /// Its tags.
        tags: Tags,
    },
    /// Attaches it to the VPC.
    Attach,
    /// Detaches it from a VPC.
    Detach {
        /// Its id.
        id: String,
        /// The VPC.
        vpc: String,
    },
    /// Deletes it.
    Delete {
        /// Its id.
        id: String,
    },
}

/// Adds what differs.
pub fn diff(wanted: &Wanted, world: &World, plan: &mut Plan) {
    if let Some(id) = world.adopted.get(KEY) {
        plan.ids.insert(KEY.to_owned(), id.clone());
        return;
    }
    if !wanted.needs_internet_gateway(world) {
        return;
    }
    let tags = wanted.tags(KEY);
    let attached = if let Some(gateway) = world.internet_gateway() {
        plan.keep("internet gateway", KEY, &gateway.own, &tags);
        gateway.vpc.is_some()
    } else {
        plan.create("internet gateway", KEY, &[], vec![], plan::Work::InternetGateway(Work::Create { tags }));
        false
    };
    if !attached {
        let fresh = plan.makes(KEY);
        let details = vec!["attached to: (nothing) → the vpc".to_owned()];
        plan.part("internet gateway", ATTACHMENT, &[KEY, vpc::KEY], fresh, details, plan::Work::InternetGateway(Work::Attach));
    }
}

impl Work {
    pub(super) async fn run(&self, ctx: &Ctx<'_>) -> Result<Option<String>, Fault> {
        let ec2 = &ctx.api.ec2;
        match self {
            Self::Create { tags } => {
                let made = ctx
                    .api
                    .call("CreateInternetGateway", Effect::Once, || {
                        let tags = at_creation(ResourceType::InternetGateway, tags);
                        ec2.create_internet_gateway().tag_specifications(tags).send()
                    })
                    .await?;
                Ok(made.internet_gateway.and_then(|g| g.internet_gateway_id))
            }
            Self::Attach => {
                let (id, vpc) = (ctx.id(KEY)?, ctx.id(vpc::KEY)?);
                let attached = ctx
                    .api
                    .call("AttachInternetGateway", Effect::Repeatable, || {
                        ec2.attach_internet_gateway().internet_gateway_id(&id).vpc_id(&vpc).send()
                    })
                    .await;
                match attached {
                    Err(fault) if fault.meaning != Meaning::Duplicate => Err(fault),
                    _ => Ok(None),
                }
            }
            Self::Detach { id, vpc } => {
                let detached = ctx
                    .api
                    .call("DetachInternetGateway", Effect::Takes, || {
                        ec2.detach_internet_gateway().internet_gateway_id(id).vpc_id(vpc).send()
                    })
                    .await;
                match detached {
                    Err(fault) if fault.code.as_deref() == Some("Gateway.NotAttached") => Ok(None),
                    other => gone_is_fine(other).map(|()| None),
                }
            }
            Self::Delete { id } => {
                gone_is_fine(
                    ctx.api
                        .call("DeleteInternetGateway", Effect::Takes, || ec2.delete_internet_gateway().internet_gateway_id(id).send())
                        .await,
                )?;
                Ok(None)
            }
        }
    }
}
