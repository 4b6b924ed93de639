//! A small EC2 in memory, as strict as the real one: it refuses what is in use, knows client tokens, shows new things late and
//! lets slow things take their time. Time is the number of requests.

use crate::wire::{Answer, Cloud, Form, error};
use futures::{FutureExt, future::BoxFuture};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard},
};

/// One resource.
#[derive(Clone, Debug, Default)]
pub struct Res {
    pub kind: &'static str,
    pub f: BTreeMap<&'static str, String>,
    pub tags: BTreeMap<String, String>,
    /// Reads and references see it from this request on.
    visible: u64,
    /// When its state changes, and to what.
    then: Option<(u64, &'static str)>,
}

impl Res {
    fn get(&self, field: &str) -> &str {
        self.f.get(field).map_or("", String::as_str)
    }

    fn alive(&self) -> bool {
        !matches!(self.get("state"), "terminated" | "deleted")
    }
}

/// The account.
#[derive(Debug, Default)]
pub struct Account {
    now: u64,
    ids: u64,
    pub all: BTreeMap<String, Res>,
    tokens: BTreeMap<String, (Form, String)>,
    /// How late new things are shown; 0: at once.
    pub late: u64,
    /// How long slow things take.
    pub slow: u64,
    /// Zones without capacity.
    pub full_zones: BTreeSet<String>,
    /// When set, time is milliseconds since then instead of requests.
    pub clock: Option<std::time::Instant>,
    /// What broke a rule of EC2 that no client should break.
    pub offences: Vec<String>,
}

/// The cloud.
#[derive(Debug, Default)]
pub struct Model(Mutex<Account>);

type Refusal = (&'static str, String);
type Outcome = Result<String, Refusal>;

impl Model {
    pub fn new() -> Self {
        Self(Mutex::new(Account { slow: 6, ..Account::default() }))
    }

    pub fn lock(&self) -> MutexGuard<'_, Account> {
        self.0.lock().unwrap()
    }

    /// Everything that still exists and costs or confuses, as `kind key`, sorted.
    pub fn alive(&self) -> Vec<String> {
        let account = self.lock();
        let mut all: Vec<String> = account
            .all
            .values()
            .filter(|r| r.alive() && !(r.kind == "rule" && r.tags.is_empty()))
            .map(|r| format!("{} {}", r.kind, r.tags.get("kubewright.dev/resource").cloned().unwrap_or_default()))
            .collect();
        all.sort();
        all
    }
}

impl Cloud for Model {
    fn answer<'a>(&'a self, form: &'a Form) -> BoxFuture<'a, Answer> {
        async move {
            // The caller's other work gets its turn, as with a network.
            tokio::task::yield_now().await;
            let mut account = self.lock();
            account.tick();
            let action = form["Action"].as_str();
            match account.act(action, form) {
                Ok(inner) if action == "GetCallerIdentity" => (200, inner),
                Ok(inner) => (200, format!("<{action}Response xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\"><requestId>r</requestId>{inner}</{action}Response>")),
                Err((code, message)) => (400, error(code, &message)),
            }
        }
        .boxed()
    }
}

fn refuse<T>(code: &'static str, message: impl Into<String>) -> Result<T, Refusal> {
    Err((code, message.into()))
}

/// `Prefix.1`, `Prefix.2`, …
fn list<'f>(form: &'f Form, prefix: &str) -> Vec<&'f String> {
    (1..).map_while(|n| form.get(&format!("{prefix}.{n}"))).collect()
}

fn tags_of(form: &Form, prefix: &str) -> BTreeMap<String, String> {
    (1..)
        .map_while(|n| {
            let key = form.get(&format!("{prefix}.{n}.Key"))?;
            Some((key.clone(), form.get(&format!("{prefix}.{n}.Value")).cloned().unwrap_or_default()))
        })
        .collect()
}

fn specified(form: &Form, kind: &str) -> BTreeMap<String, String> {
    (1..)
        .map_while(|n| Some((n, form.get(&format!("TagSpecification.{n}.ResourceType"))?)))
        .filter(|(_, k)| *k == kind)
        .map(|(n, _)| tags_of(form, &format!("TagSpecification.{n}.Tag")))
        .next()
        .unwrap_or_default()
}

