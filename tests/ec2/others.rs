//! What belongs to others: used where the spec says so, shown, named when it is in the way, and never deleted.

use crate::{
    lines, on_model,
    spec::{aws, default_cluster, three_control_planes},
    wire::Wire,
};
use aws_sdk_ec2::Client;
use kubewright::{
    event::Events,
    infra::{InfraError, Provider, Volumes},
};

fn client(wire: &Wire) -> Client {
    Client::new(&wire.config("http://ec2.test"))
}

#[tokio::test]
async fn a_foreign_blocker_is_named_with_owner_and_command() {
    let home = tempfile::tempdir().unwrap();
    let spec = default_cluster(home.path());
    let (model, _, provider) = on_model();
    provider.apply(&spec, &Events::none()).await.unwrap();
    let subnet = model.lock().id("subnet/private-2");
    let interface = model.lock().foreign_interface(&subnet);
    let InfraError::Failed { what, why, hint } = provider.destroy(&spec, Volumes::Delete, &Events::none()).await.unwrap_err() else {
        panic!("it fails because of somebody else")
    };
    assert!(what.contains("subnet private-2") && why.contains("DependencyViolation"), "{what}: {why}");
    let hint = hint.unwrap();
    let command = format!("aws ec2 delete-network-interface --region eu-central-1 --network-interface-id {interface}");
    assert!(hint.contains("ELB net/foreign") && hint.contains("amazon-elb") && hint.contains(&command), "{hint}");
    model.lock().all.remove(&interface);
    provider.destroy(&spec, Volumes::Delete, &Events::none()).await.unwrap();
    assert!(model.alive().is_empty());
}

#[tokio::test]
async fn volumes_of_claims_go_too_or_stay_and_are_listed() {
    let home = tempfile::tempdir().unwrap();
    let spec = default_cluster(home.path());
    let (model, _, provider) = on_model();
    provider.apply(&spec, &Events::none()).await.unwrap();
    let ours = model.lock().volume_of_a_claim(&spec.name, true, "100");
    let anothers = model.lock().volume_of_a_claim("another", true, "1");
    let namesakes = model.lock().volume_of_a_claim(&spec.name, false, "1");
    let plan = lines(&provider.plan_destroy(&spec, Volumes::Delete).await.unwrap());
    assert!(plan.iter().any(|l| l.contains(&format!("Delete volume {ours}"))), "{plan:?}");
    assert!(!plan.iter().any(|l| l.contains(&anothers) || l.contains(&namesakes)), "{plan:?}");
    provider.destroy(&spec, Volumes::Retain, &Events::none()).await.unwrap();
    assert!(model.lock().all.contains_key(&ours), "it stays");
    let stays = provider.volumes(&spec).await.unwrap();
    let [volume] = stays.as_slice() else { panic!("{stays:?}") };
    assert_eq!((&volume.id, volume.size_gib, volume.kind.as_str()), (&ours, 100, "gp3"));
    assert!(volume.monthly.is_some_and(|usd| (usd - 9.52).abs() < 0.001) && volume.delete.ends_with(&ours), "{volume:?}");
    provider.destroy(&spec, Volumes::Delete, &Events::none()).await.unwrap();
    let left: Vec<String> = model.lock().all.keys().filter(|id| id.starts_with("vol-")).cloned().collect();
    assert_eq!(left, [anothers, namesakes], "other clusters' volumes are not touched, not even those of one with the same name");
}

