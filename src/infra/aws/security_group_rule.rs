//! Rules, each by its name: the tag on the rule says which one it is, so that a changed source is a change and not a new rule.
//! Rules that others wrote (the cloud controller, a person) are shown and never removed.

use super::{
    api::Effect,
    errors::Fault,
    plan::{self, Plan},
    removal::Removal,
    run::Ctx,
    tags::{Tags, at_creation},
    wanted::{Wanted, WantedRule},
    world::{Allows, GroupRule, World},
};
use aws_sdk_ec2::types::{IpPermission, IpRange, ResourceType, SecurityGroupRuleRequest, SecurityGroupRuleUpdate, UserIdGroupPair};

/// Calls.
#[derive(Clone, Debug)]
pub enum Work {
    /// Adds a rule. A source that is a key stands for that group's id.
    Create {
        /// The group's key.
        group: String,
        /// What it allows.
        allows: Allows,
        /// What for.
        description: String,
        /// Its tags.
        tags: Tags,
        /// Outgoing.
        egress: bool,
    },
    /// Changes a rule in place.
    Change {
        /// `sgr-…`
        id: String,
        /// The group's key.
        group: String,
        /// What it shall allow.
        allows: Allows,
        /// What for.
        description: String,
    },
}

/// Adds what differs.
pub fn diff(wanted: &Wanted, world: &World, plan: &mut Plan) {
    let mut matched = Vec::new();
    for want in &wanted.rules {
        let group = plan.ids.get(&want.group).cloned();
        let tags = wanted.tags(&want.key);
        let named: Vec<&GroupRule> =
            world.rules.iter().filter(|r| r.key.as_deref() == Some(&want.key) && Some(&r.group) == group.as_ref()).collect();
        let allows = resolved(&want.allows, plan);
        let rule = named.iter().find(|r| r.allows == allows).or(named.first());
        if let Some(rule) = rule {
            matched.push(&rule.id);
            plan.kept.insert(rule.id.clone());
            let lacking = super::tags::missing(&tags, &rule.tags);
            if !lacking.is_empty() {
                let details = lacking.iter().map(|(k, v)| format!("tag {k}: → {v}")).collect();
                let work = plan::Work::Tags { id: rule.id.clone(), tags: lacking };
                plan.part("security group rule", &format!("{}/tags", want.key), &[], false, details, work);
            }
            if rule.allows != allows || rule.description != want.description {
                let details = vec![format!("{} → {}", show(&rule.allows), show(&allows))];
                let work = Work::Change {
                    id: rule.id.clone(),
                    group: want.group.clone(),
                    allows: want.allows.clone(),
                    description: want.description.clone(),
                };
                let after = [want.group.as_str(), &want.allows.source];
                plan.part("security group rule", &want.key, &after, false, details, plan::Work::Rule(work));
            }
            continue;
        }
        // The same permission without our tag (somebody took the tag, or wrote it first): adding it would be a duplicate.
        let same = world
            .rules
            .iter()
            .find(|r| Some(&r.group) == group.as_ref() && r.egress == want.egress && r.allows == allows && r.key.is_none());
        if let Some(rule) = same {
            matched.push(&rule.id);
            if !want.egress && !world.adopted.contains_key(&want.group) {
                plan.keep(
                    "security group rule",
                    &want.key,
                    &super::world::Owned { id: rule.id.clone(), key: String::new(), tags: rule.tags.clone() },
                    &tags,
                );
            }
            continue;
        }
        create(want, &allows, tags, plan);
    }
    leftovers(wanted, world, &matched, plan);
}

fn create(want: &WantedRule, allows: &Allows, tags: Tags, plan: &mut Plan) {
    let work = Work::Create {
        group: want.group.clone(),
        allows: want.allows.clone(),
        description: want.description.clone(),
        tags,
        egress: want.egress,
    };
    // A new group has its rule for outgoing traffic already (CreateSecurityGroup).
    if want.egress && plan.makes(&want.group) {
        return;
    }
    let after = [want.group.as_str(), &want.allows.source];
    let details = vec![show(allows), want.description.clone()];
    plan.create("security group rule", &want.key, &after, details, plan::Work::Rule(work));
}

