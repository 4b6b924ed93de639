//! The load balancer before several control planes: made, mended, kept while a cluster runs, taken away.

use crate::{
    lines, on_model,
    spec::{aws, default_cluster, three_control_planes},
    wire::{Fault, changes},
};
use kubewright::{
    event::{Events, Kind},
    infra::{Action, InfraError, Provider, Volumes},
};
use std::net::Ipv4Addr;

#[tokio::test]
async fn three_control_planes_have_a_balancer_and_drift_is_mended() {
    let home = tempfile::tempdir().unwrap();
    let spec = three_control_planes(home.path());
    let (model, wire, provider) = on_model();
    let made = provider.apply(&spec, &Events::none()).await.unwrap();
    assert_eq!(made.machines.len(), 6);
    assert_eq!(made.api_balancer, [Ipv4Addr::new(10, 0, 0, 6)]);
    assert_eq!(provider.discover(&spec).await.unwrap().api_balancer, made.api_balancer);
    assert_eq!(lines(&provider.plan(&spec).await.unwrap()), Vec::<String>::new());
    wire.take_log();
    provider.apply(&spec, &Events::none()).await.unwrap();
    assert!(wire.take_log().iter().all(|f| !changes(f)), "nothing to do, nothing done");

    let balancer = model.lock().id("load-balancer/api");
    let targets = model.lock().id("target-group/api");
    let listener = model.lock().id("listener/api");
    {
        let mut account = model.lock();
        let mut set = |id: &String, field, value: &str| drop(account.all.get_mut(id).unwrap().f.insert(field, value.into()));
        set(&balancer, "cross", "false");
        set(&targets, "path", "/");
        set(&targets, "keeps", "true");
        account.all.get_mut(&balancer).unwrap().tags.remove("owner");
        account.all.remove(&listener);
        account.all.retain(|_, r| r.kind != "target" || !r.f.values().any(|v| v == "10.0.0.20"));
    }
    let plan = provider.plan(&spec).await.unwrap();
    let seen: Vec<(Action, &str, &str)> = plan.iter().map(|c| (c.action, c.kind.as_str(), c.name.as_str())).collect();
    assert_eq!(
        seen,
        [
            (Action::Update, "load balancer", "api"),
            (Action::Update, "load balancer", "api/cross-zone"),
            (Action::Update, "target group", "api/health-check"),
            (Action::Update, "target group", "api/clients"),
            (Action::Create, "listener", "api"),
            (Action::Update, "load balancer target", "control-plane-2"),
        ],
        "{:?}",
        lines(&plan)
    );
    provider.apply(&spec, &Events::none()).await.unwrap();
    assert_eq!(lines(&provider.plan(&spec).await.unwrap()), Vec::<String>::new());

    provider.destroy(&spec, Volumes::Delete, &Events::none()).await.unwrap();
    assert_eq!(model.alive(), Vec::<String>::new());
    assert_eq!(model.lock().offences, Vec::<String>::new());
}

#[tokio::test]
async fn from_one_to_three_the_api_is_not_lost_and_back_nothing_is_left() {
    let home = tempfile::tempdir().unwrap();
    let (one, three) = (default_cluster(home.path()), three_control_planes(home.path()));
    let (model, _, provider) = on_model();
    let before = provider.apply(&one, &Events::none()).await.unwrap();
    assert!(before.api_balancer.is_empty());
    let whole = model.alive();

    model.lock().slow = 40;
    let (events, mut heard) = Events::channel();
    let made = provider.apply(&three, &events).await.unwrap();
    drop(events);
    let mut waited = false;
    while let Some(event) = heard.recv().await {
        waited |= matches!(event.kind, Kind::StepFinished { id, error: None, .. } if id == "aws/load-balancer/api/serves");
    }
    assert!(waited, "machines learn the balancer's address only when it serves");
    assert_eq!(made.api_balancer.len(), 1);
    let serves = model.lock().all.values().filter(|r| r.kind == "target" && r.f["state"] == "healthy").count();
    assert!(serves > 0);
    model.lock().slow = 6;

    // The two that are too many are nodes: they go by name, after a drain.
    let fewer = provider.apply(&one, &Events::none()).await.unwrap();
    assert!(fewer.api_balancer.is_empty());
    for machine in fewer.machines.iter().filter(|m| ["control-plane-2", "control-plane-3"].contains(&m.name.as_str())) {
        provider.delete_machine(&one, machine, &Events::none()).await.unwrap();
    }
    provider.apply(&one, &Events::none()).await.unwrap();
    assert_eq!(model.alive(), whole, "and neither balancer nor group nor address is left");

    // One that a specification no longer wants goes with a destroy too.
    provider.apply(&three, &Events::none()).await.unwrap();
    provider.destroy(&one, Volumes::Delete, &Events::none()).await.unwrap();
    assert_eq!(model.alive(), Vec::<String>::new());
}

