//! The VPC and its DNS attributes.

use super::{
    api::{Effect, gone_is_fine},
    errors::Fault,
    plan::{self, Plan},
    run::Ctx,
    tags::{Tags, at_creation},
    wanted::Wanted,
    world::World,
};
use aws_sdk_ec2::types::{AttributeBooleanValue, ResourceType};

/// Key of the VPC.
pub const KEY: &str = "vpc";

/// Calls.
#[derive(Clone, Debug)]
pub enum Work {
    /// Makes it.
    Create {
        /// Its range.
        cidr: String,
        /// Its tags.
        tags: Tags,
    },
    /// `enableDnsSupport`, which host names need.
    DnsSupport,
    /// `enableDnsHostnames`.
    DnsHostnames,
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
    let tags = wanted.tags(KEY);
    let there = world.vpc_id().and_then(|id| world.vpcs.iter().find(|v| v.own.id == id));
    let (fresh, support, hostnames) = if let Some(vpc) = there {
        plan.keep("vpc", KEY, &vpc.own, &tags);
        if vpc.cidr != wanted.vpc_cidr {
            plan.refused.push(format!(
                "vpc {}: its range {} cannot become {}: destroy the cluster first, or keep network.vpc",
                vpc.own.id, vpc.cidr, wanted.vpc_cidr
            ));
        }
        (false, vpc.dns_support, vpc.dns_hostnames)
    } else {
        let work = Work::Create { cidr: wanted.vpc_cidr.clone(), tags };
        plan.create("vpc", KEY, &[], vec![format!("range: {}", wanted.vpc_cidr)], plan::Work::Vpc(work));
        // DNS support is on in a new VPC (CreateVpc); host names are not.
        (true, true, false)
    };
    if !support {
        let details = vec!["dns support: off → on".to_owned()];
        plan.part("vpc", "vpc/dns-support", &[KEY], fresh, details, plan::Work::Vpc(Work::DnsSupport));
    }
    if !hostnames {
        let details = vec!["dns host names: off → on".to_owned()];
        plan.part("vpc", "vpc/dns-hostnames", &[KEY, "vpc/dns-support"], fresh, details, plan::Work::Vpc(Work::DnsHostnames));
    }
}

impl Work {
    pub(super) async fn run(&self, ctx: &Ctx<'_>) -> Result<Option<String>, Fault> {
        let ec2 = &ctx.api.ec2;
        let on = AttributeBooleanValue::builder().value(true).build();
        match self {
            Self::Create { cidr, tags } => {
                let made = ctx
                    .api
                    .call("CreateVpc", Effect::Once, || {
                        ec2.create_vpc().cidr_block(cidr).tag_specifications(at_creation(ResourceType::Vpc, tags)).send()
                    })
                    .await?;
                Ok(made.vpc.and_then(|v| v.vpc_id))
            }
            Self::DnsSupport => {
                let id = ctx.id(KEY)?;
                ctx.api
                    .call("ModifyVpcAttribute", Effect::Repeatable, || {
                        ec2.modify_vpc_attribute().vpc_id(&id).enable_dns_support(on.clone()).send()
                    })
                    .await?;
                Ok(None)
            }
            Self::DnsHostnames => {
                let id = ctx.id(KEY)?;
                ctx.api
                    .call("ModifyVpcAttribute", Effect::Repeatable, || {
                        ec2.modify_vpc_attribute().vpc_id(&id).enable_dns_hostnames(on.clone()).send()
                    })
                    .await?;
                Ok(None)
            }
            Self::Delete { id } => {
                gone_is_fine(ctx.api.call("DeleteVpc", Effect::Takes, || ec2.delete_vpc().vpc_id(id).send()).await)?;
                Ok(None)
            }
        }
    }
}
