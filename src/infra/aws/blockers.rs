//! Who stands in the way of a deletion: things of others in our VPC, with their owner and the command that would remove them.

use super::{
    api::{Api, Effect},
    errors::Fault,
    read::pages,
    tags,
    world::World,
};
use aws_sdk_ec2::types::Filter;

/// Looks for foreign network interfaces (load balancers, functions, endpoints), instances, subnets and security groups.
pub async fn find(api: &Api, world: &World, cluster: &str) -> Result<Vec<String>, Fault> {
    let Some(vpc) = world.vpc_id().map(str::to_owned) else { return Ok(Vec::new()) };
    let in_vpc = Filter::builder().name("vpc-id").values(&vpc).build();
    let our_balancer = |description: &str| {
        let paths = world.load_balancers.iter().filter_map(|b| b.own.id.split_once(":loadbalancer/"));
        description.strip_prefix("ELB ").is_some_and(|d| paths.map(|(_, path)| path).any(|path| d == path))
    };
    let mut found = Vec::new();
    let interfaces =
        pages!(api, "DescribeNetworkInterfaces", api.ec2.describe_network_interfaces().filters(in_vpc.clone()), network_interfaces);
    for i in interfaces {
        let id = i.network_interface_id().unwrap_or_default();
        let ours = i.attachment().and_then(|a| a.instance_id()).is_some_and(|id| world.instances.iter().any(|x| x.own.id == id));
        if ours || i.description().is_some_and(our_balancer) {
            continue;
        }
        let owner = i.requester_id().or(i.owner_id()).unwrap_or("unknown");
        let about = i.description().filter(|d| !d.is_empty()).unwrap_or("no description");
        found.push(format!(
            "network interface {id} ({about}), owner {owner}: aws ec2 delete-network-interface --region {} --network-interface-id {id}",
            api.region
        ));
    }
    let groups = pages!(api, "DescribeSecurityGroups", api.ec2.describe_security_groups().filters(in_vpc.clone()), security_groups);
    for g in groups {
        let ours = g.tags().iter().any(|t| t.key() == Some(tags::CLUSTER) && t.value() == Some(cluster));
        if !ours && g.group_name() != Some("default") {
            let (id, name) = (g.group_id().unwrap_or_default(), g.group_name().unwrap_or_default());
            let owner = g.owner_id().unwrap_or("unknown");
            found.push(format!(
                "security group {id} ({name}), owner {owner}: aws ec2 delete-security-group --region {} --group-id {id}",
                api.region
            ));
        }
    }
    let subnets = pages!(api, "DescribeSubnets", api.ec2.describe_subnets().filters(in_vpc.clone()), subnets);
    for s in subnets {
        let ours = s.tags().iter().any(|t| t.key() == Some(tags::CLUSTER) && t.value() == Some(cluster));
        if !ours {
            let id = s.subnet_id().unwrap_or_default();
            let owner = s.owner_id().unwrap_or("unknown");
            found.push(format!("subnet {id}, owner {owner}: aws ec2 delete-subnet --region {} --subnet-id {id}", api.region));
        }
    }
    Ok(found)
}
