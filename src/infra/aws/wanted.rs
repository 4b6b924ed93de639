//! What the spec comes to in EC2's terms: plain data, pure, with every name and key.

use super::{
    facts::{Facts, Image},
    internet_gateway,
    tags::{self, Tags},
    world::Allows,
};
use crate::{
    infra::{
        InfraError,
        rules::{self, Group, Protocol, Source},
    },
    spec::{AwsSettings, ClusterSpec, Pool},
};
use ipnet::Ipv4Net;
use std::{collections::BTreeSet, net::Ipv4Addr};

/// A subnet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedSubnet {
    /// Its key.
    pub key: String,
    /// Its range.
    pub cidr: String,
    /// Its zone, when it is created.
    pub zone: String,
    /// Public addresses at launch.
    pub public: bool,
    /// Tags that controllers look for.
    pub tags: Tags,
}

/// A NAT gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedNat {
    /// Its key.
    pub key: String,
    /// Key of its address.
    pub address: String,
    /// Key of its subnet.
    pub subnet: String,
}

/// Where a default route goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Via {
    /// The internet gateway.
    Internet,
    /// The NAT gateway of this key.
    Nat(String),
}

impl Via {
    /// The target's key.
    pub fn key(&self) -> &str {
        match self {
            Self::Internet => internet_gateway::KEY,
            Self::Nat(key) => key,
        }
    }
}

/// A route table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedTable {
    /// Its key.
    pub key: String,
    /// Its default route.
    pub via: Via,
    /// Keys of its subnets.
    pub subnets: Vec<String>,
}

/// A security group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedGroup {
    /// Its key.
    pub key: String,
    /// Its name in EC2.
    pub name: String,
    /// What it is for. EC2 takes ASCII only.
    pub description: String,
    /// Tags that controllers look for.
    pub tags: Tags,
}

/// A rule; a source that is a key stands for that group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedRule {
    /// Its key: `rule/GROUP/NAME`.
    pub key: String,
    /// The group's key.
    pub group: String,
    /// What it allows.
    pub allows: Allows,
    /// What for.
    pub description: String,
    /// Outgoing.
    pub egress: bool,
}

/// A machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedMachine {
    /// Its key.
    pub key: String,
    /// Node name.
    pub name: String,
    /// Pool's name.
    pub pool: String,
    /// Key of its security group.
    pub group: String,
    /// Keys of subnets: where it belongs first, then where it may go when there is no capacity.
    pub subnets: Vec<String>,
    /// Its address, if it goes where it belongs.
    pub address: Option<Ipv4Addr>,
    /// Key of its Elastic IP.
    pub address_key: Option<String>,
    /// Type.
    pub instance_type: String,
    /// What it boots; `None`: nothing was found, which matters only if it is to be created.
    pub image: Option<Image>,
    /// Root volume, GiB.
    pub volume_gib: u32,
    /// Spot.
    pub spot: bool,
    /// Instance profile.
    pub profile: Option<String>,
    /// Termination protection.
    pub protected: bool,
    /// Tags besides those that every machine has.
    pub tags: Tags,
}

/// Everything that is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The cluster's name.
    pub cluster: String,
    /// The user's tags.
    pub user_tags: Tags,
    /// The VPC's range.
    pub vpc_cidr: String,
    /// Subnets.
    pub subnets: Vec<WantedSubnet>,
    /// Keys of Elastic IPs.
    pub addresses: Vec<String>,
    /// NAT gateways.
    pub nats: Vec<WantedNat>,
    /// Route tables.
    pub tables: Vec<WantedTable>,
    /// Security groups.
    pub groups: Vec<WantedGroup>,
    /// Their rules.
    pub rules: Vec<WantedRule>,
    /// Machines.
    pub machines: Vec<WantedMachine>,
    /// Where the load balancer before the API stands: keys of subnets, each with its address there; `None`: there is none.
    pub balancer: Option<Vec<(String, Ipv4Addr)>>,
    /// The operator's public keys; `None`: the file does not exist, `apply` makes it.
    pub operator_keys: Option<Vec<String>>,
}

