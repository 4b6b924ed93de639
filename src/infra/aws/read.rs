//! Reads the whole world by a fixed set of paginated calls, all at once: their number does not depend on the nodes.

use super::{
    api::{Api, Effect},
    errors::Fault,
    read_balancer,
    tags::{self, of_cluster},
    world::{
        Address, Allows, Group, GroupRule, Instance, InternetGateway, KeyPair, NatGateway, Owned, RouteTable, Subnet, Volume, Vpc, World,
    },
};
use crate::spec::AwsExisting;
use aws_sdk_ec2::types::{self, Filter, VpcAttributeName};
use std::collections::BTreeMap;

/// Pages through one `describe_…` call: `pages!(api, Action, request, items)`.
macro_rules! pages {
    ($api:expr, $action:literal, $request:expr, $items:ident) => {{
        let mut all = Vec::new();
        let mut token: Option<String> = None;
        loop {
            let page = $api.call($action, Effect::Repeatable, || $request.set_next_token(token.clone()).send()).await?;
            token = page.next_token.filter(|t| !t.is_empty());
            all.extend(page.$items.unwrap_or_default());
            if token.is_none() {
                break all;
            }
        }
    }};
}
pub(super) use pages;

/// Reads everything with the cluster's tag, and the existing things that the spec names.
pub async fn world(api: &Api, cluster: &str, existing: &AwsExisting) -> Result<World, Fault> {
    let mine = of_cluster(cluster);
    let (vpcs, subnets, gateways, addresses, nats, tables, groups, keys, instances, volumes, balancer, adopted) = futures::try_join!(
        vpcs(api, &mine),
        subnets(api, &mine),
        internet_gateways(api, &mine),
        addresses(api, &mine),
        nat_gateways(api, &mine),
        route_tables(api, &mine),
        groups(api, &mine),
        key_pairs(api, &mine),
        instances(api, &mine),
        volumes(api, &mine),
        read_balancer::balancer(api, cluster),
        adopted(api, existing),
    )?;
    let mut world = World {
        vpcs,
        subnets,
        internet_gateways: gateways,
        addresses,
        route_tables: tables,
        groups,
        key_pairs: keys,
        volumes,
        load_balancers: balancer.load_balancers,
        target_groups: balancer.target_groups,
        taken: balancer.taken,
        adopted,
        ..World::default()
    };
    for nat in nats {
        if nat.state == "deleted" {
            world.dead.entry(nat.own.key.clone()).or_default().insert(nat.own.id);
        } else {
            world.nat_gateways.push(nat);
        }
    }
    for instance in instances {
        if instance.state == "shutting-down" || instance.state == "terminated" {
            world.dead.entry(instance.own.key.clone()).or_default().insert(instance.own.id.clone());
        }
        if instance.state != "terminated" {
            world.instances.push(instance);
        }
    }
    // A root volume goes with its instance.
    let gone: Vec<&String> = world.dead.values().flatten().collect();
    world.volumes.retain(|v| v.instance.as_ref().is_none_or(|i| !gone.contains(&i)));
    let group_ids: Vec<String> = world
        .groups
        .iter()
        .map(|g| g.own.id.clone())
        .chain(world.adopted.iter().filter(|(k, _)| k.starts_with("security-group/")).map(|(_, id)| id.clone()))
        .collect();
    world.rules = if group_ids.is_empty() { Vec::new() } else { rules(api, group_ids).await? };
    dns_attributes(api, &mut world).await?;
    Ok(world)
}

fn text(s: Option<&str>) -> String {
    s.unwrap_or_default().to_owned()
}

async fn vpcs(api: &Api, mine: &Filter) -> Result<Vec<Vpc>, Fault> {
    let found = pages!(api, "DescribeVpcs", api.ec2.describe_vpcs().filters(mine.clone()), vpcs);
    Ok(found
        .iter()
        .map(|v| Vpc { own: Owned::new(v.vpc_id(), tags::read(v.tags.as_deref())), cidr: text(v.cidr_block()), ..Vpc::default() })
        .collect())
}

/// One VPC is the rule, so two calls; a duplicate left by an interrupted run goes away anyway and needs no attributes.
async fn dns_attributes(api: &Api, world: &mut World) -> Result<(), Fault> {
    let Some(id) = world.vpc_id().map(str::to_owned) else { return Ok(()) };
    let ask = async |name: VpcAttributeName| {
        api.call("DescribeVpcAttribute", Effect::Repeatable, || api.ec2.describe_vpc_attribute().vpc_id(&id).attribute(name.clone()).send())
            .await
    };
    let (support, hostnames) = futures::try_join!(ask(VpcAttributeName::EnableDnsSupport), ask(VpcAttributeName::EnableDnsHostnames))?;
    if let Some(vpc) = world.vpcs.iter_mut().find(|v| v.own.id == id) {
        vpc.dns_support = support.enable_dns_support.and_then(|a| a.value).unwrap_or_default();
        vpc.dns_hostnames = hostnames.enable_dns_hostnames.and_then(|a| a.value).unwrap_or_default();
    }
    Ok(())
}

