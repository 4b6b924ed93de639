//! Reads the API's load balancer and its target group: by their name, which only they can have in an account and region, so
//! that no other load balancer of the account is read; the tags say whether they are ours.

use super::{
    api::{Api, Effect},
    errors::{Fault, Meaning},
    load_balancer::{is_cross_zone, name},
    tags::{self, Tags},
    target_group,
    world::{HealthCheck, Listener, LoadBalancer, Owned, TargetGroup},
};
use aws_sdk_elasticloadbalancingv2::types::{self, LoadBalancerSchemeEnum};
use std::{collections::BTreeMap, net::Ipv4Addr};

/// What was found.
#[derive(Clone, Debug, Default)]
pub(super) struct Found {
    /// None or one of ours.
    pub load_balancers: Vec<LoadBalancer>,
    /// None or one of ours.
    pub target_groups: Vec<TargetGroup>,
    /// What has our name and is somebody else's: `load balancer`, `target group`.
    pub taken: Vec<&'static str>,
}

/// The load balancer and target group of a cluster, whether it wants any or not: two calls where there are none.
pub(super) async fn balancer(api: &Api, cluster: &str) -> Result<Found, Fault> {
    let name = name(cluster);
    let balancers = async {
        let call = || api.elb.describe_load_balancers().names(&name).send();
        Ok(found(api.call("DescribeLoadBalancers", Effect::Takes, call).await)?.and_then(|f| f.load_balancers).unwrap_or_default())
    };
    let groups = async {
        let call = || api.elb.describe_target_groups().names(&name).send();
        Ok(found(api.call("DescribeTargetGroups", Effect::Takes, call).await)?.and_then(|f| f.target_groups).unwrap_or_default())
    };
    let (balancers, groups) = futures::try_join!(balancers, groups)?;
    let (balancer, group) = (balancers.into_iter().next(), groups.into_iter().next());
    let (balancer_id, group_id) =
        (balancer.as_ref().and_then(|b| b.load_balancer_arn()), group.as_ref().and_then(|g| g.target_group_arn()));
    let (balancer_tags, group_tags, parts, members) =
        futures::try_join!(tags_of(api, balancer_id), tags_of(api, group_id), parts(api, balancer_id), members(api, group_id))?;
    let mut all = Found::default();
    // What went away between two calls is not there.
    if let (Some(b), Some(tags), Some((listeners, cross_zone))) = (&balancer, balancer_tags, parts) {
        if is_of(&tags, cluster) {
            all.load_balancers.push(load_balancer(b, tags, listeners, cross_zone));
        } else {
            all.taken.push("load balancer");
        }
    }
    if let (Some(g), Some(tags), Some((keeps_client, targets))) = (&group, group_tags, members) {
        if is_of(&tags, cluster) {
            all.target_groups.push(group_of(g, tags, keeps_client, targets));
        } else {
            all.taken.push("target group");
        }
    }
    Ok(all)
}

fn is_of(tags: &Tags, cluster: &str) -> bool {
    tags.get(tags::CLUSTER).is_some_and(|c| c == cluster)
}

/// `None`: it is not there.
fn found<T>(result: Result<T, Fault>) -> Result<Option<T>, Fault> {
    match result {
        Err(fault) if fault.meaning == Meaning::NotFound => Ok(None),
        other => other.map(Some),
    }
}

fn text(s: Option<&str>) -> String {
    s.unwrap_or_default().to_owned()
}

pub(super) fn load_balancer(b: &types::LoadBalancer, tags: Tags, listeners: Vec<Listener>, cross_zone: bool) -> LoadBalancer {
    LoadBalancer {
        own: Owned::new(b.load_balancer_arn(), tags),
        name: text(b.load_balancer_name()),
        vpc: text(b.vpc_id()),
        state: b.state().and_then(|s| s.code()).map(|c| c.as_str().to_owned()).unwrap_or_default(),
        internal: b.scheme() == Some(&LoadBalancerSchemeEnum::Internal),
        addresses: b
            .availability_zones()
            .iter()
            .filter_map(|z| {
                let address = z.load_balancer_addresses().iter().find_map(|a| a.private_ipv4_address()?.parse().ok())?;
                Some((z.subnet_id()?.to_owned(), address))
            })
            .collect(),
        groups: b.security_groups().to_vec(),
        cross_zone,
        listeners,
    }
}

