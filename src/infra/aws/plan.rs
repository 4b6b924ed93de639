//! Operations as data: what a diff finds and the executor carries out, in an order given by keys.

use super::{
    elastic_ip,
    errors::Fault,
    instance, internet_gateway, key_pair, listener, load_balancer, nat_gateway,
    removal::Removal,
    route_table,
    run::Ctx,
    security_group, security_group_rule, subnet,
    tags::{self, Tags},
    target, target_group, vpc,
    world::{Owned, World},
};
use crate::infra::{Action, Change};
use std::collections::{BTreeMap, BTreeSet};

/// Names a resource within the cluster: `vpc`, `subnet/private-1`, `instance/worker-2`. It stands in the tag
/// [`tags::RESOURCE`], so that everything is found again without a state file.
pub type Key = String;

/// One step, mostly one call.
#[derive(Clone, Debug)]
pub struct Op {
    /// Its own key; where it makes a resource, the resource's.
    pub key: Key,
    /// It begins when these are done, as far as they are in the plan.
    pub after: Vec<Key>,
    /// What a person sees of it; `None`: a part of another op's resource.
    pub change: Option<Change>,
    /// The call.
    pub work: Work,
}

/// The work by resource.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "one variant per module of the same name")]
pub enum Work {
    Vpc(vpc::Work),
    InternetGateway(internet_gateway::Work),
    Subnet(subnet::Work),
    ElasticIp(elastic_ip::Work),
    NatGateway(nat_gateway::Work),
    RouteTable(route_table::Work),
    SecurityGroup(security_group::Work),
    Rule(security_group_rule::Work),
    KeyPair(key_pair::Work),
    Instance(instance::Work),
    LoadBalancer(load_balancer::Work),
    TargetGroup(target_group::Work),
    Listener(listener::Work),
    Target(target::Work),
    /// Takes something away.
    Remove(Removal),
    /// Nothing of its own: it is shown, and another step does it.
    Nothing,
    /// Sets tags on an existing resource.
    Tags {
        id: String,
        tags: Tags,
    },
}

impl Work {
    /// Does it. Returns the id of what it made.
    pub async fn run(&self, ctx: &Ctx<'_>) -> Result<Option<String>, Fault> {
        match self {
            Self::Vpc(w) => w.run(ctx).await,
            Self::InternetGateway(w) => w.run(ctx).await,
            Self::Subnet(w) => w.run(ctx).await,
            Self::ElasticIp(w) => w.run(ctx).await,
            Self::NatGateway(w) => w.run(ctx).await,
            Self::RouteTable(w) => w.run(ctx).await,
            Self::SecurityGroup(w) => w.run(ctx).await,
            Self::Rule(w) => w.run(ctx).await,
            Self::KeyPair(w) => w.run(ctx).await,
            Self::Instance(w) => w.run(ctx).await,
            Self::LoadBalancer(w) => w.run(ctx).await,
            Self::TargetGroup(w) => w.run(ctx).await,
            Self::Listener(w) => w.run(ctx).await,
            Self::Target(w) => w.run(ctx).await,
            Self::Remove(removal) => removal.run(ctx).await.map(|()| None),
            Self::Nothing => Ok(None),
            Self::Tags { id, tags } => ctx.create_tags(id, tags).await.map(|()| None),
        }
    }
}

/// Whose a resource is that the spec wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Somebody else's, used as it is.
    Adopted,
    /// Ours, and there.
    Kept,
    /// The plan makes it.
    New,
}

/// How a missing resource is made.
pub struct Creation<'a> {
    /// Keys of what must be there before.
    pub after: &'a [&'a str],
    /// What a person sees.
    pub details: Vec<String>,
    /// The call.
    pub work: Work,
}

/// What a diff comes to.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// Steps in reading order; [`Op::after`] is the real order.
    pub ops: Vec<Op>,
    /// Ids of what is there, by key.
    pub ids: BTreeMap<Key, String>,
    /// Changes that cannot be made in place, with the reason and the way out.
    pub refused: Vec<String>,
    /// What a person should know: rules by others, a machine in another zone.
    pub notes: Vec<String>,
    /// Ids of owned resources that stand for a key; the other owned ones are left over.
    pub kept: BTreeSet<String>,
}

