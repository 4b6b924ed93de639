//! Against moto: from nothing to a cluster's machines and back, with drift mended on the way.

use crate::{
    lines,
    moto::Moto,
    spec::{default_cluster, pool, three_control_planes},
    wire::{Wire, changes},
};
use kubewright::{
    event::Events,
    infra::{
        Action, Provider, Volumes,
        aws::{Aws, api::Patience},
    },
};
use std::sync::Arc;

/// A provider over a wire; waits are a hundred times shorter.
fn provider(wire: &Wire, url: &str) -> Aws {
    Aws::with_config(&wire.config(url), Patience::default().divided(100))
}

#[tokio::test(flavor = "multi_thread")]
async fn from_an_empty_account_to_machines_and_back() {
    let moto = Arc::new(Moto::start());
    let url = moto.url();
    let wire = Wire::new(moto);
    let aws = provider(&wire, &url);
    let home = tempfile::tempdir().unwrap();
    let mut spec = default_cluster(home.path());
    let events = Events::none();

    let survey = aws.survey(&spec).await.unwrap();
    assert_eq!(survey.identity.account, "123456789012");
    assert!(survey.changes.iter().all(|c| c.action == Action::Create), "{:?}", lines(&survey.changes));
    assert!(!survey.changes.is_empty());
    assert!(wire.take_log().iter().all(|f| !changes(f)), "a plan only reads");
    assert!(!home.path().join("id_ed25519").exists(), "a plan makes no key");

    let made = aws.apply_planned(&spec, &survey.changes, &events).await.unwrap();
    let names: Vec<&str> = made.machines.iter().map(|m| m.name.as_str()).collect();
    assert_eq!(names, ["control-plane-1", "worker-1", "worker-2", "worker-3"]);
    let addresses: Vec<String> = made.machines.iter().map(|m| m.private_address.to_string()).collect();
    assert_eq!(addresses, ["10.0.0.10", "10.0.1.10", "10.0.2.10", "10.0.3.10"]);
    assert!(made.machines[0].dial_address.is_some() && made.machines[0].jump.is_none());
    for worker in &made.machines[1..] {
        assert_eq!((worker.dial_address.as_deref(), worker.jump.as_deref()), (None, Some("control-plane-1")));
    }
    assert!(made.machines.iter().all(|m| m.host_keys.len() == 1 && m.host_keys[0].starts_with("ssh-ed25519 ")));
    let zones: std::collections::BTreeSet<_> = made.machines[1..].iter().map(|m| m.zone.clone()).collect();
    assert_eq!(zones.len(), 3, "workers are spread over zones");
    wire.take_log();

    assert_eq!(lines(&aws.plan(&spec).await.unwrap()), Vec::<String>::new());
    let calls = wire.take_log().len();
    assert_eq!(aws.apply(&spec, &events).await.unwrap(), aws.discover(&spec).await.unwrap());
    assert!(wire.take_log().iter().all(|f| !changes(f)), "nothing to do, nothing done");

    // Twenty more machines cost not one more call to plan.
    spec.pools.push(pool("batch", 20, "t3.small", spec.network.private_subnets.clone()));
    assert_eq!(aws.apply(&spec, &events).await.unwrap().machines.len(), 24);
    wire.take_log();
    assert!(aws.plan(&spec).await.unwrap().is_empty());
    assert_eq!(wire.take_log().len(), calls, "the number of calls does not depend on the number of nodes");
    spec.pools.pop();
    // What the spec no longer names is a node of the cluster: no plan takes it away, it is deleted by name.
    assert_eq!(lines(&aws.plan(&spec).await.unwrap()), Vec::<String>::new());
    let surplus: Vec<_> = aws.apply(&spec, &events).await.unwrap().machines.into_iter().filter(|m| m.pool == "batch").collect();
    assert_eq!(surplus.len(), 20);
    for machine in &surplus {
        aws.delete_machine(&spec, machine, &events).await.unwrap();
    }
    assert_eq!(aws.discover(&spec).await.unwrap().machines.len(), 4);

    drift(&aws, &wire, &spec, &url).await;

    let gone = aws.destroy(&spec, Volumes::Delete, &events).await.unwrap();
    assert!(gone.iter().filter(|c| c.kind == "instance").count() >= 4);
    assert!(aws.discover(&spec).await.unwrap().machines.is_empty());
    assert!(aws.list(&spec).await.unwrap().is_empty(), "{:?}", aws.list(&spec).await);
    assert!(aws.destroy(&spec, Volumes::Delete, &events).await.unwrap().is_empty(), "a second time there is nothing to do");
    assert!(aws.apply(&spec, &events).await.unwrap().machines.len() == 4, "and it can be made again");
    aws.destroy(&spec, Volumes::Delete, &events).await.unwrap();
}