async fn subnets(api: &Api, mine: &Filter) -> Result<Vec<Subnet>, Fault> {
    let found = pages!(api, "DescribeSubnets", api.ec2.describe_subnets().filters(mine.clone()), subnets);
    Ok(found
        .iter()
        .map(|s| Subnet {
            own: Owned::new(s.subnet_id(), tags::read(s.tags.as_deref())),
            vpc: text(s.vpc_id()),
            cidr: text(s.cidr_block()),
            zone: text(s.availability_zone()),
            public_ip: s.map_public_ip_on_launch.unwrap_or_default(),
        })
        .collect())
}

async fn internet_gateways(api: &Api, mine: &Filter) -> Result<Vec<InternetGateway>, Fault> {
    let found = pages!(api, "DescribeInternetGateways", api.ec2.describe_internet_gateways().filters(mine.clone()), internet_gateways);
    Ok(found
        .iter()
        .map(|g| InternetGateway {
            own: Owned::new(g.internet_gateway_id(), tags::read(g.tags.as_deref())),
            vpc: g.attachments().first().and_then(|a| a.vpc_id()).map(str::to_owned),
        })
        .collect())
}

async fn addresses(api: &Api, mine: &Filter) -> Result<Vec<Address>, Fault> {
    // DescribeAddresses has no pages.
    let found = api
        .call("DescribeAddresses", Effect::Repeatable, || api.ec2.describe_addresses().filters(mine.clone()).send())
        .await?
        .addresses
        .unwrap_or_default();
    let some = |s: Option<&str>| s.filter(|s| !s.is_empty()).map(str::to_owned);
    Ok(found
        .iter()
        .map(|a| Address {
            own: Owned::new(a.allocation_id(), tags::read(a.tags.as_deref())),
            public_ip: text(a.public_ip()),
            association: some(a.association_id()),
            instance: some(a.instance_id()),
        })
        .collect())
}

async fn nat_gateways(api: &Api, mine: &Filter) -> Result<Vec<NatGateway>, Fault> {
    let found = pages!(api, "DescribeNatGateways", api.ec2.describe_nat_gateways().filter(mine.clone()), nat_gateways);
    Ok(found
        .iter()
        .map(|n| NatGateway {
            own: Owned::new(n.nat_gateway_id(), tags::read(n.tags.as_deref())),
            vpc: text(n.vpc_id()),
            subnet: text(n.subnet_id()),
            state: n.state().map(|s| s.as_str().to_owned()).unwrap_or_default(),
            failure: n.failure_message().map(str::to_owned),
        })
        .collect())
}

async fn route_tables(api: &Api, mine: &Filter) -> Result<Vec<RouteTable>, Fault> {
    let found = pages!(api, "DescribeRouteTables", api.ec2.describe_route_tables().filters(mine.clone()), route_tables);
    Ok(found
        .iter()
        .map(|t| RouteTable {
            own: Owned::new(t.route_table_id(), tags::read(t.tags.as_deref())),
            vpc: text(t.vpc_id()),
            default_route: t.routes().iter().find(|r| r.destination_cidr_block() == Some("0.0.0.0/0")).map(|r| {
                let target = r.gateway_id().or(r.nat_gateway_id()).or(r.network_interface_id()).or(r.transit_gateway_id());
                (text(target), r.state() != Some(&types::RouteState::Blackhole))
            }),
            associations: t
                .associations()
                .iter()
                .filter_map(|a| Some((a.subnet_id()?.to_owned(), a.route_table_association_id()?.to_owned())))
                .collect(),
        })
        .collect())
}

pub(super) async fn groups(api: &Api, mine: &Filter) -> Result<Vec<Group>, Fault> {
    let found = pages!(api, "DescribeSecurityGroups", api.ec2.describe_security_groups().filters(mine.clone()), security_groups);
    Ok(found
        .iter()
        .map(|g| Group { own: Owned::new(g.group_id(), tags::read(g.tags.as_deref())), vpc: text(g.vpc_id()), name: text(g.group_name()) })
        .collect())
}

async fn rules(api: &Api, groups: Vec<String>) -> Result<Vec<GroupRule>, Fault> {
    let of = Filter::builder().name("group-id").set_values(Some(groups)).build();
    let found = pages!(
        api,
        "DescribeSecurityGroupRules",
        api.ec2.describe_security_group_rules().filters(of.clone()).max_results(1000),
        security_group_rules
    );
    let mut rules: Vec<GroupRule> = found
        .iter()
        .map(|r| {
            let tags = tags::read(r.tags.as_deref());
            let source = r.cidr_ipv4().or(r.referenced_group_info().and_then(|g| g.group_id())).or(r.cidr_ipv6()).or(r.prefix_list_id());
            GroupRule {
                id: text(r.security_group_rule_id()),
                group: text(r.group_id()),
                key: tags.get(tags::RESOURCE).cloned(),
                tags,
                egress: r.is_egress.unwrap_or_default(),
                allows: Allows {
                    protocol: text(r.ip_protocol()),
                    from: r.from_port.unwrap_or(-1),
                    to: r.to_port.unwrap_or(-1),
                    source: text(source),
                },
                description: text(r.description()),
            }
        })
        .collect();
    rules.sort();
    Ok(rules)
}

