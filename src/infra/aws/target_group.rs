//! The target group of the API's load balancer: control planes by address, asked at `/readyz`.
//!
//! By address and not by instance: an address belongs to a node's name, so a control plane can be registered before it runs,
//! and client addresses are not kept unless asked for. Kept, a control plane that dials the balancer and is sent to itself
//! would get no answer (<https://docs.aws.amazon.com/elasticloadbalancing/latest/network/load-balancer-troubleshooting.html>,
//! "hairpinning"); that they are not kept is set and checked all the same.

use super::{
    api::Effect,
    errors::Fault,
    load_balancer::name,
    plan::{self, Creation, Plan},
    run::Ctx,
    tags::{self, Tags},
    vpc,
    wanted::Wanted,
    world::{HealthCheck, World},
};
use aws_sdk_elasticloadbalancingv2::types::{Matcher, ProtocolEnum, TargetGroupAttribute, TargetTypeEnum};

/// Its key.
pub const KEY: &str = "target-group/api";
/// The API's port.
pub const PORT: i32 = 6443;
const KEEPS_CLIENT: &str = "preserve_client_ip.enabled";

/// Calls.
#[derive(Clone, Debug)]
pub enum Work {
    /// Makes it.
    Create {
        /// Its name.
        name: String,
        /// Its tags.
        tags: Tags,
    },
    /// Sets how targets are asked.
    HealthCheck,
    /// Targets see the balancer's address, not the client's.
    HideClients,
}

/// Every ten seconds; two answers make a target healthy, two misses make it unhealthy.
pub fn health_check() -> HealthCheck {
    HealthCheck {
        protocol: "HTTPS".to_owned(),
        path: "/readyz".to_owned(),
        codes: "200".to_owned(),
        interval: 10,
        healthy: 2,
        unhealthy: 2,
    }
}

/// Adds what differs.
pub fn diff(wanted: &Wanted, world: &World, plan: &mut Plan) {
    if wanted.balancer.is_none() {
        return;
    }
    let name = name(&wanted.cluster);
    if world.taken.contains(&"target group") {
        plan.foreign("target group", &name, &wanted.cluster);
        return;
    }
    let there = world.target_group();
    let blocking: Vec<String> = world.target_groups.iter().filter(|_| there.is_none()).map(|t| format!("delete/{}", t.own.id)).collect();
    let mut after = vec![vpc::KEY];
    after.extend(blocking.iter().map(String::as_str));
    plan.resource("target group", KEY, world, there.map(|t| &t.own), wanted.tags(KEY), |tags| Creation {
        after: &after,
        details: vec![format!("control planes by address, port {PORT}"), show(&health_check())],
        work: plan::Work::TargetGroup(Work::Create { name: name.clone(), tags }),
    });
    if let Some(there) = there
        && there.health_check != health_check()
    {
        let details = vec![format!("{} → {}", show(&there.health_check), show(&health_check()))];
        let work = plan::Work::TargetGroup(Work::HealthCheck);
        plan.part("target group", &format!("{KEY}/health-check"), &[], false, details, work);
    }
    if there.is_none_or(|t| t.keeps_client) {
        let details = vec!["client addresses: kept → hidden".to_owned()];
        let work = plan::Work::TargetGroup(Work::HideClients);
        plan.part("target group", &format!("{KEY}/clients"), &[KEY], there.is_none(), details, work);
    }
}

fn show(check: &HealthCheck) -> String {
    let HealthCheck { protocol, path, codes, interval, healthy, unhealthy } = check;
    format!("health check: {protocol} {path} = {codes} every {interval} s, {healthy} up, {unhealthy} down")
}

/// Whether these attributes keep client addresses, or do not say; what is not said is set.
pub(super) fn keeps_client(attributes: &[TargetGroupAttribute]) -> bool {
    attributes.iter().find(|a| a.key() == Some(KEEPS_CLIENT)).is_none_or(|a| a.value() != Some("false"))
}

impl Work {
    pub(super) async fn run(&self, ctx: &Ctx<'_>) -> Result<Option<String>, Fault> {
        let elb = &ctx.api.elb;
        let check = health_check();
        let codes = Matcher::builder().http_code(&check.codes).build();
        match self {
            Self::Create { name, tags } => {
                let vpc = ctx.id(vpc::KEY)?;
                let made = ctx
                    .api
                    .call("CreateTargetGroup", Effect::Repeatable, || {
                        elb.create_target_group()
                            .name(name)
                            .protocol(ProtocolEnum::Tcp)
                            .port(PORT)
                            .vpc_id(&vpc)
                            .target_type(TargetTypeEnum::Ip)
                            .health_check_protocol(ProtocolEnum::from(check.protocol.as_str()))
                            .health_check_path(&check.path)
                            .health_check_interval_seconds(check.interval)
                            .healthy_threshold_count(check.healthy)
                            .unhealthy_threshold_count(check.unhealthy)
                            .matcher(codes.clone())
                            .set_tags(Some(tags::write_elb(tags)))
                            .send()
                    })
                    .await?;
                Ok(made.target_groups().first().and_then(|t| t.target_group_arn()).map(str::to_owned))
            }
            Self::HealthCheck => {
                let id = ctx.id(KEY)?;
                ctx.api
                    .call("ModifyTargetGroup", Effect::Repeatable, || {
                        elb.modify_target_group()
                            .target_group_arn(&id)
                            .health_check_protocol(ProtocolEnum::from(check.protocol.as_str()))
                            .health_check_path(&check.path)
                            .health_check_interval_seconds(check.interval)
                            .healthy_threshold_count(check.healthy)
                            .unhealthy_threshold_count(check.unhealthy)
                            .matcher(codes.clone())
                            .send()
                    })
                    .await?;
                Ok(None)
            }
            Self::HideClients => {
                let id = ctx.id(KEY)?;
                let off = TargetGroupAttribute::builder().key(KEEPS_CLIENT).value("false").build();
                ctx.api
                    .call("ModifyTargetGroupAttributes", Effect::Repeatable, || {
                        elb.modify_target_group_attributes().target_group_arn(&id).attributes(off.clone()).send()
                    })
                    .await?;
                Ok(None)
            }
        }
    }
}