/// Three control planes and their load balancer: from one, and back to an empty account.
#[tokio::test(flavor = "multi_thread")]
async fn three_control_planes_behind_a_load_balancer_and_back() {
    let moto = Arc::new(Moto::start());
    let url = moto.url();
    let wire = Wire::new(moto);
    let aws = provider(&wire, &url);
    let home = tempfile::tempdir().unwrap();
    let (one, three) = (default_cluster(home.path()), three_control_planes(home.path()));
    let events = Events::none();
    aws.apply(&one, &events).await.unwrap();

    let plan = aws.plan(&three).await.unwrap();
    for (kind, name) in [("load balancer", "api"), ("target group", "api"), ("listener", "api"), ("instance", "control-plane-3")] {
        assert!(plan.iter().any(|c| c.action == Action::Create && c.kind == kind && c.name == name), "{kind}: {:?}", lines(&plan));
    }
    let made = aws.apply_planned(&three, &plan, &events).await.unwrap();
    assert_eq!(made.machines.len(), 6);
    assert_eq!(made.api_balancer, [std::net::Ipv4Addr::new(10, 0, 0, 6)]);
    assert_eq!(lines(&aws.plan(&three).await.unwrap()), Vec::<String>::new());
    let elb = aws_sdk_elasticloadbalancingv2::Client::new(&wire.config(&url));
    let group = elb.describe_target_groups().names("kubewright-dev").send().await.unwrap();
    let group = group.target_groups()[0].target_group_arn().unwrap().to_owned();
    let behind = async || {
        let health = elb.describe_target_health().target_group_arn(&group).send().await.unwrap();
        let mut all: Vec<String> =
            health.target_health_descriptions().iter().map(|d| d.target().unwrap().id().unwrap().to_owned()).collect();
        all.sort();
        all
    };
    assert_eq!(behind().await, ["10.0.0.10", "10.0.0.20", "10.0.0.30"]);

    aws.delete_machine(&three, &made.machines[1], &events).await.unwrap();
    let after = aws.apply(&three, &events).await.unwrap();
    assert_ne!(after.machines[1].id, made.machines[1].id);
    assert_eq!(behind().await, ["10.0.0.10", "10.0.0.20", "10.0.0.30"]);

    aws.destroy(&three, Volumes::Delete, &events).await.unwrap();
    assert!(elb.describe_load_balancers().send().await.unwrap().load_balancers().is_empty());
    assert!(elb.describe_target_groups().send().await.unwrap().target_groups().is_empty());
    assert!(aws.plan_destroy(&three, Volumes::Delete).await.unwrap().is_empty());
}

/// Somebody changes a rule, a tag and a route behind our back.
async fn drift(aws: &Aws, wire: &Wire, spec: &kubewright::spec::ClusterSpec, url: &str) {
    let ec2 = aws_sdk_ec2::Client::new(&wire.config(url));
    let rules = ec2.describe_security_group_rules().send().await.unwrap();
    let tagged = |r: &aws_sdk_ec2::types::SecurityGroupRule, key: &str| r.tags().iter().any(|t| t.value() == Some(key));
    let vxlan = rules.security_group_rules().iter().find(|r| tagged(r, "rule/worker/vxlan-worker")).unwrap();
    ec2.revoke_security_group_ingress()
        .group_id(vxlan.group_id().unwrap())
        .security_group_rule_ids(vxlan.security_group_rule_id().unwrap())
        .send()
        .await
        .unwrap();
    let tables = ec2.describe_route_tables().send().await.unwrap();
    let private = tables.route_tables().iter().find(|t| t.tags().iter().any(|t| t.value() == Some("dev-route-table-private"))).unwrap();
    ec2.delete_route().route_table_id(private.route_table_id().unwrap()).destination_cidr_block("0.0.0.0/0").send().await.unwrap();
    let worker = &aws.discover(spec).await.unwrap().machines[2];
    let tag = aws_sdk_ec2::types::Tag::builder().key("owner").value("nobody").build();
    ec2.create_tags().resources(&worker.id).tags(tag).send().await.unwrap();
    // And a rule of somebody else's, which stays.
    ec2.authorize_security_group_ingress()
        .group_id(vxlan.group_id().unwrap())
        .ip_permissions(
            aws_sdk_ec2::types::IpPermission::builder()
                .ip_protocol("tcp")
                .from_port(9100)
                .to_port(9100)
                .ip_ranges(aws_sdk_ec2::types::IpRange::builder().cidr_ip("10.0.0.0/16").build())
                .build(),
        )
        .send()
        .await
        .unwrap();

    let survey = aws.survey(spec).await.unwrap();
    let seen: Vec<(Action, &str, &str)> = survey.changes.iter().map(|c| (c.action, c.kind.as_str(), c.name.as_str())).collect();
    assert_eq!(
        seen,
        [
            (Action::Create, "security group rule", "worker/vxlan-worker"),
            (Action::Update, "instance", "worker-2"),
            (Action::Update, "route", "private/default-route"),
        ],
        "{:?}",
        lines(&survey.changes)
    );
    assert_eq!(survey.changes[1].details, ["tag owner: nobody → platform"]);
    assert!(survey.notes.iter().any(|n| n.contains("tcp 9100 from 10.0.0.0/16")), "{:?}", survey.notes);
    aws.apply(spec, &Events::none()).await.unwrap();
    assert!(aws.plan(spec).await.unwrap().is_empty());
}