impl Account {
    fn tick(&mut self) {
        self.now = self.clock.map_or(self.now + 1, |start| u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX));
        let due: Vec<String> =
            self.all.iter().filter(|(_, r)| r.then.is_some_and(|(at, _)| at <= self.now)).map(|(id, _)| id.clone()).collect();
        for id in due {
            let Some(res) = self.all.get_mut(&id) else { continue };
            if let Some((_, state)) = res.then.take() {
                res.f.insert("state", state.to_owned());
                if matches!(state, "terminated" | "deleted") {
                    self.let_go(&id);
                }
            }
        }
    }

    /// What goes with an instance or a NAT gateway.
    fn let_go(&mut self, id: &str) {
        for address in self.all.values_mut().filter(|r| r.kind == "address" && r.get("holder") == id) {
            address.f.remove("holder");
            address.f.remove("instance");
            address.f.remove("association");
        }
        self.all.retain(|_, r| !(r.kind == "volume" && r.get("instance") == id));
    }

    fn make(&mut self, kind: &'static str, prefix: &str, tags: BTreeMap<String, String>, fields: &[(&'static str, &str)]) -> String {
        self.ids += 1;
        let id = format!("{prefix}-{:08x}", self.ids);
        let f = fields.iter().map(|(k, v)| (*k, (*v).to_owned())).collect();
        if !tags.contains_key("kubewright.dev/cluster") && kind != "rule" {
            self.offences.push(format!("{id} was made without the tag that owns"));
        }
        let visible = self.now + self.late;
        self.all.insert(id.clone(), Res { kind, f, tags, visible, then: None });
        id
    }

    /// A network interface of somebody else in this subnet.
    pub fn foreign_interface(&mut self, subnet: &str) -> String {
        let vpc = self.all[subnet].get("vpc").to_owned();
        let id = self.make("interface", "eni", BTreeMap::new(), &[("vpc", &vpc), ("subnet", subnet)]);
        self.offences.clear();
        id
    }

    /// The id that has this key.
    pub fn id(&self, key: &str) -> String {
        let found = self.all.iter().find(|(_, r)| r.tags.get("kubewright.dev/resource").is_some_and(|k| k == key));
        found.expect("there is such a resource").0.clone()
    }

    /// A visible resource of this kind that is not gone.
    fn find(&self, kind: &str, id: &str) -> Result<&Res, Refusal> {
        let code = match kind {
            "vpc" => "InvalidVpcID.NotFound",
            "subnet" => "InvalidSubnetID.NotFound",
            "igw" => "InvalidInternetGatewayID.NotFound",
            "address" => "InvalidAllocationID.NotFound",
            "nat" => "NatGatewayNotFound",
            "table" => "InvalidRouteTableID.NotFound",
            "group" => "InvalidGroup.NotFound",
            "rule" => "InvalidSecurityGroupRuleId.NotFound",
            "instance" => "InvalidInstanceID.NotFound",
            "volume" => "InvalidVolume.NotFound",
            _ => "InvalidParameterValue",
        };
        match self.all.get(id) {
            Some(r) if r.kind == kind && r.visible <= self.now && r.alive() => Ok(r),
            _ => refuse(code, format!("{kind} '{id}' does not exist")),
        }
    }

    fn find_mut(&mut self, kind: &str, id: &str) -> Result<&mut Res, Refusal> {
        self.find(kind, id)?;
        self.all.get_mut(id).ok_or(("InternalError", String::new()))
    }

    fn of(&self, kind: &'static str) -> impl Iterator<Item = (&String, &Res)> {
        self.all.iter().filter(move |(_, r)| r.kind == kind && r.alive())
    }

    fn has_gateway(&self, vpc: &str) -> bool {
        self.of("igw").any(|(_, g)| g.get("vpc") == vpc)
    }

    /// A token that was seen: the resource it made, or a mismatch.
    fn by_token(&self, action: &str, form: &Form) -> Result<Option<String>, Refusal> {
        let Some(token) = form.get("ClientToken") else { return Ok(None) };
        match self.tokens.get(&format!("{action}/{token}")) {
            Some((before, id)) if before == form => Ok(Some(id.clone())),
            Some(_) => refuse("IdempotentParameterMismatch", "the token was used with other parameters"),
            None => Ok(None),
        }
    }

    fn remember(&mut self, action: &str, form: &Form, id: &str) {
        if let Some(token) = form.get("ClientToken") {
            self.tokens.insert(format!("{action}/{token}"), (form.clone(), id.to_owned()));
        }
    }

    fn describe(&self, kind: &'static str, form: &Form, ids: &str) -> Result<Vec<(&String, &Res)>, Refusal> {
        let ids = list(form, ids);
        for id in &ids {
            if self.all.get(*id).is_none_or(|r| r.visible > self.now) {
                self.find(kind, id)?;
            }
        }
        let filters: Vec<(&String, Vec<&String>)> =
            (1..).map_while(|n| Some((form.get(&format!("Filter.{n}.Name"))?, list(form, &format!("Filter.{n}.Value"))))).collect();
        let matches = |r: &Res| {
            filters.iter().all(|(name, values)| {
                let value = match name.as_str() {
                    "vpc-id" | "attachment.vpc-id" => r.get("vpc"),
                    "tag-key" => return values.iter().any(|v| r.tags.contains_key(*v)),
                    "group-id" => r.get("group"),
                    "key-name" => r.get("name"),
                    name => match name.strip_prefix("tag:") {
                        Some(key) => r.tags.get(key).map_or("", String::as_str),
                        None => return false,
                    },
                };
                values.iter().any(|v| *v == value)
            })
        };
        Ok(self
            .all
            .iter()
            .filter(|(id, r)| r.kind == kind && r.visible <= self.now && (ids.is_empty() || ids.contains(id)) && matches(r))
            .collect())
    }

    fn set(&self, name: &str, found: &[(&String, &Res)]) -> String {
        let items: String = found.iter().map(|(id, r)| format!("<item>{}</item>", self.render(id, r))).collect();
        format!("<{name}>{items}</{name}>")
    }

    fn render(&self, id: &str, r: &Res) -> String {
        let tag = |name: &str, field: &str| {
            let value = r.get(field);
            if value.is_empty() { String::new() } else { format!("<{name}>{value}</{name}>") }
        };
        let own = match r.kind {
            "vpc" => format!("<vpcId>{id}</vpcId>{}", tag("cidrBlock", "cidr")),
            "subnet" => format!(
                "<subnetId>{id}</subnetId>{}{}{}<mapPublicIpOnLaunch>{}</mapPublicIpOnLaunch>",
                tag("vpcId", "vpc"),
                tag("cidrBlock", "cidr"),
                tag("availabilityZone", "zone"),
                !r.get("public").is_empty()
            ),
            "igw" => {
                let attached = tag("vpcId", "vpc");
                let item = if attached.is_empty() { attached } else { format!("<item>{attached}<state>available</state></item>") };
                format!("<internetGatewayId>{id}</internetGatewayId><attachmentSet>{item}</attachmentSet>")
            }
            "address" => format!(
                "<allocationId>{id}</allocationId>{}{}{}",
                tag("publicIp", "ip"),
                tag("associationId", "association"),
                tag("instanceId", "instance")
            ),
            "nat" => {
                format!("<natGatewayId>{id}</natGatewayId>{}{}{}", tag("vpcId", "vpc"), tag("subnetId", "subnet"), tag("state", "state"))
            }
            "table" => {
                let route = r.f.get("route").map_or_else(String::new, |to| {
                    let name = if to.starts_with("nat-") { "natGatewayId" } else { "gatewayId" };
                    let there = self.all.get(to).is_some_and(Res::alive);
                    let state = if there { "active" } else { "blackhole" };
                    format!(
                        "<item><destinationCidrBlock>0.0.0.0/0</destinationCidrBlock><{name}>{to}</{name}><state>{state}</state></item>"
                    )
                });
                let associations: String = self
                    .of("association")
                    .filter(|(_, a)| a.get("table") == id)
                    .map(|(aid, a)| {
                        format!(
                            "<item><routeTableAssociationId>{aid}</routeTableAssociationId><subnetId>{}</subnetId></item>",
                            a.get("subnet")
                        )
                    })
                    .collect();
                format!(
                    "<routeTableId>{id}</routeTableId>{}<routeSet>{route}</routeSet><associationSet>{associations}</associationSet>",
                    tag("vpcId", "vpc")
                )
            }
            "group" => format!("<groupId>{id}</groupId>{}{}<ownerId>123456789012</ownerId>", tag("groupName", "name"), tag("vpcId", "vpc")),
            "rule" => {
                let source = r.get("source");
                let source = if source.starts_with("sg-") {
                    format!("<referencedGroupInfo><groupId>{source}</groupId></referencedGroupInfo>")
                } else {
                    format!("<cidrIpv4>{source}</cidrIpv4>")
                };
                format!(
                    "<securityGroupRuleId>{id}</securityGroupRuleId>{}<isEgress>{}</isEgress>{}{}{}{source}{}",
                    tag("groupId", "group"),
                    r.get("egress") == "true",
                    tag("ipProtocol", "protocol"),
                    tag("fromPort", "from"),
                    tag("toPort", "to"),
                    tag("description", "description")
                )
            }
            "key" => format!(
                "<keyPairId>{id}</keyPairId>{}<keyFingerprint>x</keyFingerprint>{}",
                tag("keyName", "name"),
                tag("publicKey", "public")
            ),
            "instance" => {
                let address = self.of("address").find(|(_, a)| a.get("instance") == id).map(|(_, a)| a.get("ip"));
                format!(
                    "<instanceId>{id}</instanceId>{}<instanceState><code>0</code>{}</instanceState>{}{}{}<placement>{}</placement>{}{}<launchTime>2026-11-21T10:00:{:02}Z</launchTime>{}\
                     <metadataOptions>{}{}</metadataOptions><groupSet><item>{}</item></groupSet>",
                    tag("imageId", "image"),
                    tag("name", "state"),
                    tag("instanceType", "type"),
                    tag("vpcId", "vpc"),
                    tag("subnetId", "subnet"),
                    tag("availabilityZone", "zone"),
                    tag("privateIpAddress", "ip"),
                    address.map_or_else(String::new, |a| format!("<ipAddress>{a}</ipAddress>")),
                    r.visible % 60,
                    if r.get("spot").is_empty() { "" } else { "<instanceLifecycle>spot</instanceLifecycle>" },
                    tag("httpTokens", "tokens"),
                    tag("httpPutResponseHopLimit", "hops"),
                    tag("groupId", "group")
                )
            }
            "volume" => format!(
                "<volumeId>{id}</volumeId>{}<volumeType>gp3</volumeType><status>in-use</status><attachmentSet><item>{}</item></attachmentSet>",
                tag("size", "size"),
                tag("instanceId", "instance")
            ),
            "interface" => format!(
                "<networkInterfaceId>{id}</networkInterfaceId><description>ELB net/foreign</description><ownerId>amazon-elb</ownerId>{}",
                tag("vpcId", "vpc")
            ),
            _ => String::new(),
        };
        let tags: String = r.tags.iter().map(|(k, v)| format!("<item><key>{k}</key><value>{v}</value></item>")).collect();
        format!("{own}<tagSet>{tags}</tagSet>")
    }

    #[expect(clippy::too_many_lines, reason = "one line or a few per action, read as a table")]
    fn act(&mut self, action: &str, form: &Form) -> Outcome {
        let p = |name: &str| form.get(name).map_or("", String::as_str);
        let now = self.now;
        Ok(match action {
            "GetCallerIdentity" => "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult><Arn>arn:aws:iam::123456789012:user/test</Arn><UserId>u</UserId><Account>123456789012</Account></GetCallerIdentityResult></GetCallerIdentityResponse>".to_owned(),
            "DescribeVpcs" => self.set("vpcSet", &self.describe("vpc", form, "VpcId")?),
            "DescribeSubnets" => self.set("subnetSet", &self.describe("subnet", form, "SubnetId")?),
            "DescribeInternetGateways" => self.set("internetGatewaySet", &self.describe("igw", form, "InternetGatewayId")?),
            "DescribeAddresses" => self.set("addressesSet", &self.describe("address", form, "AllocationId")?),
            "DescribeNatGateways" => self.set("natGatewaySet", &self.describe("nat", form, "NatGatewayId")?),
            "DescribeRouteTables" => self.set("routeTableSet", &self.describe("table", form, "RouteTableId")?),
            "DescribeSecurityGroups" => self.set("securityGroupInfo", &self.describe("group", form, "GroupId")?),
            "DescribeSecurityGroupRules" => self.set("securityGroupRuleSet", &self.describe("rule", form, "SecurityGroupRuleId")?),
            "DescribeKeyPairs" => self.set("keySet", &self.describe("key", form, "KeyPairId")?),
            "DescribeInstances" => {
                let found = self.set("instancesSet", &self.describe("instance", form, "InstanceId")?);
                format!("<reservationSet><item>{found}</item></reservationSet>")
            }
            "DescribeVolumes" => self.set("volumeSet", &self.describe("volume", form, "VolumeId")?),
            "DescribeNetworkInterfaces" => self.set("networkInterfaceSet", &self.describe("interface", form, "NetworkInterfaceId")?),
            "DescribeTags" => {
                let items: String = self
                    .all
                    .iter()
                    .filter(|(_, r)| r.alive())
                    .filter_map(|(id, r)| r.tags.get(p("Filter.1.Value.1")).map(|v| format!("<item><resourceId>{id}</resourceId><resourceType>vpc</resourceType><value>{v}</value></item>")))
                    .collect();
                format!("<tagSet>{items}</tagSet>")
            }
            "DescribeInstanceTypeOfferings" => {
                let items: String = list(form, "Filter.1.Value")
                    .into_iter()
                    .filter(|t| t.starts_with("t3.") || t.starts_with("t4g."))
                    .flat_map(|t| ["a", "b", "c"].map(|z| format!("<item><instanceType>{t}</instanceType><location>eu-central-1{z}</location></item>")))
                    .collect();
                format!("<instanceTypeOfferingSet>{items}</instanceTypeOfferingSet>")
            }
            "DescribeInstanceTypes" => {
                let items: String = list(form, "Filter.1.Value")
                    .into_iter()
                    .map(|t| {
                        let arch = if t.starts_with("t4g") { "arm64" } else { "x86_64" };
                        format!("<item><instanceType>{t}</instanceType><processorInfo><supportedArchitectures><item>{arch}</item></supportedArchitectures></processorInfo></item>")
                    })
                    .collect();
                format!("<instanceTypeSet>{items}</instanceTypeSet>")
            }
            "DescribeImages" => {
                let image = |id: &str, arch: &str| {
                    format!("<item><imageId>{id}</imageId><name>noble-{arch}</name><architecture>{arch}</architecture><creationDate>2026-10-01</creationDate><rootDeviceName>/dev/sda1</rootDeviceName></item>")
                };
                let all = [("ami-0new", "x86_64"), ("ami-0arm", "arm64")];
                let pinned = list(form, "ImageId");
                if pinned.iter().any(|id| all.iter().all(|(known, _)| id != known)) {
                    return refuse("InvalidAMIID.NotFound", format!("the image id '{pinned:?}' does not exist"));
                }
                let chosen: String = all
                    .iter()
                    .filter(|(id, _)| pinned.is_empty() || pinned.iter().any(|p| p == id))
                    .map(|(id, arch)| image(id, arch))
                    .collect();
                format!("<imagesSet>{chosen}</imagesSet>")
            }
            "CreateVpc" => {
                let id = self.make("vpc", "vpc", specified(form, "vpc"), &[("cidr", p("CidrBlock"))]);
                format!("<vpc><vpcId>{id}</vpcId></vpc>")
            }
            "ModifyVpcAttribute" => {
                let vpc = self.find_mut("vpc", p("VpcId"))?;
                if form.contains_key("EnableDnsHostnames.Value") {
                    vpc.f.insert("hostnames", "true".into());
                }
                String::new()
            }
            "DescribeVpcAttribute" => {
                let vpc = self.find("vpc", p("VpcId"))?;
                let (name, value) = match p("Attribute") {
                    "enableDnsSupport" => ("enableDnsSupport", true),
                    _ => ("enableDnsHostnames", !vpc.get("hostnames").is_empty()),
                };
                format!("<vpcId>{}</vpcId><{name}><value>{value}</value></{name}>", p("VpcId"))
            }
            "DeleteVpc" => {
                let id = p("VpcId");
                self.find("vpc", id)?;
                let inside = self.all.values().find(|r| {
                    r.alive() && r.get("vpc") == id && matches!(r.kind, "subnet" | "igw" | "table" | "group")
                });
                if let Some(r) = inside {
                    return refuse("DependencyViolation", format!("the vpc has a {}", r.kind));
                }
                self.all.remove(id);
                String::new()
            }
            "CreateSubnet" => {
                let vpc = p("VpcId");
                self.find("vpc", vpc)?;
                if self.of("subnet").any(|(_, s)| s.get("vpc") == vpc && s.get("cidr") == p("CidrBlock")) {
                    return refuse("InvalidSubnet.Conflict", "the CIDR conflicts with another subnet");
                }
                let fields = [("vpc", vpc), ("cidr", p("CidrBlock")), ("zone", p("AvailabilityZone"))];
                let id = self.make("subnet", "subnet", specified(form, "subnet"), &fields);
                format!("<subnet><subnetId>{id}</subnetId></subnet>")
            }
            "ModifySubnetAttribute" => {
                self.find_mut("subnet", p("SubnetId"))?.f.insert("public", "true".into());
                String::new()
            }
            "DeleteSubnet" => {
                let id = p("SubnetId");
                self.find("subnet", id)?;
                if self.all.values().any(|r| r.alive() && matches!(r.kind, "instance" | "nat" | "interface") && r.get("subnet") == id) {
                    return refuse("DependencyViolation", "the subnet has dependencies");
                }
                self.all.retain(|own, r| own != id && !(r.kind == "association" && r.get("subnet") == id));
                String::new()
            }
            "CreateInternetGateway" => {
                let id = self.make("igw", "igw", specified(form, "internet-gateway"), &[]);
                format!("<internetGateway><internetGatewayId>{id}</internetGatewayId></internetGateway>")
            }
            "AttachInternetGateway" => {
                let (id, vpc) = (p("InternetGatewayId"), p("VpcId"));
                self.find("vpc", vpc)?;
                if self.has_gateway(vpc) || !self.find("igw", id)?.get("vpc").is_empty() {
                    return refuse("Resource.AlreadyAssociated", "already attached");
                }
                self.find_mut("igw", id)?.f.insert("vpc", vpc.into());
                String::new()
            }
            "DetachInternetGateway" => {
                let (id, vpc) = (p("InternetGatewayId"), p("VpcId"));
                if self.find("igw", id)?.get("vpc") != vpc {
                    return refuse("Gateway.NotAttached", "not attached");
                }
                let mapped = self.of("address").any(|(_, a)| {
                    self.all.get(a.get("holder")).is_some_and(|h| h.alive() && h.get("vpc") == vpc)
                });
                if mapped {
                    return refuse("DependencyViolation", "the network has some mapped public addresses");
                }
                self.find_mut("igw", id)?.f.remove("vpc");
                String::new()
            }
            "DeleteInternetGateway" => {
                if !self.find("igw", p("InternetGatewayId"))?.get("vpc").is_empty() {
                    return refuse("DependencyViolation", "it is attached");
                }
                self.all.remove(p("InternetGatewayId"));
                String::new()
            }
            "AllocateAddress" => {
                let ip = format!("198.51.100.{}", self.ids % 250 + 1);
                let id = self.make("address", "eipalloc", specified(form, "elastic-ip"), &[("ip", &ip)]);
                format!("<allocationId>{id}</allocationId><publicIp>{ip}</publicIp>")
            }
            "AssociateAddress" => {
                let instance = self.find("instance", p("InstanceId"))?;
                if instance.get("state") != "running" {
                    return refuse("InvalidInstanceID", "the pending instance is not in a valid state for this operation");
                }
                if !self.has_gateway(instance.get("vpc")) {
                    return refuse("Gateway.NotAttached", "the network is not attached to any internet gateway");
                }
                let address = self.find_mut("address", p("AllocationId"))?;
                address.f.insert("instance", p("InstanceId").into());
                address.f.insert("holder", p("InstanceId").into());
                address.f.insert("association", format!("eipassoc-{}", p("AllocationId")));
                "<return>true</return>".to_owned()
            }
            "DisassociateAddress" => {
                let found = self.all.values_mut().find(|a| a.kind == "address" && a.get("association") == p("AssociationId"));
                let Some(address) = found else { return refuse("InvalidAssociationID.NotFound", "no such association") };
                for field in ["association", "instance", "holder"] {
                    address.f.remove(field);
                }
                String::new()
            }
            "ReleaseAddress" => {
                if !self.find("address", p("AllocationId"))?.get("holder").is_empty() {
                    return refuse("InvalidIPAddress.InUse", "the address is in use");
                }
                self.all.remove(p("AllocationId"));
                String::new()
            }
            "CreateNatGateway" => {
                if let Some(id) = self.by_token(action, form)? {
                    let state = self.all[&id].get("state").to_owned();
                    return Ok(format!("<natGateway><natGatewayId>{id}</natGatewayId><state>{state}</state></natGateway>"));
                }
                let vpc = self.find("subnet", p("SubnetId"))?.get("vpc").to_owned();
                if !self.find("address", p("AllocationId"))?.get("holder").is_empty() {
                    return refuse("Resource.AlreadyAssociated", "the address is already associated");
                }
                if !self.has_gateway(&vpc) {
                    self.offences.push("a NAT gateway was made in a VPC without an internet gateway".to_owned());
                }
                let fields = [("vpc", vpc.as_str()), ("subnet", p("SubnetId")), ("state", "pending")];
                let id = self.make("nat", "nat", specified(form, "natgateway"), &fields);
                let slow = self.slow;
                self.all.entry(id.clone()).and_modify(|r| r.then = Some((now + 3 * slow, "available")));
                self.all.entry(p("AllocationId").to_owned()).and_modify(|a| {
                    a.f.insert("holder", id.clone());
                    a.f.insert("association", format!("eipassoc-{}", p("AllocationId")));
                });
                self.remember(action, form, &id);
                format!("<natGateway><natGatewayId>{id}</natGatewayId><state>pending</state></natGateway>")
            }
            "DeleteNatGateway" => {
                let slow = self.slow;
                let nat = self.find_mut("nat", p("NatGatewayId"))?;
                if nat.get("state") != "deleting" {
                    nat.f.insert("state", "deleting".into());
                    nat.then = Some((now + slow, "deleted"));
                }
                String::new()
            }
            "CreateRouteTable" => {
                self.find("vpc", p("VpcId"))?;
                let id = match self.by_token(action, form)? {
                    Some(id) => id,
                    None => self.make("table", "rtb", specified(form, "route-table"), &[("vpc", p("VpcId"))]),
                };
                self.remember(action, form, &id);
                format!("<routeTable><routeTableId>{id}</routeTableId></routeTable>")
            }
            "CreateRoute" | "ReplaceRoute" => {
                let target = form.get("GatewayId").or(form.get("NatGatewayId")).cloned().unwrap_or_default();
                if target.starts_with("nat-") && self.find("nat", &target)?.get("state") != "available" {
                    return refuse("InvalidNatGatewayID.NotFound", "the gateway is not available");
                }
                if target.starts_with("igw-") {
                    self.find("igw", &target)?;
                }
                let table = self.find_mut("table", p("RouteTableId"))?;
                match (action, table.f.contains_key("route")) {
                    ("CreateRoute", true) => return refuse("RouteAlreadyExists", "the route exists"),
                    ("ReplaceRoute", false) => return refuse("InvalidParameterValue", "there is no such route"),
                    _ => table.f.insert("route", target),
                };
                "<return>true</return>".to_owned()
            }
            "AssociateRouteTable" => {
                self.find("table", p("RouteTableId"))?;
                self.find("subnet", p("SubnetId"))?;
                if let Some((id, a)) = self.of("association").find(|(_, a)| a.get("subnet") == p("SubnetId")) {
                    if a.get("table") == p("RouteTableId") {
                        return Ok(format!("<associationId>{id}</associationId>"));
                    }
                    return refuse("Resource.AlreadyAssociated", "the subnet has another table");
                }
                let tags = BTreeMap::from([("kubewright.dev/cluster".to_owned(), String::new())]);
                let id = self.make("association", "rtbassoc", tags, &[("table", p("RouteTableId")), ("subnet", p("SubnetId"))]);
                format!("<associationId>{id}</associationId>")
            }
            "ReplaceRouteTableAssociation" => {
                self.find("table", p("RouteTableId"))?;
                let Some(mut moved) = self.all.remove(p("AssociationId")) else {
                    return refuse("InvalidAssociationID.NotFound", "no such association");
                };
                moved.f.insert("table", p("RouteTableId").into());
                self.ids += 1;
                let id = format!("rtbassoc-{:08x}", self.ids);
                self.all.insert(id.clone(), moved);
                format!("<newAssociationId>{id}</newAssociationId>")
            }
            "DisassociateRouteTable" => {
                if self.all.remove(p("AssociationId")).is_none() {
                    return refuse("InvalidAssociationID.NotFound", "no such association");
                }
                String::new()
            }
            "DeleteRouteTable" => {
                let id = p("RouteTableId");
                self.find("table", id)?;
                if self.of("association").any(|(_, a)| a.get("table") == id) {
                    return refuse("DependencyViolation", "it has subnets");
                }
                self.all.remove(id);
                String::new()
            }
            "CreateSecurityGroup" => {
                let (name, vpc) = (p("GroupName"), p("VpcId"));
                self.find("vpc", vpc)?;
                if self.of("group").any(|(_, g)| g.get("name") == name && g.get("vpc") == vpc) {
                    return refuse("InvalidGroup.Duplicate", "the name is taken");
                }
                let id = self.make("group", "sg", specified(form, "security-group"), &[("name", name), ("vpc", vpc)]);
                let fields = [("group", id.as_str()), ("egress", "true"), ("protocol", "-1"), ("from", "-1"), ("to", "-1"), ("source", "0.0.0.0/0")];
                self.make("rule", "sgr", BTreeMap::new(), &fields);
                format!("<groupId>{id}</groupId>")
            }
            "AuthorizeSecurityGroupIngress" | "AuthorizeSecurityGroupEgress" => {
                self.find("group", p("GroupId"))?;
                let source = form.get("IpPermissions.1.IpRanges.1.CidrIp").or(form.get("IpPermissions.1.Groups.1.GroupId")).cloned().unwrap_or_default();
                if source.starts_with("sg-") {
                    self.find("group", &source)?;
                }
                let egress = (action == "AuthorizeSecurityGroupEgress").to_string();
                let description = form.get("IpPermissions.1.IpRanges.1.Description").or(form.get("IpPermissions.1.Groups.1.Description")).cloned().unwrap_or_default();
                if !description.chars().all(|c| c.is_ascii_alphanumeric() || " ._-:/()#,@[]+=&;{}!$*".contains(c)) {
                    return refuse("InvalidParameterValue", format!("invalid description '{description}'"));
                }
                let fields = [
                    ("group", p("GroupId")),
                    ("egress", &egress),
                    ("protocol", p("IpPermissions.1.IpProtocol")),
                    ("from", p("IpPermissions.1.FromPort")),
                    ("to", p("IpPermissions.1.ToPort")),
                    ("source", &source),
                    ("description", &description),
                ];
                if self.of("rule").any(|(_, r)| fields[..6].iter().all(|(k, v)| r.get(k) == *v)) {
                    return refuse("InvalidPermission.Duplicate", "the rule exists");
                }
                let id = self.make("rule", "sgr", specified(form, "security-group-rule"), &fields);
                format!("<return>true</return><securityGroupRuleSet><item><securityGroupRuleId>{id}</securityGroupRuleId></item></securityGroupRuleSet>")
            }
            "ModifySecurityGroupRules" => {
                let r = |name: &str| p(&format!("SecurityGroupRule.1.SecurityGroupRule.{name}")).to_owned();
                let source = if r("CidrIpv4").is_empty() { r("ReferencedGroupId") } else { r("CidrIpv4") };
                let new = [("protocol", r("IpProtocol")), ("from", r("FromPort")), ("to", r("ToPort")), ("source", source), ("description", r("Description"))];
                let rule = self.find_mut("rule", p("SecurityGroupRule.1.SecurityGroupRuleId"))?;
                rule.f.extend(new);
                "<return>true</return>".to_owned()
            }
            "RevokeSecurityGroupIngress" | "RevokeSecurityGroupEgress" => {
                for id in list(form, "SecurityGroupRuleId") {
                    self.find("rule", id)?;
                }
                for id in list(form, "SecurityGroupRuleId") {
                    self.all.remove(id);
                }
                "<return>true</return>".to_owned()
            }
            "DeleteSecurityGroup" => {
                let id = p("GroupId");
                self.find("group", id)?;
                let used = self.of("instance").any(|(_, i)| i.get("group") == id)
                    || self.of("rule").any(|(_, r)| r.get("source") == id && r.get("group") != id);
                if used {
                    return refuse("DependencyViolation", "the group has a dependent object");
                }
                self.all.retain(|own, r| own != id && !(r.kind == "rule" && r.get("group") == id));
                String::new()
            }
            "ImportKeyPair" => {
                if self.of("key").any(|(_, k)| k.get("name") == p("KeyName")) {
                    return refuse("InvalidKeyPair.Duplicate", "the name is taken");
                }
                let decoded = base64_text(p("PublicKeyMaterial"));
                let id = self.make("key", "key", specified(form, "key-pair"), &[("name", p("KeyName")), ("public", &decoded)]);
                format!("<keyPairId>{id}</keyPairId>")
            }
            "DeleteKeyPair" => {
                let named = |id: &str, k: &Res| if p("KeyPairId").is_empty() { k.get("name") == p("KeyName") } else { id == p("KeyPairId") };
                self.all.retain(|id, k| !(k.kind == "key" && named(id, k)));
                "<return>true</return>".to_owned()
            }
            "RunInstances" => {
                if let Some(id) = self.by_token(action, form)? {
                    return Ok(self.set("instancesSet", &[(&id, &self.all[&id])]));
                }
                let subnet = self.find("subnet", p("SubnetId"))?.clone();
                self.find("group", p("SecurityGroupId.1"))?;
                if !self.of("key").any(|(_, k)| k.get("name") == p("KeyName") && k.visible <= now) {
                    return refuse("InvalidKeyPair.NotFound", "no such key pair");
                }
                if self.full_zones.contains(subnet.get("zone")) {
                    return refuse("InsufficientInstanceCapacity", format!("no capacity in {}", subnet.get("zone")));
                }
                let used = |ip: &str| self.of("instance").any(|(_, i)| i.get("ip") == ip && i.get("vpc") == subnet.get("vpc"));
                let ip = match p("PrivateIpAddress") {
                    "" => (100..255).map(|host| subnet.get("cidr").replace("0/24", &host.to_string())).find(|ip| !used(ip)).expect("room"),
                    ip if used(ip) => return refuse("InvalidIPAddress.InUse", format!("{ip} is in use")),
                    ip => ip.to_owned(),
                };
                let fields = [
                    ("vpc", subnet.get("vpc")),
                    ("subnet", p("SubnetId")),
                    ("zone", subnet.get("zone")),
                    ("group", p("SecurityGroupId.1")),
                    ("type", p("InstanceType")),
                    ("image", p("ImageId")),
                    ("ip", &ip),
                    ("state", "pending"),
                    ("tokens", p("MetadataOptions.HttpTokens")),
                    ("hops", p("MetadataOptions.HttpPutResponseHopLimit")),
                    ("spot", p("InstanceMarketOptions.MarketType")),
                    ("protected", if p("DisableApiTermination") == "true" { "true" } else { "" }),
                ];
                let id = self.make("instance", "i", specified(form, "instance"), &fields);
                let slow = self.slow;
                self.all.entry(id.clone()).and_modify(|r| r.then = Some((now + slow, "running")));
                self.make("volume", "vol", specified(form, "volume"), &[("instance", &id), ("size", p("BlockDeviceMapping.1.Ebs.VolumeSize"))]);
                self.remember(action, form, &id);
                self.set("instancesSet", &[(&id, &self.all[&id])])
            }
            "TerminateInstances" => {
                let ids: Vec<String> = list(form, "InstanceId").into_iter().cloned().collect();
                for id in &ids {
                    if self.find("instance", id)?.get("protected") == "true" {
                        return refuse("OperationNotPermitted", "termination protection is on");
                    }
                }
                for id in &ids {
                    let slow = self.slow;
                    let instance = self.find_mut("instance", id)?;
                    if instance.get("state") != "shutting-down" {
                        instance.f.insert("state", "shutting-down".into());
                        instance.then = Some((now + slow, "terminated"));
                    }
                }
                "<instancesSet/>".to_owned()
            }
            "ModifyInstanceAttribute" => {
                let value = p("DisableApiTermination.Value").to_owned();
                let instance = self.find_mut("instance", p("InstanceId"))?;
                if !value.is_empty() {
                    instance.f.insert("protected", value);
                }
                if !p("GroupId.1").is_empty() {
                    instance.f.insert("group", p("GroupId.1").into());
                }
                String::new()
            }
            "ModifyInstanceMetadataOptions" => {
                let instance = self.find_mut("instance", p("InstanceId"))?;
                instance.f.insert("tokens", p("HttpTokens").into());
                instance.f.insert("hops", p("HttpPutResponseHopLimit").into());
                String::new()
            }
            "DeleteVolume" => {
                let volume = self.find("volume", p("VolumeId"))?;
                if !volume.get("instance").is_empty() {
                    return refuse("VolumeInUse", "it is attached");
                }
                self.all.remove(p("VolumeId"));
                String::new()
            }
            "CreateTags" | "DeleteTags" => {
                for id in list(form, "ResourceId") {
                    let tags = tags_of(form, "Tag");
                    let Some(res) = self.all.get_mut(id).filter(|r| r.visible <= now) else {
                        return refuse("InvalidID.NotFound", format!("{id} does not exist"));
                    };
                    if action == "CreateTags" {
                        res.tags.extend(tags);
                    } else {
                        res.tags.retain(|k, _| !tags.contains_key(k));
                    }
                }
                "<return>true</return>".to_owned()
            }
            _ => return refuse("InvalidAction", format!("the model does not know {action}")),
        })
    }
}

fn base64_text(text: &str) -> String {
    use base64::{Engine, prelude::BASE64_STANDARD};
    String::from_utf8(BASE64_STANDARD.decode(text).unwrap()).unwrap()
}