async fn key_pairs(api: &Api, mine: &Filter) -> Result<Vec<KeyPair>, Fault> {
    // DescribeKeyPairs has no pages.
    let found = api
        .call("DescribeKeyPairs", Effect::Repeatable, || api.ec2.describe_key_pairs().include_public_key(true).filters(mine.clone()).send())
        .await?
        .key_pairs
        .unwrap_or_default();
    Ok(found
        .iter()
        .map(|k| KeyPair {
            own: Owned::new(k.key_pair_id(), tags::read(k.tags.as_deref())),
            name: text(k.key_name()),
            public_key: k.public_key().map(str::to_owned),
            fingerprint: text(k.key_fingerprint()),
        })
        .collect())
}

async fn instances(api: &Api, mine: &Filter) -> Result<Vec<Instance>, Fault> {
    let found = pages!(api, "DescribeInstances", api.ec2.describe_instances().filters(mine.clone()).max_results(1000), reservations);
    Ok(found.iter().flat_map(types::Reservation::instances).map(instance).collect())
}

/// One instance, from DescribeInstances or RunInstances.
pub fn instance(i: &types::Instance) -> Instance {
    let imds = i.metadata_options();
    Instance {
        own: Owned::new(i.instance_id(), tags::read(i.tags.as_deref())),
        vpc: text(i.vpc_id()),
        subnet: text(i.subnet_id()),
        zone: text(i.placement().and_then(|p| p.availability_zone())),
        state: i.state().and_then(|s| s.name()).map(|n| n.as_str().to_owned()).unwrap_or_default(),
        instance_type: i.instance_type().map(|t| t.as_str().to_owned()).unwrap_or_default(),
        private_ip: i.private_ip_address().and_then(|a| a.parse().ok()),
        public_ip: i.public_ip_address().and_then(|a| a.parse().ok()),
        spot: i.instance_lifecycle() == Some(&types::InstanceLifecycleType::Spot),
        launched: i.launch_time().map(aws_smithy_types::DateTime::secs).unwrap_or_default(),
        image: text(i.image_id()),
        imds_tokens: imds.and_then(|m| m.http_tokens()) == Some(&types::HttpTokensState::Required),
        imds_hops: imds.and_then(|m| m.http_put_response_hop_limit).unwrap_or_default(),
        groups: i.security_groups().iter().filter_map(|g| g.group_id().map(str::to_owned)).collect(),
    }
}

/// Ours by our tag, which the storage driver that we deploy gives to what it makes, too; those it knows by the claim's name
/// (aws-ebs-csi-driver docs/tagging.md). Its other tags carry no more than a cluster's name: another cluster may have that.
async fn volumes(api: &Api, mine: &Filter) -> Result<Vec<Volume>, Fault> {
    let found = pages!(api, "DescribeVolumes", api.ec2.describe_volumes().filters(mine.clone()).max_results(500), volumes);
    let goes = |v: &types::Volume| v.state() == Some(&types::VolumeState::Deleting) || v.state() == Some(&types::VolumeState::Deleted);
    Ok(found
        .iter()
        .filter(|v| !goes(v))
        .map(|v| {
            let own = Owned::new(v.volume_id(), tags::read(v.tags.as_deref()));
            Volume {
                dynamic: own.tags.contains_key("CSIVolumeName"),
                own,
                size: v.size.unwrap_or_default(),
                kind: v.volume_type().map(|t| t.as_str().to_owned()).unwrap_or_default(),
                instance: v.attachments().first().and_then(|a| a.instance_id()).map(str::to_owned),
            }
        })
        .collect())
}

/// Existing things that are used as they are: their ids under the keys that they stand for. An existing VPC's own internet
/// gateway is used too.
async fn adopted(api: &Api, existing: &AwsExisting) -> Result<BTreeMap<String, String>, Fault> {
    let mut adopted = BTreeMap::new();
    let mut add = |key: &str, id: &Option<String>| {
        if let Some(id) = id {
            adopted.insert(key.to_owned(), id.clone());
        }
    };
    add("vpc", &existing.vpc);
    add("subnet/public", &existing.public_subnet);
    add("security-group/control-plane", &existing.control_plane_security_group);
    add("security-group/worker", &existing.worker_security_group);
    add("key-pair", &existing.key_pair);
    for (i, id) in existing.private_subnets.iter().enumerate() {
        adopted.insert(format!("subnet/private-{}", i + 1), id.clone());
    }
    if let Some(vpc) = &existing.vpc {
        let filter = Filter::builder().name("attachment.vpc-id").values(vpc).build();
        let found =
            pages!(api, "DescribeInternetGateways", api.ec2.describe_internet_gateways().filters(filter.clone()), internet_gateways);
        // One of ours in somebody's VPC stays ours.
        let theirs = found.iter().find(|g| !g.tags().iter().any(|t| t.key() == Some(tags::CLUSTER)));
        if let Some(id) = theirs.and_then(|g| g.internet_gateway_id()) {
            adopted.insert("internet-gateway".to_owned(), id.to_owned());
        }
    }
    Ok(adopted)
}