impl Wanted {
    /// What the spec comes to in a region with these facts. `operator`: the operator's own addresses, where they were found.
    pub fn new(
        spec: &ClusterSpec,
        settings: &AwsSettings,
        facts: &Facts,
        operator_keys: Option<Vec<String>>,
        operator: &[Ipv4Net],
    ) -> Result<Self, InfraError> {
        let zones = usable_zones(settings, facts)?;
        let subnets = subnets(spec, settings, &zones);
        let existing = &settings.existing;
        // Somebody's subnets have their routes.
        let routed: Vec<&WantedSubnet> = subnets.iter().filter(|s| !s.public && existing.private_subnets.is_empty()).collect();
        let (nats, mut tables) = egress(settings, &routed, &subnets);
        if existing.public_subnet.is_none() {
            let public = subnets.iter().filter(|s| s.public).map(|s| s.key.clone()).collect();
            tables.insert(0, WantedTable { key: "route-table/public".into(), via: Via::Internet, subnets: public });
        }
        let machines: Vec<WantedMachine> = std::iter::once(&spec.control_plane)
            .chain(&spec.pools)
            .flat_map(|pool| machines(spec, settings, facts, pool, &subnets))
            .collect();
        let addresses = nats.iter().map(|n| n.address.clone()).chain(machines.iter().filter_map(|m| m.address_key.clone())).collect();
        let balancer = balancer(spec, &subnets);
        Ok(Self {
            cluster: spec.name.clone(),
            user_tags: spec.tags.iter().map(|(k, v)| (k.clone(), v.clone())).collect(),
            vpc_cidr: spec.network.vpc.to_string(),
            subnets,
            addresses,
            nats,
            tables,
            groups: groups(spec, settings),
            rules: wanted_rules(spec, operator),
            machines,
            balancer,
            operator_keys,
        })
    }

    /// The tags of a resource: the user's, then ours.
    pub fn tags(&self, key: &str) -> Tags {
        let mut tags = self.user_tags.clone();
        tags.insert("Name".to_owned(), self.name(key));
        tags.insert(tags::CLUSTER.to_owned(), self.cluster.clone());
        tags.insert(tags::RESOURCE.to_owned(), key.to_owned());
        tags
    }

    /// A resource's name for people: `dev-private-1`.
    pub fn name(&self, key: &str) -> String {
        let rest = key.strip_prefix("instance/").unwrap_or(key);
        format!("{}-{}", self.cluster, rest.replace('/', "-"))
    }

    /// The key pair's name in EC2.
    pub fn key_pair_name(&self) -> String {
        format!("kubewright-{}", self.cluster)
    }
}

fn role(pool: &str) -> &'static str {
    if pool == "control-plane" { "control-plane" } else { "worker" }
}

/// Zones that offer every type, the spec's own choice in the spec's order.
fn usable_zones(settings: &AwsSettings, facts: &Facts) -> Result<Vec<String>, InfraError> {
    let mut all = facts.zones.values();
    let first = all.next().cloned().unwrap_or_default();
    let common: BTreeSet<String> = all.fold(first, |a, b| a.intersection(b).cloned().collect());
    let zones: Vec<String> = if settings.zones.is_empty() {
        common.into_iter().collect()
    } else {
        if let Some(bad) = settings.zones.iter().find(|z| !common.contains(*z)) {
            return Err(InfraError::Missing {
                what: format!("zone {bad} does not offer {}", facts.zones.keys().cloned().collect::<Vec<_>>().join(" and ")),
                hint: format!("aws.zones may hold {}", common.into_iter().collect::<Vec<_>>().join(", ")),
            });
        }
        settings.zones.clone()
    };
    if zones.is_empty() {
        return Err(InfraError::Missing {
            what: format!("no zone of {} offers {} together", settings.region, facts.zones.keys().cloned().collect::<Vec<_>>().join(", ")),
            hint: "choose other instance types".to_owned(),
        });
    }
    Ok(zones)
}

/// With the cloud controller, its tags: which subnets load balancers go to
/// (<https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/deploy/subnet_discovery/>).
fn subnets(spec: &ClusterSpec, settings: &AwsSettings, zones: &[String]) -> Vec<WantedSubnet> {
    let controller_tags = |elb: &str| -> Tags {
        if settings.cloud_controller {
            [(format!("kubernetes.io/role/{elb}"), "1".to_owned()), (format!("kubernetes.io/cluster/{}", spec.name), "shared".to_owned())]
                .into()
        } else {
            Tags::new()
        }
    };
    let public = WantedSubnet {
        key: "subnet/public".to_owned(),
        cidr: spec.network.public_subnet.to_string(),
        zone: zones[0].clone(),
        public: true,
        tags: controller_tags("elb"),
    };
    let private = spec.network.private_subnets.iter().enumerate().map(|(i, cidr)| WantedSubnet {
        key: format!("subnet/private-{}", i + 1),
        cidr: cidr.to_string(),
        zone: zones[i % zones.len()].clone(),
        public: false,
        tags: controller_tags("internal-elb"),
    });
    let mut all: Vec<WantedSubnet> = std::iter::once(public).chain(private).collect();
    if settings.existing.public_subnet.is_none() && (settings.nat_per_zone || settings.cloud_controller) {
        let more = more_public(spec, &all, &controller_tags("elb"));
        all.extend(more);
    }
    all
}

