//! What there is, as plain data: everything with our cluster's tag, and what decisions need besides.

use super::tags::{self, Tags};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
};

/// What every resource of ours has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Owned {
    /// EC2's id.
    pub id: String,
    /// What it is in the cluster; empty where the tag was taken away.
    pub key: String,
    /// All its tags.
    pub tags: Tags,
}

impl Owned {
    pub(super) fn new(id: Option<&str>, tags: Tags) -> Self {
        let key = tags.get(tags::RESOURCE).cloned().unwrap_or_default();
        Self { id: id.unwrap_or_default().to_owned(), key, tags }
    }
}

/// A VPC.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Vpc {
    /// Identity.
    pub own: Owned,
    /// Its range.
    pub cidr: String,
    /// `enableDnsSupport`.
    pub dns_support: bool,
    /// `enableDnsHostnames`.
    pub dns_hostnames: bool,
}

/// A subnet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subnet {
    /// Identity.
    pub own: Owned,
    /// Its VPC.
    pub vpc: String,
    /// Its range.
    pub cidr: String,
    /// Its zone.
    pub zone: String,
    /// Whether instances get a public address at launch.
    pub public_ip: bool,
}

/// An internet gateway.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InternetGateway {
    /// Identity.
    pub own: Owned,
    /// The VPC it is attached to.
    pub vpc: Option<String>,
}

/// An Elastic IP; its id is the allocation's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Address {
    /// Identity.
    pub own: Owned,
    /// The address.
    pub public_ip: String,
    /// Its association, where it has one.
    pub association: Option<String>,
    /// The instance that has it.
    pub instance: Option<String>,
}

/// A NAT gateway.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NatGateway {
    /// Identity.
    pub own: Owned,
    /// Its VPC.
    pub vpc: String,
    /// Its subnet.
    pub subnet: String,
    /// `pending`, `available`, `failed`, `deleting`, `deleted`.
    pub state: String,
    /// Why it failed.
    pub failure: Option<String>,
}

/// A route table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RouteTable {
    /// Identity.
    pub own: Owned,
    /// Its VPC.
    pub vpc: String,
    /// Where 0.0.0.0/0 goes: the gateway's id, and whether the route works (`active`).
    pub default_route: Option<(String, bool)>,
    /// Association id by subnet id.
    pub associations: BTreeMap<String, String>,
}

/// A security group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// Identity.
    pub own: Owned,
    /// Its VPC.
    pub vpc: String,
    /// Its name in EC2.
    pub name: String,
}

/// One rule of a group that we use.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct GroupRule {
    /// `sgr-…`
    pub id: String,
    /// The group.
    pub group: String,
    /// Whether we made it: its [`tags::RESOURCE`].
    pub key: Option<String>,
    /// Its tags.
    pub tags: Tags,
    /// Outgoing instead of incoming.
    pub egress: bool,
    /// What it allows.
    pub allows: Allows,
    /// Its description.
    pub description: String,
}

/// What a rule allows, comparable.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Allows {
    /// `tcp`, `udp`, `icmp`, `-1`.
    pub protocol: String,
    /// First port; ICMP type.
    pub from: i32,
    /// Last port; ICMP code.
    pub to: i32,
    /// A CIDR or the id of a group.
    pub source: String,
}

/// A key pair; its id is `key-…`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyPair {
    /// Identity.
    pub own: Owned,
    /// Its name.
    pub name: String,
    /// The public key as EC2 shows it.
    pub public_key: Option<String>,
    /// EC2's fingerprint.
    pub fingerprint: String,
}

/// The load balancer before the API; its id is its ARN.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadBalancer {
    /// Identity.
    pub own: Owned,
    /// Its name.
    pub name: String,
    /// Its VPC.
    pub vpc: String,
    /// `provisioning`, `active`, `active_impaired`, `failed`.
    pub state: String,
    /// Reached only from inside the VPC.
    pub internal: bool,
    /// Its fixed address by subnet id.
    pub addresses: BTreeMap<String, Ipv4Addr>,
    /// Its security groups.
    pub groups: Vec<String>,
    /// Sends to targets of every zone.
    pub cross_zone: bool,
    /// What it listens to.
    pub listeners: Vec<Listener>,
}

/// A listener of the load balancer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listener {
    /// Its ARN.
    pub id: String,
    /// Its port.
    pub port: i32,
    /// `TCP`.
    pub protocol: String,
    /// Where it sends.
    pub target_group: Option<String>,
}

