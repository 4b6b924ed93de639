//! What stops at once: one clear cause, a way out, and nothing made.

use crate::{
    on_model,
    spec::{aws, default_cluster},
    wire::{Fault, changes},
};
use kubewright::{
    event::Events,
    infra::{
        InfraError, Provider, Volumes,
        aws::{Aws, api::Patience},
    },
};

fn parts(error: InfraError) -> (String, String) {
    match error {
        InfraError::Missing { what, hint } => (what, hint),
        InfraError::Failed { what, why, hint } => (format!("{what}: {why}"), hint.unwrap_or_default()),
    }
}

#[tokio::test]
async fn a_missing_permission_names_its_action_and_stops() {
    let home = tempfile::tempdir().unwrap();
    let spec = default_cluster(home.path());
    let (model, wire, provider) = on_model();
    wire.faults(|form| if form["Action"] == "CreateVpc" { Fault::Refuse(403, "UnauthorizedOperation") } else { Fault::None });
    let (what, hint) = parts(provider.apply(&spec, &Events::none()).await.unwrap_err());
    assert!(what.starts_with("create vpc vpc: CreateVpc:"), "{what}");
    assert!(hint.contains("ec2:CreateVpc") && hint.contains("iam-policy.json"), "{hint}");
    let calls = wire.take_log().iter().filter(|f| f["Action"] == "CreateVpc").count();
    assert_eq!(calls, 1, "a permission does not come by asking again");
    assert!(model.alive().iter().all(|r| !r.starts_with("subnet") && !r.starts_with("instance")));
}

#[tokio::test]
async fn expired_credentials_stop_before_anything_is_made() {
    let home = tempfile::tempdir().unwrap();
    let spec = default_cluster(home.path());
    let (model, wire, provider) = on_model();
    wire.faults(|_| Fault::Refuse(400, "ExpiredToken"));
    let (what, hint) = parts(provider.apply(&spec, &Events::none()).await.unwrap_err());
    assert!(what.contains("ExpiredToken") && hint.contains("sign in again"), "{what} / {hint}");
    assert!(model.alive().is_empty());
}

/// A chain that finds nothing, as on a machine without AWS.
#[derive(Debug)]
struct Nobody;

impl aws_sdk_ec2::config::ProvideCredentials for Nobody {
    fn provide_credentials<'a>(&'a self) -> aws_credential_types::provider::future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        let error = aws_credential_types::provider::error::CredentialsError::not_loaded("no providers in chain provided credentials");
        aws_credential_types::provider::future::ProvideCredentials::ready(Err(error))
    }
}

#[tokio::test]
async fn without_credentials_it_says_so_at_once() {
    let home = tempfile::tempdir().unwrap();
    let spec = default_cluster(home.path());
    let (model, wire, _) = on_model();
    let config = wire
        .config("http://ec2.test")
        .into_builder()
        .credentials_provider(aws_sdk_ec2::config::SharedCredentialsProvider::new(Nobody))
        .build();
    let provider = Aws::with_config(&config, Patience::default());
    let begun = std::time::Instant::now();
    let (what, hint) = parts(provider.plan(&spec).await.unwrap_err());
    assert!(begun.elapsed().as_secs() < 5, "it is not tried again");
    assert!(what.contains("credentials") && hint.contains("AWS_PROFILE"), "{what} / {hint}");
    assert!(model.alive().is_empty());
}

#[tokio::test]
async fn a_region_that_does_not_exist_is_said_at_once() {
    let home = tempfile::tempdir().unwrap();
    let mut spec = default_cluster(home.path());
    aws(&mut spec).endpoint = Some("http://ec2.nowhere-1.invalid".into());
    let (_, wire, _) = on_model();
    let config = wire.config("http://ec2.nowhere-1.invalid").into_builder();
    let http = aws_smithy_http_client::Builder::new().build_http();
    let provider = Aws::with_config(&config.http_client(http).build(), Patience::default());
    let (what, hint) = parts(provider.plan(&spec).await.unwrap_err());
    assert!(what.contains("dns error") && hint.contains("is aws.region a region"), "{what} / {hint}");
}

#[tokio::test]
async fn a_quota_is_said_with_what_was_made() {
    let home = tempfile::tempdir().unwrap();
    let spec = default_cluster(home.path());
    let (_, wire, provider) = on_model();
    wire.faults(|form| if form["Action"] == "RunInstances" { Fault::Refuse(400, "VcpuLimitExceeded") } else { Fault::None });
    let (what, hint) = parts(provider.apply(&spec, &Events::none()).await.unwrap_err());
    assert!(what.contains("VcpuLimitExceeded") && hint.contains("quota"), "{what} / {hint}");
    for made in [", vpc;", "subnet/private-3", "security-group/worker", "kubewright destroy"] {
        assert!(hint.contains(made), "{made}: {hint}");
    }
}

