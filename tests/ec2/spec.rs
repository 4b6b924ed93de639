//! The clusters that the tests want.

use kubewright::spec::{Access, Addons, AwsExisting, AwsSettings, ClusterSpec, Dns, Kubernetes, Network, Pool, Provider};
use std::{path::Path, time::Duration};

/// The default cluster of inventories/dev: one control plane, three workers, each in its own private subnet.
pub fn default_cluster(directory: &Path) -> ClusterSpec {
    let private: Vec<ipnet::Ipv4Net> = ["10.0.1.0/24", "10.0.2.0/24", "10.0.3.0/24"].iter().map(|s| s.parse().unwrap()).collect();
    let public: ipnet::Ipv4Net = "10.0.0.0/24".parse().unwrap();
    ClusterSpec {
        name: "dev".into(),
        provider: Provider::Aws(AwsSettings {
            region: "eu-central-1".into(),
            profile: None,
            endpoint: None,
            zones: vec![],
            ami: None,
            nat_per_zone: false,
            existing: AwsExisting::default(),
            cloud_controller: false,
        }),
        network: Network {
            vpc: "10.0.0.0/16".parse().unwrap(),
            public_subnet: public,
            private_subnets: private.clone(),
            pods: "10.244.0.0/16".parse().unwrap(),
            services: "10.96.0.0/12".parse().unwrap(),
            vxlan_port: 4789,
        },
        kubernetes: Kubernetes {
            version: "1.36.3".into(),
            containerd: 2,
            package_repository: None,
            image_registry: None,
            api_sans: vec![],
            token_ttl: Duration::from_mins(15),
        },
        control_plane: Pool { addresses: vec!["10.0.0.10".parse().unwrap()], ..pool("control-plane", 1, "t3.medium", vec![public]) },
        pools: vec![Pool {
            addresses: ["10.0.1.10", "10.0.2.10", "10.0.3.10"].iter().map(|a| a.parse().unwrap()).collect(),
            ..pool("worker", 3, "t3.small", private)
        }],
        access: Access {
            user: "ubuntu".into(),
            key: Some("id_ed25519".into()),
            ssh_from: vec!["203.0.113.7/32".parse().unwrap()],
            ssh_from_auto: false,
            api_from: vec![],
            api_address: None,
        },
        dns: Dns::default(),
        addons: Addons::default(),
        backup: None,
        registries: Vec::new(),
        tags: [("owner".to_owned(), "platform".to_owned())].into_iter().collect(),
        protected: false,
        directory: directory.to_owned(),
    }
}

/// The same with three control planes, so with a load balancer.
pub fn three_control_planes(directory: &Path) -> ClusterSpec {
    let mut spec = default_cluster(directory);
    spec.control_plane.count = 3;
    spec.control_plane.addresses = ["10.0.0.10", "10.0.0.20", "10.0.0.30"].iter().map(|a| a.parse().unwrap()).collect();
    spec
}

/// A pool with the usual volume.
pub fn pool(name: &str, count: u32, kind: &str, subnets: Vec<ipnet::Ipv4Net>) -> Pool {
    Pool {
        name: name.into(),
        count,
        instance_type: kind.into(),
        subnets,
        addresses: vec![],
        labels: indexmap::IndexMap::default(),
        taints: vec![],
        volume_gib: 30,
        spot: false,
    }
}

/// The EC2 part of a spec, to change it.
pub fn aws(spec: &mut ClusterSpec) -> &mut AwsSettings {
    match &mut spec.provider {
        Provider::Aws(settings) => settings,
        _ => unreachable!("the specs here are on EC2"),
    }
}
