//! The one listener of the API's load balancer: TCP 6443 to the target group. It goes with its load balancer.

use super::{
    api::Effect,
    errors::Fault,
    load_balancer,
    plan::{self, Plan},
    run::Ctx,
    tags::{self, Tags},
    target_group,
    wanted::Wanted,
    world::World,
};
use aws_sdk_elasticloadbalancingv2::types::{Action, ActionTypeEnum, ProtocolEnum};

/// Its key.
pub const KEY: &str = "listener/api";

/// Calls.
#[derive(Clone, Debug)]
pub enum Work {
    /// Makes it.
    Create {
        /// Its tags.
        tags: Tags,
    },
    /// Sends it where it belongs.
    Change {
        /// Its id.
        id: String,
    },
}

/// Adds what differs; what others listen to on our balancer is told.
pub fn diff(wanted: &Wanted, world: &World, plan: &mut Plan) {
    if wanted.balancer.is_none() {
        return;
    }
    let (balancer, group) = (plan.ids.get(load_balancer::KEY), plan.ids.get(target_group::KEY).cloned());
    let all = world.load_balancer().filter(|b| Some(&b.own.id) == balancer).map(|b| b.listeners.as_slice()).unwrap_or_default();
    let (ours, others): (Vec<_>, Vec<_>) = all.iter().partition(|l| l.port == target_group::PORT);
    for other in others {
        plan.notes.push(format!("load balancer: its listener on port {} is not ours and stays", other.port));
    }
    let after = [load_balancer::KEY, target_group::KEY];
    match ours.first() {
        None => {
            let details = vec![format!("TCP {} → {}", target_group::PORT, target_group::KEY)];
            let work = plan::Work::Listener(Work::Create { tags: wanted.tags(KEY) });
            plan.create("listener", KEY, &after, details, work);
        }
        Some(there) if there.protocol != "TCP" || there.target_group != group => {
            let details = vec![format!("{} {} → TCP {}", there.protocol, there.port, target_group::KEY)];
            plan.part("listener", KEY, &after, false, details, plan::Work::Listener(Work::Change { id: there.id.clone() }));
        }
        Some(_) => {}
    }
}

impl Work {
    /// It is no resource that is found by itself, so it has no id that must be shown again.
    pub(super) async fn run(&self, ctx: &Ctx<'_>) -> Result<Option<String>, Fault> {
        let elb = &ctx.api.elb;
        let forward = Action::builder().r#type(ActionTypeEnum::Forward).target_group_arn(ctx.id(target_group::KEY)?).build();
        match self {
            Self::Create { tags } => {
                let balancer = ctx.id(load_balancer::KEY)?;
                ctx.api
                    .call("CreateListener", Effect::Repeatable, || {
                        elb.create_listener()
                            .load_balancer_arn(&balancer)
                            .protocol(ProtocolEnum::Tcp)
                            .port(target_group::PORT)
                            .default_actions(forward.clone())
                            .set_tags(Some(tags::write_elb(tags)))
                            .send()
                    })
                    .await?;
            }
            Self::Change { id } => {
                ctx.api
                    .call("ModifyListener", Effect::Repeatable, || {
                        elb.modify_listener()
                            .listener_arn(id)
                            .protocol(ProtocolEnum::Tcp)
                            .port(target_group::PORT)
                            .default_actions(forward.clone())
                            .send()
                    })
                    .await?;
            }
        }
        Ok(None)
    }
}