/// The target group of the load balancer; its id is its ARN.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TargetGroup {
    /// Identity.
    pub own: Owned,
    /// Its VPC.
    pub vpc: String,
    /// How targets are asked.
    pub health_check: HealthCheck,
    /// Targets see the client's address.
    pub keeps_client: bool,
    /// Health by address: `initial`, `healthy`, `unhealthy`, `unused`, `draining`, `unavailable`.
    pub targets: BTreeMap<Ipv4Addr, String>,
}

/// How a load balancer asks its targets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HealthCheck {
    /// `HTTPS`.
    pub protocol: String,
    /// Its path.
    pub path: String,
    /// Status codes of a healthy target.
    pub codes: String,
    /// Seconds between two questions.
    pub interval: i32,
    /// Good answers that make it healthy.
    pub healthy: i32,
    /// Misses that make it unhealthy.
    pub unhealthy: i32,
}

/// An instance that is not yet gone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Instance {
    /// Identity.
    pub own: Owned,
    /// Its VPC.
    pub vpc: String,
    /// Its subnet.
    pub subnet: String,
    /// Its zone.
    pub zone: String,
    /// `pending`, `running`, `stopping`, `stopped`, `shutting-down`.
    pub state: String,
    /// Its type.
    pub instance_type: String,
    /// Address inside the VPC.
    pub private_ip: Option<Ipv4Addr>,
    /// Address that the internet can dial.
    pub public_ip: Option<Ipv4Addr>,
    /// Spot.
    pub spot: bool,
    /// Launch time, seconds since 1970.
    pub launched: i64,
    /// Its image.
    pub image: String,
    /// IMDS demands tokens.
    pub imds_tokens: bool,
    /// IMDS hop limit.
    pub imds_hops: i32,
    /// Its security groups.
    pub groups: Vec<String>,
}

/// An EBS volume with our tag: made by us, or by the CSI driver that we deployed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Volume {
    /// Identity.
    pub own: Owned,
    /// GiB.
    pub size: i32,
    /// Its type: `gp3`.
    pub kind: String,
    /// The instance that it is attached to.
    pub instance: Option<String>,
    /// Made by the CSI driver for a PVC, not by us.
    pub dynamic: bool,
}

/// Everything that is ours and not yet gone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct World {
    /// VPCs.
    pub vpcs: Vec<Vpc>,
    /// Subnets.
    pub subnets: Vec<Subnet>,
    /// Internet gateways.
    pub internet_gateways: Vec<InternetGateway>,
    /// Elastic IPs.
    pub addresses: Vec<Address>,
    /// NAT gateways, the deleted ones left out.
    pub nat_gateways: Vec<NatGateway>,
    /// Route tables.
    pub route_tables: Vec<RouteTable>,
    /// Security groups.
    pub groups: Vec<Group>,
    /// Rules of our groups and of existing ones that we use.
    pub rules: Vec<GroupRule>,
    /// Key pairs.
    pub key_pairs: Vec<KeyPair>,
    /// Instances, the terminated ones left out.
    pub instances: Vec<Instance>,
    /// Volumes.
    pub volumes: Vec<Volume>,
    /// Load balancers of the cluster's name and tag.
    pub load_balancers: Vec<LoadBalancer>,
    /// Target groups of the cluster's name and tag.
    pub target_groups: Vec<TargetGroup>,
    /// What has the name that ours would have and is somebody else's: `load balancer`, `target group`.
    pub taken: Vec<&'static str>,
    /// Ids of instances and NAT gateways that are gone but still shown, by key: they make client tokens differ.
    pub dead: BTreeMap<String, BTreeSet<String>>,
    /// Existing things that the spec wants used: key → id. Never ours.
    pub adopted: BTreeMap<String, String>,
}