#[tokio::test]
async fn a_full_zone_leads_to_the_next_one_and_a_full_region_is_said() {
    let home = tempfile::tempdir().unwrap();
    let spec = default_cluster(home.path());
    let (model, _, provider) = on_model();
    model.lock().full_zones.insert("eu-central-1b".into());
    let (events, mut heard) = Events::channel();
    let made = provider.apply(&spec, &events).await.unwrap();
    assert_eq!(made.machines.len(), 4);
    assert!(made.machines.iter().all(|m| m.zone.as_deref() != Some("eu-central-1b")));
    drop(events);
    let mut warned = false;
    while let Some(event) = heard.recv().await {
        warned |= matches!(event.kind, kubewright::event::Kind::Warning { message } if message.contains("worker-2 went to"));
    }
    assert!(warned);
    assert!(provider.plan(&spec).await.unwrap().is_empty(), "where it went is accepted");

    let (model, _, provider) = on_model();
    model.lock().full_zones.extend(["a", "b", "c"].map(|z| format!("eu-central-1{z}")));
    let (what, hint) = parts(provider.apply(&spec, &Events::none()).await.unwrap_err());
    assert!(what.contains("InsufficientInstanceCapacity") && what.contains("tried"), "{what}");
    assert!(hint.contains("another instance type"), "{hint}");
}

#[tokio::test]
async fn what_cannot_be_changed_in_place_is_refused_all_at_once() {
    let home = tempfile::tempdir().unwrap();
    let mut spec = default_cluster(home.path());
    let (_, wire, provider) = on_model();
    provider.apply(&spec, &Events::none()).await.unwrap();
    wire.take_log();
    spec.pools[0].instance_type = "t3.large".into();
    spec.control_plane.spot = true;
    spec.network.vpc = "10.0.0.0/15".parse().unwrap();
    let (what, _) = parts(provider.apply(&spec, &Events::none()).await.unwrap_err());
    for part in ["worker-3: its type t3.small cannot become t3.large", "control-plane-1: its market", "vpc vpc-", "node replace worker-1"] {
        assert!(what.contains(part), "{part}: {what}");
    }
    assert!(wire.take_log().iter().all(|f| !changes(f)));
}

#[tokio::test]
async fn bad_input_is_named_before_anything_is_made() {
    let home = tempfile::tempdir().unwrap();
    let spec = default_cluster(home.path());
    let (model, _, provider) = on_model();
    let mut unknown_type = spec.clone();
    unknown_type.pools[0].instance_type = "x9.huge".into();
    let mut unknown_image = spec.clone();
    aws(&mut unknown_image).ami = Some("ami-nowhere".into());
    let mut wrong_image = spec.clone();
    aws(&mut wrong_image).ami = Some("ami-0arm".into());
    let mut wrong_zone = spec.clone();
    aws(&mut wrong_zone).zones = vec!["eu-central-1x".into()];
    let mut protected = spec.clone();
    protected.protected = true;
    for (spec, part) in [
        (unknown_type, "no instance type x9.huge"),
        (unknown_image, "ami-nowhere"),
        (wrong_image, "another architecture"),
        (wrong_zone, "zone eu-central-1x"),
    ] {
        let (what, _) = parts(provider.apply(&spec, &Events::none()).await.unwrap_err());
        assert!(what.contains(part), "{part}: {what}");
    }
    let (what, _) = parts(provider.destroy(&protected, Volumes::Delete, &Events::none()).await.unwrap_err());
    assert!(what.contains("protected"), "{what}");
    assert!(model.alive().is_empty());
}

#[tokio::test]
async fn another_key_with_the_same_name_is_refused() {
    let (home, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let spec = default_cluster(home.path());
    let (_, wire, provider) = on_model();
    provider.apply(&spec, &Events::none()).await.unwrap();
    wire.take_log();
    let elsewhere = default_cluster(other.path());
    let (what, _) = parts(provider.plan(&elsewhere).await.unwrap_err());
    assert!(what.contains("does not exist: copy that key here"), "{what}");
    assert!(!other.path().join("id_ed25519").exists());

    // A key file that is there, and is another one: both fingerprints are told.
    let (_, _, anothers) = on_model();
    anothers.apply(&elsewhere, &Events::none()).await.unwrap();
    let (what, _) = parts(provider.plan(&elsewhere).await.unwrap_err());
    let own = kubewright::infra::operator_key::public_keys(&elsewhere).await.unwrap().unwrap();
    let own = kubewright::infra::aws::fingerprint(&own[0]);
    assert!(what.contains("use the key that the machines were made with") && what.contains(&own), "{what}");
    assert!(wire.take_log().iter().all(|f| !changes(f)), "nothing is touched");
}

#[tokio::test]
async fn a_plan_that_is_out_of_date_is_not_carried_out() {
    let home = tempfile::tempdir().unwrap();
    let spec = default_cluster(home.path());
    let (model, _, provider) = on_model();
    let planned = provider.plan(&spec).await.unwrap();
    provider.apply(&spec, &Events::none()).await.unwrap();
    model
        .lock()
        .all
        .retain(|_, r| r.tags.get("kubewright.dev/resource").is_none_or(|k| k != "rule/worker/etcd" && k != "rule/control-plane/etcd"));
    let (what, _) = parts(provider.apply_planned(&spec, &planned, &Events::none()).await.unwrap_err());
    assert!(what.contains("changed since the plan"), "{what}");
}

#[tokio::test]
async fn protection_is_on_the_machines_and_comes_off_before_destroy() {
    let home = tempfile::tempdir().unwrap();
    let mut spec = default_cluster(home.path());
    spec.protected = true;
    let (model, _, provider) = on_model();
    provider.apply(&spec, &Events::none()).await.unwrap();
    spec.protected = false;
    assert_eq!(provider.plan(&spec).await.unwrap().len(), 4);
    provider.destroy(&spec, Volumes::Delete, &Events::none()).await.unwrap();
    assert!(model.alive().is_empty());
}