#[tokio::test]
async fn what_a_dead_cloud_controller_left_goes_too() {
    let home = tempfile::tempdir().unwrap();
    let spec = default_cluster(home.path());
    let (model, wire, provider) = on_model();
    provider.apply(&spec, &Events::none()).await.unwrap();
    let ec2 = client(&wire);
    let vpc = ec2.create_vpc().cidr_block("10.9.0.0/16").send().await.unwrap().vpc.unwrap().vpc_id.unwrap();
    let made = ec2.create_subnet().vpc_id(&vpc).cidr_block("10.9.0.0/24").availability_zone("eu-central-1a").send();
    let subnet = made.await.unwrap().subnet.unwrap().subnet_id.unwrap();
    let (ours, anothers, namesakes) = {
        let mut model = model.lock();
        let (own_vpc, own_subnet) = (model.id("vpc"), model.id("subnet/public"));
        let ours = model.service(&spec.name, &own_vpc, &own_subnet);
        (ours, model.service("another", &vpc, &subnet), model.service(&spec.name, &vpc, &subnet))
    };
    let plan = lines(&provider.plan_destroy(&spec, Volumes::Delete).await.unwrap());
    for id in &ours {
        assert!(plan.iter().any(|l| l.contains(id.as_str())), "{id}: {plan:?}");
    }
    provider.destroy(&spec, Volumes::Delete, &Events::none()).await.unwrap();
    let model = model.lock();
    assert!(!ours.iter().any(|id| model.all.contains_key(id)), "{ours:?}");
    for id in anothers.iter().chain(&namesakes) {
        assert!(model.all.contains_key(id), "{id} is in somebody else's VPC");
    }
}

#[tokio::test]
async fn an_existing_network_is_used_and_stays() {
    let home = tempfile::tempdir().unwrap();
    let mut spec = default_cluster(home.path());
    let (model, wire, provider) = on_model();
    let ec2 = client(&wire);
    let vpc = ec2.create_vpc().cidr_block("10.0.0.0/16").send().await.unwrap().vpc.unwrap().vpc_id.unwrap();
    let gateway = ec2.create_internet_gateway().send().await.unwrap().internet_gateway.unwrap().internet_gateway_id.unwrap();
    ec2.attach_internet_gateway().internet_gateway_id(gateway).vpc_id(&vpc).send().await.unwrap();
    let mut subnets = Vec::new();
    for n in 0..4 {
        let made = ec2.create_subnet().vpc_id(&vpc).cidr_block(format!("10.0.{n}.0/24")).availability_zone("eu-central-1a").send();
        subnets.push(made.await.unwrap().subnet.unwrap().subnet_id.unwrap());
    }
    let before = model.alive();
    let existing = &mut aws(&mut spec).existing;
    existing.vpc = Some(vpc);
    existing.public_subnet = Some(subnets[0].clone());
    existing.private_subnets = subnets[1..].to_vec();
    let plan = provider.plan(&spec).await.unwrap();
    let mut kinds: Vec<&str> = plan.iter().map(|c| c.kind.as_str()).collect();
    kinds.dedup();
    assert_eq!(kinds, ["security group", "security group rule", "key pair", "instance", "elastic ip"], "{:?}", lines(&plan));
    let made = provider.apply(&spec, &Events::none()).await.unwrap();
    assert_eq!(made.machines.len(), 4);
    assert!(provider.plan(&spec).await.unwrap().is_empty());
    provider.destroy(&spec, Volumes::Delete, &Events::none()).await.unwrap();
    assert_eq!(model.alive(), before);
}

#[tokio::test]
async fn host_keys_are_published_while_they_are_rotated() {
    let home = tempfile::tempdir().unwrap();
    let spec = default_cluster(home.path());
    let (_, _, provider) = on_model();
    let made = provider.apply(&spec, &Events::none()).await.unwrap();
    let worker = &made.machines[1];
    let keys = async || provider.discover(&spec).await.unwrap().machines[1].host_keys.clone();
    assert!(worker.one_time_key);
    provider.publish_host_keys(&spec, worker, &worker.host_keys[0], Some("ssh-ed25519 NEW")).await.unwrap();
    assert_eq!(keys().await, [worker.host_keys[0].as_str(), "ssh-ed25519 NEW"]);
    provider.publish_host_keys(&spec, worker, "ssh-ed25519 NEW", None).await.unwrap();
    assert_eq!(keys().await, ["ssh-ed25519 NEW"]);
    assert!(!provider.discover(&spec).await.unwrap().machines[1].one_time_key);
    assert!(provider.plan(&spec).await.unwrap().is_empty(), "a rotated key is not drift");
}

