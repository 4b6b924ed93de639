//! The VPC and its DNS attributes.

use super::{
    api::Effect,
    errors::Fault,
    plan::{self, Creation, Plan, Standing},
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
}

/// Adds what differs.
pub fn diff(wanted: &Wanted, world: &World, plan: &mut Plan) {
    let there = world.vpc_id().and_then(|id| world.vpcs.iter().find(|v| v.own.id == id));
    let standing = plan.resource("vpc", KEY, world, there.map(|v| &v.own), wanted.tags(KEY), |tags| Creation {
        after: &[],
        details: vec![format!("range: {}", wanted.vpc_cidr)],
        work: plan::Work::Vpc(Work::Create { cidr: wanted.vpc_cidr.clone(), tags }),
    });
    if standing == Standing::Adopted {
        return;
    }
    if let Some(vpc) = there.filter(|v| v.cidr != wanted.vpc_cidr) {
        plan.refused.push(format!(
            "vpc {}: its range {} cannot become {}: destroy the cluster first, or keep network.vpc",
            vpc.own.id, vpc.cidr, wanted.vpc_cidr
        ));
    }
    let fresh = standing == Standing::New;
    // DNS support is on in a new VPC (CreateVpc); host names are not.
    let (support, hostnames) = there.map_or((true, false), |v| (v.dns_support, v.dns_hostnames));
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
        }
    }
}