pub(super) fn group_of(g: &types::TargetGroup, tags: Tags, keeps_client: bool, targets: BTreeMap<Ipv4Addr, String>) -> TargetGroup {
    TargetGroup {
        own: Owned::new(g.target_group_arn(), tags),
        vpc: text(g.vpc_id()),
        health_check: HealthCheck {
            protocol: g.health_check_protocol().map(|p| p.as_str().to_owned()).unwrap_or_default(),
            path: text(g.health_check_path()),
            codes: text(g.matcher().and_then(|m| m.http_code())),
            interval: g.health_check_interval_seconds.unwrap_or_default(),
            healthy: g.healthy_threshold_count.unwrap_or_default(),
            unhealthy: g.unhealthy_threshold_count.unwrap_or_default(),
        },
        keeps_client,
        targets,
    }
}

/// Its listeners, and whether it sends to other zones.
async fn parts(api: &Api, balancer: Option<&str>) -> Result<Option<(Vec<Listener>, bool)>, Fault> {
    let Some(id) = balancer else { return Ok(None) };
    let listeners = async {
        // A load balancer has at most 50 listeners, a page 400.
        found(api.call("DescribeListeners", Effect::Takes, || api.elb.describe_listeners().load_balancer_arn(id).send()).await)
    };
    let attributes = async {
        let call = || api.elb.describe_load_balancer_attributes().load_balancer_arn(id).send();
        found(api.call("DescribeLoadBalancerAttributes", Effect::Takes, call).await)
    };
    let (Some(listeners), Some(attributes)) = futures::try_join!(listeners, attributes)? else { return Ok(None) };
    let listeners = listeners
        .listeners()
        .iter()
        .map(|l| Listener {
            id: text(l.listener_arn()),
            port: l.port.unwrap_or_default(),
            protocol: l.protocol().map(|p| p.as_str().to_owned()).unwrap_or_default(),
            target_group: l.default_actions().first().and_then(|a| a.target_group_arn()).map(str::to_owned),
        })
        .collect();
    Ok(Some((listeners, is_cross_zone(attributes.attributes()))))
}

/// Whether it keeps client addresses, and its targets with their health.
async fn members(api: &Api, group: Option<&str>) -> Result<Option<(bool, BTreeMap<Ipv4Addr, String>)>, Fault> {
    let Some(id) = group else { return Ok(None) };
    let attributes = async {
        let call = || api.elb.describe_target_group_attributes().target_group_arn(id).send();
        found(api.call("DescribeTargetGroupAttributes", Effect::Takes, call).await)
    };
    let health = async {
        found(api.call("DescribeTargetHealth", Effect::Takes, || api.elb.describe_target_health().target_group_arn(id).send()).await)
    };
    let (Some(attributes), Some(health)) = futures::try_join!(attributes, health)? else { return Ok(None) };
    let targets = health
        .target_health_descriptions()
        .iter()
        .filter_map(|d| {
            let state = d.target_health().and_then(|h| h.state()).map(|s| s.as_str().to_owned()).unwrap_or_default();
            Some((d.target()?.id()?.parse().ok()?, state))
        })
        .collect();
    Ok(Some((target_group::keeps_client(attributes.attributes()), targets)))
}

/// `None`: it is not there.
async fn tags_of(api: &Api, id: Option<&str>) -> Result<Option<Tags>, Fault> {
    let Some(id) = id else { return Ok(None) };
    Ok(tags_of_all(api, &[id.to_owned()]).await?.into_values().next())
}

/// By id. One that went away meanwhile takes the answer for the others with it: then it is empty, and the next look tells.
pub(super) async fn tags_of_all(api: &Api, ids: &[String]) -> Result<BTreeMap<String, Tags>, Fault> {
    let call = || api.elb.describe_tags().set_resource_arns(Some(ids.to_vec())).send();
    let answer = found(api.call("DescribeTags", Effect::Takes, call).await)?;
    let tags = |d: &types::TagDescription| d.tags().iter().filter_map(|t| Some((t.key()?.to_owned(), text(t.value())))).collect();
    let described = answer.and_then(|a| a.tag_descriptions).unwrap_or_default();
    Ok(described.iter().map(|d| (text(d.resource_arn()), tags(d))).collect())
}