impl Plan {
    /// Keeps what makes or mends these machines, and what that waits for. What is refused about other machines does not matter.
    pub fn limit(&mut self, names: &[String]) {
        let mut kept: BTreeSet<Key> = BTreeSet::new();
        let about =
            |key: &str| names.iter().any(|n| key.strip_prefix("instance/").is_some_and(|k| k == n || k.starts_with(&format!("{n}/"))));
        let mut open: Vec<&Op> = self.ops.iter().filter(|op| about(&op.key) || op.after.iter().any(|key| about(key))).collect();
        // What deletes waits for everything else; it belongs to no machine that is made.
        open.retain(|op| op.change.as_ref().is_none_or(|c| c.action != Action::Delete) && !op.key.starts_with("delete/"));
        while let Some(op) = open.pop() {
            if kept.insert(op.key.clone()) {
                open.extend(self.ops.iter().filter(|o| op.after.contains(&o.key)));
            }
        }
        self.ops.retain(|op| kept.contains(&op.key));
        self.refused.retain(|why| !why.starts_with("instance ") || names.iter().any(|n| why.starts_with(&format!("instance {n}:"))));
    }

    /// What a person sees.
    pub fn changes(&self) -> Vec<Change> {
        self.ops.iter().filter_map(|op| op.change.clone()).collect()
    }

    /// A resource that is wanted: the adopted one, else ours with its tags mended, else it is made.
    pub fn resource<'a>(
        &mut self,
        kind: &str,
        key: &str,
        world: &World,
        there: Option<&Owned>,
        tags: Tags,
        make: impl FnOnce(Tags) -> Creation<'a>,
    ) -> Standing {
        if let Some(id) = world.adopted.get(key) {
            self.ids.insert(key.to_owned(), id.clone());
            return Standing::Adopted;
        }
        if let Some(own) = there {
            self.keep(kind, key, own, &tags);
            return Standing::Kept;
        }
        let Creation { after, details, work } = make(tags);
        self.create(kind, key, after, details, work);
        Standing::New
    }

    /// Refuses to take what carries our name and not our tag.
    pub fn foreign(&mut self, kind: &str, name: &str, cluster: &str) {
        self.refused.push(format!(
            "{kind} {name}: one of this name exists and has no tag {} = {cluster}: it is not ours; delete or rename what made it",
            tags::CLUSTER
        ));
    }

    /// Notes that `own` stands for `key`, and mends its tags.
    pub fn keep(&mut self, kind: &str, key: &str, own: &Owned, want: &Tags) {
        self.ids.insert(key.to_owned(), own.id.clone());
        self.kept.insert(own.id.clone());
        let lacking = tags::missing(want, &own.tags);
        if !lacking.is_empty() {
            let details = lacking
                .iter()
                .map(|(k, v)| match own.tags.get(k) {
                    Some(old) => format!("tag {k}: {old} → {v}"),
                    None => format!("tag {k}: (none) → {v}"),
                })
                .collect();
            self.push(Op {
                key: format!("{key}/tags"),
                after: Vec::new(),
                change: Some(Change { action: Action::Update, kind: kind.to_owned(), name: label(key), details }),
                work: Work::Tags { id: own.id.clone(), tags: lacking },
            });
        }
    }

    /// Adds a step.
    pub fn push(&mut self, op: Op) {
        self.ops.push(op);
    }

    /// Adds the creation of `key`.
    pub fn create(&mut self, kind: &str, key: &str, after: &[&str], details: Vec<String>, work: Work) {
        let change = Change { action: Action::Create, kind: kind.to_owned(), name: label(key), details };
        self.push(Op { key: key.to_owned(), after: owned(after), change: Some(change), work });
    }

    /// Adds a step that belongs to a resource which the plan creates (`fresh`: nobody needs to see it), or that mends one.
    pub fn part(&mut self, kind: &str, key: &str, after: &[&str], fresh: bool, details: Vec<String>, work: Work) {
        let change = (!fresh).then(|| Change { action: Action::Update, kind: kind.to_owned(), name: label(key), details });
        self.push(Op { key: key.to_owned(), after: owned(after), change, work });
    }

    /// Adds a deletion.
    pub fn delete(&mut self, kind: &str, name: &str, key: &str, after: Vec<Key>, details: Vec<String>, removal: Removal) {
        let work = Work::Remove(removal);
        let change = Change { action: Action::Delete, kind: kind.to_owned(), name: name.to_owned(), details };
        self.push(Op { key: key.to_owned(), after, change: Some(change), work });
    }

    /// Whether the plan makes this resource.
    pub fn makes(&self, key: &str) -> bool {
        self.ops.iter().any(|op| op.key == key)
    }

    /// Owned resources that no key stands for: duplicates of an interrupted run, and what the spec no longer wants.
    pub fn left_over<'w>(&self, world: &'w World) -> Vec<&'w str> {
        world.owned().into_iter().map(|(_, o)| o.id.as_str()).filter(|id| !self.kept.contains(*id)).collect()
    }
}

/// A key as people read it: without the kind in front.
pub fn label(key: &str) -> String {
    key.split_once('/').map_or(key, |(_, rest)| rest).to_owned()
}

fn owned(keys: &[&str]) -> Vec<Key> {
    keys.iter().map(|k| (*k).to_owned()).collect()
}