/// Rules of ours that nobody wants go; rules by others are told.
fn leftovers(wanted: &Wanted, world: &World, matched: &[&String], plan: &mut Plan) {
    for key in wanted.groups.iter().map(|g| &g.key) {
        let Some(id) = plan.ids.get(key).cloned() else { continue };
        for rule in world.rules.iter().filter(|r| r.group == id && !matched.contains(&&r.id)) {
            let ours = rule.tags.get(super::tags::CLUSTER).is_some_and(|c| *c == wanted.cluster);
            if ours {
                let removal = Removal::Rules { group: id.clone(), ids: vec![rule.id.clone()], egress: rule.egress };
                let name = rule.key.as_deref().map_or_else(|| rule.id.clone(), plan::label);
                // New rules first: traffic that both allow is never cut.
                let after = wanted.rules.iter().map(|r| r.key.clone()).collect();
                let details = vec![show(&rule.allows)];
                plan.delete("security group rule", &name, &format!("delete/{}", rule.id), after, details, removal);
            } else if !rule.egress {
                plan.notes.push(format!(
                    "{} in group {key} is not ours and stays: {}{}",
                    rule.id,
                    show(&rule.allows),
                    if rule.description.is_empty() { String::new() } else { format!(" ({})", rule.description) }
                ));
            }
        }
    }
}

/// With group keys replaced by the ids that are known.
fn resolved(allows: &Allows, plan: &Plan) -> Allows {
    let source = plan.ids.get(&allows.source).unwrap_or(&allows.source).clone();
    Allows { source, ..allows.clone() }
}

/// As people write it.
pub fn show(a: &Allows) -> String {
    let ports = match (a.protocol.as_str(), a.from, a.to) {
        ("-1", ..) => "all".to_owned(),
        ("icmp", kind, code) => format!("icmp type {kind} code {code}"),
        (protocol, from, to) if from == to => format!("{protocol} {from}"),
        (protocol, from, to) => format!("{protocol} {from}-{to}"),
    };
    format!("{ports} from {}", a.source)
}

impl Work {
    pub(super) async fn run(&self, ctx: &Ctx<'_>) -> Result<Option<String>, Fault> {
        let ec2 = &ctx.api.ec2;
        match self {
            Self::Create { group, allows, description, tags, egress } => {
                let group = ctx.id(group)?;
                let permission = permission(&with_id(ctx, allows)?, description);
                let tags = at_creation(ResourceType::SecurityGroupRule, tags);
                let rules = if *egress {
                    ctx.api
                        .call("AuthorizeSecurityGroupEgress", Effect::Repeatable, || {
                            let call = ec2.authorize_security_group_egress().group_id(&group);
                            call.ip_permissions(permission.clone()).tag_specifications(tags.clone()).send()
                        })
                        .await?
                        .security_group_rules
                } else {
                    ctx.api
                        .call("AuthorizeSecurityGroupIngress", Effect::Repeatable, || {
                            let call = ec2.authorize_security_group_ingress().group_id(&group);
                            call.ip_permissions(permission.clone()).tag_specifications(tags.clone()).send()
                        })
                        .await?
                        .security_group_rules
                };
                Ok(rules.and_then(|r| r.into_iter().next()).and_then(|r| r.security_group_rule_id))
            }
            Self::Change { id, group, allows, description } => {
                let group = ctx.id(group)?;
                let a = with_id(ctx, allows)?;
                let request = SecurityGroupRuleRequest::builder()
                    .ip_protocol(&a.protocol)
                    .from_port(a.from)
                    .to_port(a.to)
                    .set_cidr_ipv4((!is_group(&a.source)).then(|| a.source.clone()))
                    .set_referenced_group_id(is_group(&a.source).then(|| a.source.clone()))
                    .description(description)
                    .build();
                let update = SecurityGroupRuleUpdate::builder().security_group_rule_id(id).security_group_rule(request).build();
                ctx.api
                    .call("ModifySecurityGroupRules", Effect::Repeatable, || {
                        ec2.modify_security_group_rules().group_id(&group).security_group_rules(update.clone()).send()
                    })
                    .await?;
                Ok(None)
            }
        }
    }
}

fn is_group(source: &str) -> bool {
    source.starts_with("sg-")
}

fn with_id(ctx: &Ctx<'_>, allows: &Allows) -> Result<Allows, Fault> {
    let source = if allows.source.starts_with("security-group/") { ctx.id(&allows.source)? } else { allows.source.clone() };
    Ok(Allows { source, ..allows.clone() })
}

fn permission(a: &Allows, description: &str) -> IpPermission {
    let p = IpPermission::builder().ip_protocol(&a.protocol);
    let p = if a.protocol == "-1" { p } else { p.from_port(a.from).to_port(a.to) };
    if is_group(&a.source) {
        p.user_id_group_pairs(UserIdGroupPair::builder().group_id(&a.source).description(description).build()).build()
    } else {
        p.ip_ranges(IpRange::builder().cidr_ip(&a.source).description(description).build()).build()
    }
}