impl World {
    /// Every owned resource that still exists, as (kind, identity).
    pub fn owned(&self) -> Vec<(&'static str, &Owned)> {
        let mut all: Vec<(&'static str, &Owned)> = Vec::new();
        all.extend(self.vpcs.iter().map(|x| ("vpc", &x.own)));
        all.extend(self.subnets.iter().map(|x| ("subnet", &x.own)));
        all.extend(self.internet_gateways.iter().map(|x| ("internet gateway", &x.own)));
        all.extend(self.addresses.iter().map(|x| ("elastic ip", &x.own)));
        all.extend(self.nat_gateways.iter().map(|x| ("nat gateway", &x.own)));
        all.extend(self.route_tables.iter().map(|x| ("route table", &x.own)));
        all.extend(self.groups.iter().map(|x| ("security group", &x.own)));
        all.extend(self.key_pairs.iter().map(|x| ("key pair", &x.own)));
        all.extend(self.instances.iter().map(|x| ("instance", &x.own)));
        all.extend(self.volumes.iter().map(|x| ("volume", &x.own)));
        all.extend(self.load_balancers.iter().map(|x| ("load balancer", &x.own)));
        all.extend(self.target_groups.iter().map(|x| ("target group", &x.own)));
        all
    }

    /// Ids of everything that is shown, rules included.
    pub fn ids(&self) -> BTreeSet<&str> {
        self.owned().into_iter().map(|(_, o)| o.id.as_str()).chain(self.rules.iter().map(|r| r.id.as_str())).collect()
    }

    /// The VPC that the cluster lives in: the adopted one, else of several (an interrupted run can leave two) the one with
    /// most in it.
    pub fn vpc_id(&self) -> Option<&str> {
        if let Some(id) = self.adopted.get("vpc") {
            return Some(id);
        }
        self.vpcs
            .iter()
            .max_by_key(|v| {
                let id = &v.own.id;
                let instances = self.instances.iter().filter(|i| i.vpc == *id).count();
                let others =
                    self.nat_gateways.iter().filter(|n| n.vpc == *id).count() + self.subnets.iter().filter(|s| s.vpc == *id).count();
                (instances, others, std::cmp::Reverse(id.clone()))
            })
            .map(|v| v.own.id.as_str())
    }

    /// Of each kind, the one resource that stands for `key`: in the cluster's VPC, and of duplicates the older or more used.
    pub fn subnet(&self, key: &str) -> Option<&Subnet> {
        let vpc = self.vpc_id()?;
        let used = |s: &Subnet| self.instances.iter().filter(|i| i.subnet == s.own.id).count();
        self.subnets.iter().filter(|s| s.own.key == key && s.vpc == vpc).max_by_key(|s| (used(s), std::cmp::Reverse(s.own.id.clone())))
    }

    /// The internet gateway.
    pub fn internet_gateway(&self) -> Option<&InternetGateway> {
        let vpc = self.vpc_id();
        self.internet_gateways
            .iter()
            .filter(|g| g.vpc.is_none() || g.vpc.as_deref() == vpc)
            .max_by_key(|g| (g.vpc.is_some(), std::cmp::Reverse(g.own.id.clone())))
    }

    /// An Elastic IP.
    pub fn address(&self, key: &str) -> Option<&Address> {
        self.addresses.iter().filter(|a| a.own.key == key).max_by_key(|a| (a.association.is_some(), std::cmp::Reverse(a.own.id.clone())))
    }

    /// A NAT gateway that works or will.
    pub fn nat_gateway(&self, key: &str) -> Option<&NatGateway> {
        let vpc = self.vpc_id()?;
        self.nat_gateways
            .iter()
            .filter(|n| n.own.key == key && n.vpc == vpc && matches!(n.state.as_str(), "pending" | "available"))
            .min_by_key(|n| n.own.id.clone())
    }

    /// A route table.
    pub fn route_table(&self, key: &str) -> Option<&RouteTable> {
        let vpc = self.vpc_id()?;
        self.route_tables
            .iter()
            .filter(|t| t.own.key == key && t.vpc == vpc)
            .max_by_key(|t| (t.associations.len(), std::cmp::Reverse(t.own.id.clone())))
    }

    /// A security group.
    pub fn group(&self, key: &str) -> Option<&Group> {
        let vpc = self.vpc_id()?;
        self.groups.iter().filter(|g| g.own.key == key && g.vpc == vpc).min_by_key(|g| g.own.id.clone())
    }

    /// The key pair.
    pub fn key_pair(&self) -> Option<&KeyPair> {
        self.key_pairs.iter().min_by_key(|k| k.own.id.clone())
    }

    /// The load balancer, where it can serve.
    pub fn load_balancer(&self) -> Option<&LoadBalancer> {
        let vpc = self.vpc_id()?;
        self.load_balancers.iter().find(|b| b.vpc == vpc && b.state != "failed")
    }

    /// The load balancer's target group.
    pub fn target_group(&self) -> Option<&TargetGroup> {
        let vpc = self.vpc_id()?;
        self.target_groups.iter().find(|t| t.vpc == vpc)
    }

    /// An instance that stays.
    pub fn instance(&self, key: &str) -> Option<&Instance> {
        let vpc = self.vpc_id()?;
        self.instances
            .iter()
            .filter(|i| i.own.key == key && i.vpc == vpc && i.state != "shutting-down")
            .min_by_key(|i| (i.launched, i.own.id.clone()))
    }
}
