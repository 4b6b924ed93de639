//! Boots a lab machine for every instance that the EC2 endpoint reports, and removes it when the instance is terminated.

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_ec2::{
    Client,
    config::{Credentials, SharedCredentialsProvider},
    types::{Filter, Instance, InstanceAttributeName, InstanceStateName},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use kubewright::{
    event::Events,
    infra::{
        Provider as _,
        lab::{Lab, cloud},
    },
    spec::ClusterSpec,
};
use std::{collections::BTreeSet, time::Duration};
use tokio_util::sync::CancellationToken;

/// The SDK's configuration for the endpoint.
pub fn config(endpoint: &str) -> SdkConfig {
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-central-1"))
        .endpoint_url(endpoint)
        .credentials_provider(SharedCredentialsProvider::new(Credentials::for_tests()))
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .build()
}

/// What a hypervisor does: machines follow instances, until it is stopped.
pub async fn follow(endpoint: String, lab: Lab, spec: ClusterSpec, stop: CancellationToken) {
    let ec2 = Client::new(&config(&endpoint));
    let mut booted: BTreeSet<String> = BTreeSet::new();
    while !stop.is_cancelled() {
        for instance in instances(&ec2).await {
            let id = instance.instance_id().unwrap_or_default().to_owned();
            match instance.state().and_then(|s| s.name()) {
                Some(InstanceStateName::Running) if !booted.contains(&id) => {
                    if let Some(described) = describe(&ec2, &instance).await {
                        lab.boot(&spec, &described, &Events::none()).await.unwrap_or_else(|e| panic!("{id}: {e}"));
                        booted.insert(id);
                    }
                }
                Some(InstanceStateName::Terminated) if booted.remove(&id) => {
                    let machines = lab.discover(&spec).await.unwrap().machines;
                    if let Some(machine) = machines.iter().find(|m| m.name == tag(&instance, "node")) {
                        lab.delete_machine(&spec, machine, &Events::none()).await.unwrap();
                    }
                }
                _ => {}
            }
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn instances(ec2: &Client) -> Vec<Instance> {
    let found = ec2.describe_instances().send().await.unwrap();
    found.reservations.unwrap_or_default().into_iter().flat_map(|r| r.instances.unwrap_or_default()).collect()
}

fn tag(instance: &Instance, name: &str) -> String {
    let key = format!("kubewright.dev/{name}");
    let found = instance.tags().iter().find(|t| t.key() == Some(&key)).and_then(|t| t.value());
    found.unwrap_or_default().to_owned()
}

/// What the endpoint says about an instance; `None` while a control plane has no Elastic IP: its port is published there.
async fn describe(ec2: &Client, instance: &Instance) -> Option<cloud::Instance> {
    let id = instance.instance_id().unwrap();
    let control_plane = tag(instance, "role") == "control-plane";
    let filter = Filter::builder().name("instance-id").values(id).build();
    let addresses = ec2.describe_addresses().filters(filter).send().await.unwrap();
    let public = addresses.addresses().iter().find_map(|a| a.public_ip()?.parse::<std::net::IpAddr>().ok());
    if control_plane && public.is_none() {
        return None;
    }
    // moto takes its public addresses from 127.0.0.0/8; nothing else may ever be dialled.
    assert!(public.is_none_or(|ip| ip.is_loopback()), "{public:?} is not on this machine");
    let data = ec2.describe_instance_attribute().instance_id(id).attribute(InstanceAttributeName::UserData).send().await.unwrap();
    let data = data.user_data.and_then(|d| d.value).expect("every instance has user data");
    let key = instance.key_name().expect("every instance has a key pair");
    let pairs = ec2.describe_key_pairs().key_names(key).include_public_key(true).send().await.unwrap();
    Some(cloud::Instance {
        id: id.to_owned(),
        node: tag(instance, "node"),
        user_data: String::from_utf8(BASE64_STANDARD.decode(data).unwrap()).unwrap(),
        public_keys: pairs.key_pairs().iter().filter_map(|k| k.public_key().map(str::to_owned)).collect(),
        public_address: public,
    })
}