#[tokio::test]
async fn a_control_plane_that_is_replaced_leaves_the_balancer_and_comes_back() {
    let home = tempfile::tempdir().unwrap();
    let spec = three_control_planes(home.path());
    let (model, wire, provider) = on_model();
    let made = provider.apply(&spec, &Events::none()).await.unwrap();
    let whole = model.alive();
    wire.take_log();
    provider.delete_machine(&spec, &made.machines[1], &Events::none()).await.unwrap();
    let calls: Vec<String> = wire.take_log().into_iter().filter(changes).map(|f| f["Action"].clone()).collect();
    assert_eq!(calls[..2], ["DeregisterTargets", "TerminateInstances"], "first nobody is sent there");
    // Killed here, the same command begins with a machine that is missing.
    let after = provider.apply_machines(&spec, &["control-plane-2".to_owned()], &Events::none()).await.unwrap();
    assert_eq!(after.machines[1].private_address, made.machines[1].private_address);
    assert_eq!(model.alive(), whole);
    assert_eq!(lines(&provider.plan(&spec).await.unwrap()), Vec::<String>::new());
}

/// `node add`: only the new machines are made, but the balancer that they need is whole, and the old control plane is behind it.
#[tokio::test]
async fn control_planes_that_are_added_bring_a_whole_balancer() {
    let home = tempfile::tempdir().unwrap();
    let (one, three) = (default_cluster(home.path()), three_control_planes(home.path()));
    let (_, _, provider) = on_model();
    provider.apply(&one, &Events::none()).await.unwrap();
    let names = ["control-plane-2", "control-plane-3"].map(str::to_owned);
    let made = provider.apply_machines(&three, &names, &Events::none()).await.unwrap();
    assert_eq!(made.api_balancer.len(), 1);
    let left = lines(&provider.plan(&three).await.unwrap());
    assert!(left.iter().all(|l| !l.contains("load balancer target") && !l.contains("listener") && !l.contains("target group")), "{left:?}");
}

#[tokio::test]
async fn control_planes_in_three_zones_have_an_address_in_each() {
    let home = tempfile::tempdir().unwrap();
    let mut spec = three_control_planes(home.path());
    spec.control_plane.subnets = spec.network.private_subnets.clone();
    spec.control_plane.addresses = ["10.0.1.30", "10.0.2.30", "10.0.3.30"].iter().map(|a| a.parse().unwrap()).collect();
    let (model, _, provider) = on_model();
    let made = provider.apply(&spec, &Events::none()).await.unwrap();
    assert_eq!(made.api_balancer, [[10, 0, 1, 6], [10, 0, 2, 6], [10, 0, 3, 6]].map(Ipv4Addr::from));
    assert!(provider.plan(&spec).await.unwrap().is_empty());

    // Two zones for three subnets: a load balancer has one subnet of a zone, and the other zone's serves the third.
    let (_, _, provider) = on_model();
    aws(&mut spec).zones = ["eu-central-1a", "eu-central-1b"].map(str::to_owned).to_vec();
    let made = provider.apply(&spec, &Events::none()).await.unwrap();
    assert_eq!(made.api_balancer, [[10, 0, 1, 6], [10, 0, 2, 6]].map(Ipv4Addr::from));
    assert!(provider.plan(&spec).await.unwrap().is_empty());
    assert!(model.lock().offences.is_empty());
}

#[tokio::test]
async fn what_has_our_name_and_is_not_ours_is_refused_and_stays() {
    let home = tempfile::tempdir().unwrap();
    let spec = three_control_planes(home.path());
    let (model, wire, provider) = on_model();
    provider.apply(&spec, &Events::none()).await.unwrap();
    for key in ["load-balancer/api", "target-group/api"] {
        let id = model.lock().id(key);
        model.lock().all.get_mut(&id).unwrap().tags.remove("kubewright.dev/cluster");
    }
    wire.take_log();
    let InfraError::Missing { what, .. } = provider.apply(&spec, &Events::none()).await.unwrap_err() else { panic!("it is refused") };
    for part in ["load balancer kubewright-dev", "target group kubewright-dev", "is not ours"] {
        assert!(what.contains(part), "{part}: {what}");
    }
    assert!(wire.take_log().iter().all(|f| !changes(f)));
}

#[tokio::test]
async fn what_cannot_be_changed_and_what_is_not_allowed_is_said() {
    let home = tempfile::tempdir().unwrap();
    let spec = three_control_planes(home.path());
    let (model, wire, provider) = on_model();
    wire.faults(|form| if form["Action"] == "CreateLoadBalancer" { Fault::Refuse(403, "AccessDenied") } else { Fault::None });
    let InfraError::Failed { what, hint, .. } = provider.apply(&spec, &Events::none()).await.unwrap_err() else { panic!("it fails") };
    assert!(what.contains("create load balancer api") && hint.unwrap().contains("elasticloadbalancing:CreateLoadBalancer"), "{what}");
    assert_eq!(wire.take_log().iter().filter(|f| f["Action"] == "CreateLoadBalancer").count(), 1);
    wire.faults(|form| if form["Action"] == "CreateLoadBalancer" { Fault::Refuse(400, "TooManyLoadBalancers") } else { Fault::None });
    let InfraError::Failed { hint, .. } = provider.apply(&spec, &Events::none()).await.unwrap_err() else { panic!("it fails") };
    assert!(hint.unwrap().contains("quota"));
    wire.faults(|_| Fault::None);
    provider.apply(&spec, &Events::none()).await.unwrap();
    for r in model.lock().all.values_mut().filter(|r| r.kind == "interface") {
        r.f.insert("ip", "10.0.0.7".into());
    }
    let InfraError::Missing { what, .. } = provider.plan(&spec).await.unwrap_err() else { panic!("it is refused") };
    assert!(what.contains("its addresses 10.0.0.7 cannot become 10.0.0.6") && what.contains("delete-load-balancer"), "{what}");
}
