//! A small EC2 in memory, as strict as the real one: it refuses what is in use, knows client tokens, shows new things late and
//! lets slow things take their time. Time is the number of requests.

mod balancers;
mod gateways;
mod groups;
mod instances;
mod keys;
mod routes;
mod vpc;

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

    /// A field as an element; nothing where it has none.
    fn tag(&self, name: &str, field: &str) -> String {
        let value = self.get(field);
        if value.is_empty() { String::new() } else { format!("<{name}>{value}</{name}>") }
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

/// One file per kind of resource: how it looks, and what can be done.
type Render = fn(&Account, &str, &Res) -> Option<String>;
type Act = fn(&mut Account, &str, &Form) -> Result<Option<String>, Refusal>;
const RENDER: [Render; 6] = [vpc::render, gateways::render, routes::render, groups::render, instances::render, keys::render];
const ACT: [Act; 7] = [balancers::act, vpc::act, gateways::act, routes::act, groups::act, instances::act, keys::act];

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
                Ok(inner) if balancers::is_mine(form) => (200, format!("<{action}Response xmlns=\"http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/\"><{action}Result>{inner}</{action}Result></{action}Response>")),
                Ok(inner) => (200, format!("<{action}Response xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\"><requestId>r</requestId>{inner}</{action}Response>")),
                Err((code, message)) => (400, error(form, code, &message)),
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
        self.all.retain(|own, r| !(r.kind == "volume" && r.get("instance") == id || matches!(r.kind, "interface" | "target") && own == id));
    }

    fn make(&mut self, kind: &'static str, prefix: &str, tags: BTreeMap<String, String>, fields: &[(&'static str, &str)]) -> String {
        self.ids += 1;
        let id = format!("{prefix}-{:08x}", self.ids);
        let f = fields.iter().map(|(k, v)| (*k, (*v).to_owned())).collect();
        if !tags.contains_key("kubewright.dev/cluster") && !matches!(kind, "rule" | "interface" | "target") {
            self.offences.push(format!("{id} was made without the tag that owns"));
        }
        let visible = self.now + self.late;
        self.all.insert(id.clone(), Res { kind, f, tags, visible, then: None });
        id
    }

    /// A network interface of somebody else in this subnet.
    pub fn foreign_interface(&mut self, subnet: &str) -> String {
        let vpc = self.all[subnet].get("vpc").to_owned();
        let fields = [("vpc", vpc.as_str()), ("subnet", subnet), ("description", "ELB net/foreign")];
        self.make("interface", "eni", BTreeMap::new(), &fields)
    }

    /// A volume that a storage driver made for a claim of a cluster of this name, and that is attached to nothing. `ours`: the
    /// driver that kubewright deploys.
    pub fn volume_of_a_claim(&mut self, cluster: &str, ours: bool, size: &str) -> String {
        let mut tags = BTreeMap::from([
            ("CSIVolumeName".to_owned(), "pvc-1".to_owned()),
            ("KubernetesCluster".to_owned(), cluster.to_owned()),
            (format!("kubernetes.io/cluster/{cluster}"), "owned".to_owned()),
        ]);
        if ours {
            tags.insert("kubewright.dev/cluster".to_owned(), cluster.to_owned());
        }
        let id = self.make("volume", "vol", tags, &[("size", size)]);
        self.offences.clear();
        id
    }

    /// What a cloud controller made for a Service of a cluster of this name: a security group, a target group and a load
    /// balancer with an interface.
    pub fn service(&mut self, cluster: &str, vpc: &str, subnet: &str) -> [String; 3] {
        let tags = BTreeMap::from([(format!("kubernetes.io/cluster/{cluster}"), "owned".to_owned())]);
        let n = self.all.len();
        let group = self.make("group", "sg", tags.clone(), &[("vpc", vpc), ("name", &format!("k8s-elb-{n}"))]);
        let arn = |kind: &str| format!("arn:aws:elasticloadbalancing:eu-central-1:123456789012:{kind}/{n}");
        let targets = self.make("targets", &arn("targetgroup/k8s"), tags.clone(), &[("vpc", vpc), ("name", &format!("k8s-{n}"))]);
        let fields = [("vpc", vpc), ("name", &format!("a{n}")), ("group", &group), ("state", "active")];
        let balancer = self.make("balancer", &arn("loadbalancer/net/a"), tags, &fields);
        let description = format!("ELB {}", balancer.split_once(":loadbalancer/").unwrap().1);
        let fields = [("vpc", vpc), ("subnet", subnet), ("group", &group), ("balancer", balancer.as_str()), ("description", &description)];
        self.make("interface", "eni", BTreeMap::new(), &fields);
        self.offences.clear();
        [group, targets, balancer]
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
            "balancer" => "LoadBalancerNotFound",
            "targets" => "TargetGroupNotFound",
            "listener" => "ListenerNotFound",
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
                    "description" => r.get("description"),
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
        let own = RENDER.iter().find_map(|render| render(self, id, r)).unwrap_or_default();
        let tags: String = r.tags.iter().map(|(k, v)| format!("<item><key>{k}</key><value>{v}</value></item>")).collect();
        format!("{own}<tagSet>{tags}</tagSet>")
    }

    fn act(&mut self, action: &str, form: &Form) -> Outcome {
        for act in ACT {
            if let Some(answer) = act(self, action, form)? {
                return Ok(answer);
            }
        }
        refuse("InvalidAction", format!("the model does not know {action}"))
    }
}
