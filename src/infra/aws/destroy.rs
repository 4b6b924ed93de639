//! The way down: the same resources in reverse, as a plan of its own. Used for a whole cluster and for leftovers.

use super::{
    instance,
    plan::{self, Op, Plan, label},
    removal::Removal,
    world::{Owned, World},
};
use std::collections::{BTreeMap, BTreeSet};

/// Adds deletions of everything in `ids` (rules go with their groups), each after what stands in its way.
pub fn plan(world: &World, ids: &BTreeSet<&str>, plan: &mut Plan) {
    let goes = |own: &Owned| ids.contains(own.id.as_str());
    let named = |own: &Owned| if own.key.is_empty() { own.id.clone() } else { label(&own.key) };
    let key = |id: &str| format!("delete/{id}");
    let keys = |kind: &[&Owned]| kind.iter().map(|o| format!("delete/{}", o.id)).collect::<Vec<_>>();

    let instances: Vec<_> = world.instances.iter().filter(|i| goes(&i.own)).collect();
    let terminating = "delete/instances";
    for i in instances.iter().filter(|i| i.own.tags.get(super::tags::PROTECTED).is_some_and(|v| v == "true")) {
        let work = instance::Work::Protect { id: i.own.id.clone(), on: false };
        let op = plan::Op { key: format!("unprotect/{}", i.own.id), after: Vec::new(), change: None, work: plan::Work::Instance(work) };
        plan.push(op);
    }
    if !instances.is_empty() {
        let unprotected = instances.iter().map(|i| format!("unprotect/{}", i.own.id)).collect();
        for i in &instances {
            let change = crate::infra::Change {
                action: crate::infra::Action::Delete,
                kind: "instance".to_owned(),
                name: named(&i.own),
                details: vec![i.own.id.clone(), i.instance_type.clone()],
            };
            // Shown one by one, done by one call: the steps without work of their own stand for the others.
            plan.push(plan::Op {
                key: key(&i.own.id),
                after: vec![terminating.to_owned()],
                change: Some(change),
                work: plan::Work::Nothing,
            });
        }
        let removal = Removal::Instances(instances.iter().map(|i| i.own.id.clone()).collect());
        plan.push(step(terminating, unprotected, removal));
    }

    let nats: Vec<_> = world.nat_gateways.iter().filter(|n| goes(&n.own)).map(|n| &n.own).collect();
    for nat in &nats {
        plan.delete("nat gateway", &named(nat), &key(&nat.id), vec![], vec![nat.id.clone()], Removal::NatGateway(nat.id.clone()));
    }
    let balancers: Vec<_> = world.load_balancers.iter().filter(|b| goes(&b.own)).map(|b| &b.own).collect();
    for b in &balancers {
        plan.delete("load balancer", &named(b), &key(&b.id), vec![], vec![b.id.clone()], Removal::LoadBalancer(b.id.clone()));
    }
    for t in world.target_groups.iter().filter(|t| goes(&t.own)).map(|t| &t.own) {
        let details = vec![t.id.clone()];
        plan.delete("target group", &named(t), &key(&t.id), keys(&balancers), details, Removal::TargetGroup(t.id.clone()));
    }
    // What has interfaces in subnets and groups, or public addresses.
    let mut machines_gone = vec![terminating.to_owned()];
    machines_gone.extend(keys(&nats));
    machines_gone.extend(keys(&balancers));

    let mut addresses = Vec::new();
    for a in world.addresses.iter().filter(|a| goes(&a.own)) {
        let mut after = machines_gone.clone();
        if let Some(association) = a.association.as_ref().filter(|_| a.instance.is_some()) {
            let name = format!("disassociate/{}", a.own.id);
            plan.push(step(&name, vec![terminating.to_owned()], Removal::Address(association.clone())));
            after.push(name);
        }
        let details = vec![a.own.id.clone(), a.public_ip.clone()];
        plan.delete("elastic ip", &named(&a.own), &key(&a.own.id), after, details, Removal::ElasticIp(a.own.id.clone()));
        addresses.push(&a.own);
    }

    for v in world.volumes.iter().filter(|v| goes(&v.own)) {
        let removal = Removal::Volume(v.own.id.clone());
        let op_key = key(&v.own.id);
        if v.instance.as_ref().is_some_and(|id| instances.iter().any(|i| i.own.id == *id)) && !v.dynamic {
            // The root volume of an instance that goes: it goes with it, this is for the one that does not.
            plan.push(step(&op_key, vec![terminating.to_owned()], removal));
        } else {
            let details = vec![v.own.id.clone(), format!("{} GiB {}", v.size, v.kind)];
            plan.delete("volume", &named(&v.own), &op_key, vec![terminating.to_owned()], details, removal);
        }
    }

    let groups: Vec<_> = world.groups.iter().filter(|g| goes(&g.own)).collect();
    // Groups refer to each other by their rules, so all rules of all of them go first.
    let mut rules: BTreeMap<(String, bool), Vec<String>> = BTreeMap::new();
    let going: BTreeSet<&str> = groups.iter().map(|g| g.own.id.as_str()).collect();
    // By name, so that the same cluster is taken down by the same requests.
    let mut by_name: Vec<_> = world.rules.iter().collect();
    by_name.sort_by_key(|r| (&r.key, &r.id));
    for rule in by_name {
        let refers = rule.allows.source.starts_with("sg-");
        if refers && (going.contains(rule.group.as_str()) || going.contains(rule.allows.source.as_str())) {
            rules.entry((rule.group.clone(), rule.egress)).or_default().push(rule.id.clone());
        }
    }
    // In somebody's group that we use, our rules go too.
    for rule in world.rules.iter().filter(|r| ids.contains(r.id.as_str()) && !world.groups.iter().any(|g| g.own.id == r.group)) {
        let ids = rules.entry((rule.group.clone(), rule.egress)).or_default();
        if !ids.contains(&rule.id) {
            ids.push(rule.id.clone());
        }
    }
    let mut revoked = Vec::new();
    for ((group, egress), ids) in rules {
        let name = format!("revoke/{group}/{}", if egress { "out" } else { "in" });
        // Not before the machines are gone: until then they may need their connections.
        plan.push(step(&name, vec![terminating.to_owned()], Removal::Rules { group, ids, egress }));
        revoked.push(name);
    }
    for g in &groups {
        let mut after = revoked.clone();
        after.push(terminating.to_owned());
        after.extend(keys(&balancers));
        let removal = Removal::SecurityGroup(g.own.id.clone());
        plan.delete("security group", &named(&g.own), &key(&g.own.id), after, vec![g.own.id.clone()], removal);
    }

    let mut subnets = Vec::new();
    for s in world.subnets.iter().filter(|s| goes(&s.own)) {
        let details = vec![s.own.id.clone(), s.cidr.clone()];
        plan.delete("subnet", &named(&s.own), &key(&s.own.id), machines_gone.clone(), details, Removal::Subnet(s.own.id.clone()));
        subnets.push(&s.own);
    }

    let mut tables = Vec::new();
    for t in world.route_tables.iter().filter(|t| goes(&t.own)) {
        let mut after = Vec::new();
        for association in t.associations.values() {
            let name = format!("disassociate/{association}");
            plan.push(step(&name, machines_gone.clone(), Removal::TableAssociation(association.clone())));
            after.push(name);
        }
        let removal = Removal::RouteTable(t.own.id.clone());
        plan.delete("route table", &named(&t.own), &key(&t.own.id), after, vec![t.own.id.clone()], removal);
        tables.push(&t.own);
    }

    let mut gateways = Vec::new();
    for g in world.internet_gateways.iter().filter(|g| goes(&g.own)) {
        let mut after = Vec::new();
        if let Some(vpc) = &g.vpc {
            let name = format!("detach/{}", g.own.id);
            // Detaching is refused while public addresses are mapped.
            let mut first = machines_gone.clone();
            first.extend(keys(&addresses));
            plan.push(step(&name, first, Removal::Attachment { gateway: g.own.id.clone(), vpc: vpc.clone() }));
            after.push(name);
        }
        let removal = Removal::InternetGateway(g.own.id.clone());
        plan.delete("internet gateway", &named(&g.own), &key(&g.own.id), after, vec![g.own.id.clone()], removal);
        gateways.push(&g.own);
    }

    let group_owns: Vec<&Owned> = groups.iter().map(|g| &g.own).collect();
    for v in world.vpcs.iter().filter(|v| goes(&v.own)) {
        let after = [&group_owns, &subnets, &tables, &gateways].into_iter().flat_map(|k| keys(k)).chain(machines_gone.clone()).collect();
        let details = vec![v.own.id.clone(), v.cidr.clone()];
        plan.delete("vpc", &named(&v.own), &key(&v.own.id), after, details, Removal::Vpc(v.own.id.clone()));
    }
    for k in world.key_pairs.iter().filter(|k| goes(&k.own)) {
        let details = vec![k.own.id.clone(), k.name.clone()];
        plan.delete("key pair", &named(&k.own), &key(&k.own.id), vec![], details, Removal::KeyPair(k.name.clone()));
    }
}

/// A part of something else's deletion.
fn step(key: &str, after: Vec<plan::Key>, removal: Removal) -> Op {
    Op { key: key.to_owned(), after, change: None, work: plan::Work::Remove(removal) }
}