/// A public subnet in every other zone that has a private one: a NAT gateway per zone stands there, and a load balancer reaches
/// only zones in which it has one. The ranges are taken from the end of the VPC, by the zone's letter, so that they stay the same.
fn more_public(spec: &ClusterSpec, all: &[WantedSubnet], tags: &Tags) -> Vec<WantedSubnet> {
    let network = &spec.network;
    let overlaps = |net: &Ipv4Net, other: &Ipv4Net| net.contains(&other.network()) || other.contains(&net.network());
    let free: Vec<Ipv4Net> = network
        .vpc
        .subnets(network.public_subnet.prefix_len())
        .into_iter()
        .flatten()
        .filter(|net| !overlaps(net, &network.public_subnet) && !network.private_subnets.iter().any(|p| overlaps(net, p)))
        .collect();
    let zones: BTreeSet<&String> = all.iter().filter(|s| !s.public).map(|s| &s.zone).collect();
    let public_zone = all.first().map(|s| &s.zone);
    zones
        .into_iter()
        .filter(|zone| Some(*zone) != public_zone)
        .filter_map(|zone| {
            let letter = usize::from(zone.bytes().last()?.wrapping_sub(b'a'));
            let cidr = free.iter().rev().nth(letter)?;
            Some(WantedSubnet {
                key: format!("subnet/public-{zone}"),
                cidr: cidr.to_string(),
                zone: zone.clone(),
                public: true,
                tags: tags.clone(),
            })
        })
        .collect()
}

/// NAT gateways stand in public subnets. One serves all; with one per zone, each zone's private subnets have their own.
fn egress(settings: &AwsSettings, private: &[&WantedSubnet], all: &[WantedSubnet]) -> (Vec<WantedNat>, Vec<WantedTable>) {
    let nat = |name: &str| WantedNat {
        key: format!("nat-gateway/{name}"),
        address: format!("elastic-ip/nat-{name}"),
        subnet: all.iter().find(|s| s.public && s.zone == name).map_or_else(|| "subnet/public".to_owned(), |s| s.key.clone()),
    };
    let table = |name: &str, nat: &str, subnets: Vec<String>| WantedTable {
        key: format!("route-table/{name}"),
        via: Via::Nat(format!("nat-gateway/{nat}")),
        subnets,
    };
    if private.is_empty() {
        return (Vec::new(), Vec::new());
    }
    if !settings.nat_per_zone {
        let all = private.iter().map(|s| s.key.clone()).collect();
        return (vec![nat("main")], vec![table("private", "main", all)]);
    }
    let zones: BTreeSet<&str> = private.iter().map(|s| s.zone.as_str()).collect();
    let of = |zone: &str| private.iter().filter(|s| s.zone == zone).map(|s| s.key.clone()).collect();
    (zones.iter().map(|z| nat(z)).collect(), zones.iter().map(|z| table(&format!("private-{z}"), z, of(z))).collect())
}

fn groups(spec: &ClusterSpec, settings: &AwsSettings) -> Vec<WantedGroup> {
    let balancer = (!spec.balancers().is_empty()).then_some(("balancer", "load balancer of the API"));
    [("control-plane", "control planes"), ("worker", "workers")]
        .into_iter()
        .chain(balancer)
        .map(|(role, what)| WantedGroup {
            key: format!("security-group/{role}"),
            name: format!("{}-{role}", spec.name),
            description: format!("{what} of the Kubernetes cluster {}", spec.name),
            // The cloud controller wants exactly one tagged group on a machine, and the balancer is none.
            tags: if settings.cloud_controller && role != "balancer" {
                [(format!("kubernetes.io/cluster/{}", spec.name), "owned".to_owned())].into()
            } else {
                Tags::new()
            },
        })
        .collect()
}

/// In the control planes' subnets, of each zone the first: a load balancer has one subnet of a zone
/// (<https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_SubnetMapping.html>).
fn balancer(spec: &ClusterSpec, subnets: &[WantedSubnet]) -> Option<Vec<(String, Ipv4Addr)>> {
    let mut zones = BTreeSet::new();
    let places: Vec<(String, Ipv4Addr)> = spec
        .balancers()
        .into_iter()
        .filter_map(|address| {
            let holds = |s: &&WantedSubnet| s.cidr.parse::<Ipv4Net>().is_ok_and(|net| net.contains(&address));
            let subnet = subnets.iter().find(holds)?;
            zones.insert(&subnet.zone).then(|| (subnet.key.clone(), address))
        })
        .collect();
    (!places.is_empty()).then_some(places)
}

