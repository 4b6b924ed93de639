//! What controllers in the cluster made for Services and did not take away before they died: load balancers, target groups
//! and their security groups, by the tag that the AWS cloud controller gives them (`kubernetes.io/cluster/NAME: owned`,
//! <https://cloud-provider-aws.sigs.k8s.io/>). Another cluster may have that name, so only what is in a VPC that we made counts.

use super::{
    api::{Api, Effect},
    errors::Fault,
    read, read_balancer,
    tags::{self, Tags},
    world::World,
};
use aws_sdk_ec2::types::Filter;
use std::collections::BTreeMap;

/// All pages of one of Elastic Load Balancing's calls (EC2's have a token: [`super::read::pages`]).
macro_rules! marked {
    ($api:expr, $action:literal, $request:expr, $items:ident) => {{
        let mut all = Vec::new();
        let mut marker: Option<String> = None;
        loop {
            let page = $api.call($action, Effect::Repeatable, || $request.set_marker(marker.clone()).send()).await?;
            marker = page.next_marker.filter(|m| !m.is_empty());
            all.extend(page.$items.unwrap_or_default());
            if marker.is_none() {
                break Ok::<_, Fault>(all);
            }
        }
    }};
}

/// As many resources as DescribeTags takes in one call.
const TAGGED: usize = 20;

/// Adds it to what is there. Only a destroy asks: it reads every load balancer of the region.
pub(super) async fn add(api: &Api, cluster: &str, world: &mut World) -> Result<(), Fault> {
    let vpcs: Vec<String> = world.vpcs.iter().map(|v| v.own.id.clone()).collect();
    if vpcs.is_empty() {
        return Ok(());
    }
    let tag = format!("kubernetes.io/cluster/{cluster}");
    let owned = Filter::builder().name(format!("tag:{tag}")).values("owned").build();
    let (groups, balancers, targets) = futures::try_join!(
        read::groups(api, &owned),
        async { marked!(api, "DescribeLoadBalancers", api.elb.describe_load_balancers(), load_balancers) },
        async { marked!(api, "DescribeTargetGroups", api.elb.describe_target_groups(), target_groups) },
    )?;
    world.groups.extend(groups.into_iter().filter(|g| vpcs.contains(&g.vpc)).filter(|g| !g.own.tags.contains_key(tags::CLUSTER)));

    let known = |id: &str| world.load_balancers.iter().any(|b| b.own.id == id) || world.target_groups.iter().any(|t| t.own.id == id);
    let balancers = balancers.iter().map(|b| read_balancer::load_balancer(b, Tags::new(), Vec::new(), false));
    let balancers: Vec<_> = balancers.filter(|b| vpcs.contains(&b.vpc) && !known(&b.own.id)).collect();
    let targets = targets.iter().map(|t| read_balancer::group_of(t, Tags::new(), false, BTreeMap::new()));
    let targets: Vec<_> = targets.filter(|t| vpcs.contains(&t.vpc) && !known(&t.own.id)).collect();
    let ids: Vec<String> = balancers.iter().map(|b| &b.own.id).chain(targets.iter().map(|t| &t.own.id)).cloned().collect();
    let mut tagged: BTreeMap<String, Tags> = BTreeMap::new();
    for some in ids.chunks(TAGGED) {
        tagged.extend(read_balancer::tags_of_all(api, some).await?);
    }
    let of_cluster = |id: &String| tagged.get(id).and_then(|t| t.get(&tag)).is_some_and(|v| v == "owned");
    world.load_balancers.extend(balancers.into_iter().filter(|b| of_cluster(&b.own.id)));
    world.target_groups.extend(targets.into_iter().filter(|t| of_cluster(&t.own.id)));
    Ok(())
}
