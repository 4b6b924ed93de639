//! The internet gateway and its attachment.

use super::{
    api::Effect,
    errors::{Fault, Meaning},
    plan::{self, Creation, Plan, Standing},
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
}

/// Adds what differs.
pub fn diff(wanted: &Wanted, world: &World, plan: &mut Plan) {
    // Without a route to it nobody needs one.
    if wanted.tables.is_empty() && !world.adopted.contains_key(KEY) {
        return;
    }
    let there = world.internet_gateway();
    let standing = plan.resource("internet gateway", KEY, world, there.map(|g| &g.own), wanted.tags(KEY), |tags| Creation {
        after: &[],
        details: Vec::new(),
        work: plan::Work::InternetGateway(Work::Create { tags }),
    });
    if standing != Standing::Adopted && there.is_none_or(|g| g.vpc.is_none()) {
        let fresh = standing == Standing::New;
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
        }
    }
}