#[tokio::test]
async fn a_dead_machine_is_replaced_by_a_new_one() {
    let home = tempfile::tempdir().unwrap();
    let mut spec = default_cluster(home.path());
    let (model, _, provider) = on_model();
    let before = provider.apply(&spec, &Events::none()).await.unwrap();
    provider.delete_machine(&spec, &before.machines[2], &Events::none()).await.unwrap();
    let whole = model.alive().len();
    // For that machine alone: what else differs, or cannot be changed, is left to a bootstrap.
    spec.pools[0].volume_gib = 99;
    let after = provider.apply_machines(&spec, &["worker-2".to_owned()], &Events::none()).await.unwrap();
    assert!(provider.plan(&spec).await.is_err(), "the other two cannot get a larger volume in place");
    assert_eq!(model.alive().len(), whole + 2, "an instance and its volume");
    assert_eq!(before.machines[1], after.machines[1]);
    assert_ne!(before.machines[2].id, after.machines[2].id, "the client token does not find the dead one");
    assert_ne!(before.machines[2].host_keys, after.machines[2].host_keys);
    assert_eq!(before.machines[2].private_address, after.machines[2].private_address);
}

#[tokio::test]
async fn a_hundred_nodes_are_planned_in_the_same_calls_and_soon() {
    let home = tempfile::tempdir().unwrap();
    let mut spec = default_cluster(home.path());
    spec.control_plane = three_control_planes(home.path()).control_plane;
    let (_, wire, provider) = on_model();
    provider.apply(&spec, &Events::none()).await.unwrap();
    wire.take_log();
    provider.plan(&spec).await.unwrap();
    let calls = wire.take_log().len();
    spec.pools[0].count = 97;
    spec.pools[0].addresses.clear();
    let begun = std::time::Instant::now();
    let plan = provider.plan(&spec).await.unwrap();
    assert!(begun.elapsed().as_secs() < 2, "{:?}", begun.elapsed());
    assert_eq!(plan.len(), 94, "{:?}", lines(&plan));
    assert_eq!(wire.take_log().len(), calls);
    assert_eq!(provider.apply(&spec, &Events::none()).await.unwrap().machines.len(), 100);
    wire.take_log();
    assert!(provider.plan(&spec).await.unwrap().is_empty());
    assert_eq!(wire.take_log().len(), calls, "not one call more");
}

#[tokio::test]
async fn a_nat_gateway_per_zone_stands_in_its_zone() {
    let home = tempfile::tempdir().unwrap();
    let mut spec = default_cluster(home.path());
    let (model, wire, provider) = on_model();
    provider.apply(&spec, &Events::none()).await.unwrap();
    aws(&mut spec).nat_per_zone = true;
    let plan = provider.plan(&spec).await.unwrap();
    assert!(
        plan.iter().any(|c| c.kind == "nat gateway" && c.name == "main" && c.action == kubewright::infra::Action::Delete),
        "{:?}",
        lines(&plan)
    );
    provider.apply(&spec, &Events::none()).await.unwrap();
    assert_eq!(lines(&provider.plan(&spec).await.unwrap()), Vec::<String>::new());
    let ec2 = client(&wire);
    let subnets = ec2.describe_subnets().send().await.unwrap();
    let zone_of = |id: &str| subnets.subnets().iter().find(|s| s.subnet_id() == Some(id)).unwrap().availability_zone().unwrap().to_owned();
    let nats = ec2.describe_nat_gateways().send().await.unwrap();
    let mut zones: Vec<String> = nats
        .nat_gateways()
        .iter()
        .filter(|n| n.state().unwrap().as_str() == "available")
        .map(|n| zone_of(n.subnet_id().unwrap()))
        .collect();
    zones.sort();
    assert_eq!(zones, ["eu-central-1a", "eu-central-1b", "eu-central-1c"]);
    provider.destroy(&spec, Volumes::Delete, &Events::none()).await.unwrap();
    assert!(model.alive().is_empty());
    assert!(model.lock().offences.is_empty());
}