fn group_key(group: Group) -> String {
    match group {
        Group::ControlPlane => "security-group/control-plane".to_owned(),
        Group::Worker => "security-group/worker".to_owned(),
        Group::Balancer => "security-group/balancer".to_owned(),
    }
}

fn wanted_rules(spec: &ClusterSpec, operator: &[Ipv4Net]) -> Vec<WantedRule> {
    let mut all: Vec<WantedRule> = rules::rules(spec, operator)
        .into_iter()
        .map(|rule| {
            let group = group_key(rule.group);
            let source = match rule.source {
                Source::Group(g) => group_key(g),
                Source::Cidr(net) => net.to_string(),
            };
            let (first, last) = (i32::from(*rule.ports.start()), i32::from(*rule.ports.end()));
            let (protocol, from, to) = match rule.protocol {
                Protocol::Tcp => ("tcp", first, last),
                Protocol::Udp => ("udp", first, last),
                Protocol::Icmp { kind, code } => ("icmp", i32::from(kind), i32::from(code)),
            };
            WantedRule {
                key: format!("rule/{}/{}", group.trim_start_matches("security-group/"), rule.name),
                group,
                allows: Allows { protocol: protocol.to_owned(), from, to, source },
                description: rule.description,
                egress: false,
            }
        })
        .collect();
    let balancer = (!spec.balancers().is_empty()).then_some(Group::Balancer);
    for group in [Group::ControlPlane, Group::Worker].into_iter().chain(balancer) {
        let group = group_key(group);
        all.push(WantedRule {
            key: format!("rule/{}/out", group.trim_start_matches("security-group/")),
            group,
            allows: Allows { protocol: "-1".to_owned(), from: -1, to: -1, source: "0.0.0.0/0".to_owned() },
            description: "everything out".to_owned(),
            egress: true,
        });
    }
    all
}

fn machines<'a>(
    spec: &'a ClusterSpec,
    settings: &'a AwsSettings,
    facts: &'a Facts,
    pool: &'a Pool,
    subnets: &'a [WantedSubnet],
) -> impl Iterator<Item = WantedMachine> + 'a {
    let key_of = |net: &Ipv4Net| subnets.iter().find(|s| s.cidr == net.to_string()).map(|s| s.key.clone());
    let own: Vec<String> = pool.subnets.iter().filter_map(key_of).collect();
    let all_private = move || subnets.iter().filter(|s| !s.public).map(|s| s.key.clone());
    (0..pool.count as usize).map(move |i| {
        let name = format!("{}-{}", pool.name, i + 1);
        let own = if own.is_empty() { all_private().collect() } else { own.clone() };
        let mut order: Vec<String> = own.iter().cycle().skip(i % own.len().max(1)).take(own.len()).cloned().collect();
        if order.iter().any(|k| k != "subnet/public") {
            order.extend(all_private());
        }
        let mut seen = BTreeSet::new();
        order.retain(|k| seen.insert(k.clone()));
        WantedMachine {
            key: format!("instance/{name}"),
            pool: pool.name.clone(),
            group: format!("security-group/{}", role(&pool.name)),
            // A fixed address belongs to the subnet that holds it.
            address: pool.addresses.get(i).copied(),
            subnets: pool.addresses.get(i).map_or_else(|| order.clone(), |a| first_with(*a, &order, subnets)),
            address_key: (role(&pool.name) == "control-plane" && order.first().is_some_and(|k| k == "subnet/public"))
                .then(|| format!("elastic-ip/{name}")),
            instance_type: pool.instance_type.clone(),
            image: facts.image(&pool.instance_type).cloned(),
            volume_gib: pool.volume_gib,
            spot: pool.spot,
            profile: (role(&pool.name) == "control-plane")
                .then(|| settings.existing.control_plane_instance_profile.clone())
                .flatten()
                .or_else(|| settings.existing.instance_profile.clone()),
            protected: spec.protected,
            // By this tag on its own instance the cloud controller knows its cluster.
            tags: if settings.cloud_controller {
                [(format!("kubernetes.io/cluster/{}", spec.name), "owned".to_owned())].into()
            } else {
                Tags::new()
            },
            name,
        }
    })
}

fn first_with(address: Ipv4Addr, order: &[String], subnets: &[WantedSubnet]) -> Vec<String> {
    let holds = |key: &String| subnets.iter().any(|s| s.key == *key && s.cidr.parse::<Ipv4Net>().is_ok_and(|net| net.contains(&address)));
    let (first, rest): (Vec<String>, Vec<String>) = order.iter().cloned().partition(holds);
    first.into_iter().chain(rest).collect()
}
