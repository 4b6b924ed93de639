//! The specification's types, after defaults and validation. Plain data; no I/O, no secrets.

use indexmap::IndexMap;
use ipnet::Ipv4Net;
use serde::Serialize;
use std::{net::Ipv4Addr, path::PathBuf, time::Duration};

/// A whole cluster, valid and with every default filled in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClusterSpec {
    /// Its name: a DNS label of at most 40 characters. Tags, labels and the API's name are made from it.
    pub name: String,
    /// Where machines come from.
    pub provider: Provider,
    /// Address ranges.
    pub network: Network,
    /// Kubernetes itself.
    pub kubernetes: Kubernetes,
    /// The control planes' pool (its name is `control-plane`).
    pub control_plane: Pool,
    /// Worker pools, in the order they were written.
    pub pools: Vec<Pool>,
    /// How machines and API are reached.
    pub access: Access,
    /// Name resolution of the nodes.
    pub dns: Dns,
    /// Optional parts.
    pub addons: Addons,
    /// Scheduled snapshots of etcd; `None`: there are none.
    pub backup: Option<Backup>,
    /// Registries that want credentials, or that stand elsewhere than their name says.
    pub registries: Vec<Registry>,
    /// Tags or labels on everything that is made, besides our own.
    pub tags: IndexMap<String, String>,
    /// `destroy` refuses while this is set.
    pub protected: bool,
    /// The directory of `cluster.yaml`: relative paths in it start here.
    #[serde(skip)]
    pub directory: PathBuf,
}

/// Where machines come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[expect(clippy::large_enum_variant, reason = "a run has one of these")]
pub enum Provider {
    /// Containers shaped like EC2 instances.
    Lab(LabSettings),
    /// EC2.
    Aws(AwsSettings),
    /// Machines that exist already, named in `hosts`.
    Static(Vec<StaticHost>),
}

/// Settings of the lab.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LabSettings {
    /// Docker's endpoint; `None`: `DOCKER_HOST` or the usual socket.
    pub docker: Option<String>,
    /// Base image of the nodes where a registry can be reached, `debian:12` by default; else it is built with mmdebstrap.
    pub image: String,
    /// Whether systemd-resolved runs in the nodes, as on Ubuntu.
    pub resolved: bool,
}

/// Settings of EC2.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AwsSettings {
    /// Region, for example `eu-central-1`.
    pub region: String,
    /// Profile of the shared configuration; `None`: the standard chain.
    pub profile: Option<String>,
    /// An API endpoint instead of the region's own (tests).
    pub endpoint: Option<String>,
    /// Zones to use; empty: those that offer the types, in alphabetical order.
    pub zones: Vec<String>,
    /// A pinned image; `None`: the newest Ubuntu 24.04 LTS by Canonical.
    pub ami: Option<String>,
    /// One NAT gateway per zone instead of one.
    pub nat_per_zone: bool,
    /// Things that exist already, to be used and never deleted.
    pub existing: AwsExisting,
    /// The cloud controller manager and the EBS CSI driver.
    pub cloud_controller: bool,
}

/// Existing things to use instead of creating them; never deleted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct AwsExisting {
    /// `vpc-…`
    pub vpc: Option<String>,
    /// `subnet-…` of the control planes.
    pub public_subnet: Option<String>,
    /// `subnet-…` of the workers.
    pub private_subnets: Vec<String>,
    /// `sg-…` of the control planes.
    pub control_plane_security_group: Option<String>,
    /// `sg-…` of the workers.
    pub worker_security_group: Option<String>,
    /// Name of an instance profile.
    pub instance_profile: Option<String>,
    /// Name of the control planes' own instance profile; `None`: `instance_profile`.
    pub control_plane_instance_profile: Option<String>,
    /// Name of a key pair.
    pub key_pair: Option<String>,
}

/// A machine that exists already.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StaticHost {
    /// Node name.
    pub name: String,
    /// Where SSH is.
    pub address: String,
    /// SSH port.
    pub port: u16,
    /// `control-plane` or the name of a pool.
    pub pool: String,
    /// Private address, where `address` is not it.
    pub private_address: Option<Ipv4Addr>,
    /// Name of the host that SSH jumps through.
    pub jump: Option<String>,
    /// The host's public key in OpenSSH's form; `None`: known_hosts must have it.
    pub host_key: Option<String>,
}

/// Address ranges. They do not overlap.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Network {
    /// The machines' range.
    pub vpc: Ipv4Net,
    /// Subnet with a public address and the internet gateway.
    pub public_subnet: Ipv4Net,
    /// Subnets without public addresses, routed through NAT.
    pub private_subnets: Vec<Ipv4Net>,
    /// Pods' range (`podSubnet`).
    pub pods: Ipv4Net,
    /// Services' range (`serviceSubnet`).
    pub services: Ipv4Net,
    /// UDP port of Flannel's VXLAN.
    pub vxlan_port: u16,
}

/// Kubernetes itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Kubernetes {
    /// Exact version without `v`: `1.36.3`.
    pub version: String,
    /// containerd's major version, 1 or 2.
    pub containerd: u8,
    /// An apt repository instead of the official one.
    pub package_repository: Option<PackageRepository>,
    /// A registry that mirrors registry.k8s.io and ghcr.io, `host:port`.
    pub image_registry: Option<String>,
    /// Additional names and addresses in the API server's certificate.
    pub api_sans: Vec<String>,
    /// Life of a join token.
    #[serde(serialize_with = "as_seconds")]
    pub token_ttl: Duration,
}

/// An apt repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PackageRepository {
    /// `http://…/` of a flat repository (`./`).
    pub url: String,
    /// URL of its armoured key.
    pub key_url: String,
}

/// Machines of one kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Pool {
    /// A DNS label. Node names are `NAME-1`, `NAME-2`, …
    pub name: String,
    /// How many.
    pub count: u32,
    /// EC2 instance type; the lab gives its containers the same CPU and memory.
    #[serde(rename = "type")]
    pub instance_type: String,
    /// Subnets, used in turn.
    pub subnets: Vec<Ipv4Net>,
    /// Private addresses, one per machine; those that are missing are assigned.
    pub addresses: Vec<Ipv4Addr>,
    /// Node labels.
    pub labels: IndexMap<String, String>,
    /// Node taints, `key=value:Effect`.
    pub taints: Vec<String>,
    /// Root volume, GiB.
    pub volume_gib: u32,
    /// Spot instances.
    pub spot: bool,
}

/// How machines and API are reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Access {
    /// Login user.
    pub user: String,
    /// Private key file of the operator, made once if it is missing; `None`: the agent.
    pub key: Option<PathBuf>,
    /// Ranges that may use SSH to the control plane; empty with `ssh_from_auto`: the operator's address.
    pub ssh_from: Vec<Ipv4Net>,
    /// Find the operator's address and allow that.
    pub ssh_from_auto: bool,
    /// Ranges that may use the API on 6443; empty: through the SSH tunnel only.
    pub api_from: Vec<Ipv4Net>,
    /// A load balancer or virtual address that exists already and leads to port 6443 of all control planes (`static` only).
    pub api_address: Option<Ipv4Addr>,
}

/// Name resolution of the nodes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Dns {
    /// Servers to set; empty: what the machine has is kept.
    pub servers: Vec<Ipv4Addr>,
}

/// Optional parts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Addons {
    /// metrics-server, with approved serving certificates.
    pub metrics_server: bool,
}

/// A registry of images.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Registry {
    /// As images name it, with a port where they have one: `ghcr.io`, `registry.example.com:5000`.
    pub host: String,
    /// Where it really is, `http://…` or `https://…`; `None`: where its name says.
    pub endpoint: Option<String>,
    /// Who pulls, and the file that holds the password or token and nothing else; `None`: anybody may.
    pub login: Option<RegistryLogin>,
}

/// Who pulls from a registry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RegistryLogin {
    /// User.
    pub username: String,
    /// Password file.
    pub password_file: PathBuf,
}

/// Scheduled snapshots of etcd, taken on every control plane and encrypted there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Backup {
    /// Public keys (`age1…`, `ssh-ed25519 …`) that can read them. Their private halves should not live on one laptop only.
    pub recipients: Vec<String>,
    /// Time between two.
    #[serde(serialize_with = "as_seconds")]
    pub every: Duration,
    /// How many each control plane keeps.
    pub keep: u32,
    /// How long one may take before it is stopped.
    #[serde(serialize_with = "as_seconds")]
    pub timeout: Duration,
    /// How much of what was written may be lost: `every` and `timeout` together are not more.
    #[serde(serialize_with = "as_seconds")]
    pub rpo: Duration,
    /// Where copies go besides each control plane's own disk.
    pub to: Option<S3Target>,
    /// A second place, in another region.
    pub copy_to: Option<S3Target>,
    /// File with the keys of a user that may PutObject and nothing else; `None`: the machine's own role.
    pub credentials: Option<PathBuf>,
}

/// A place in S3.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct S3Target {
    /// Bucket.
    pub bucket: String,
    /// What object names begin with, without slashes at the ends; may be empty.
    pub prefix: String,
    /// Region.
    pub region: String,
    /// An endpoint instead of the region's own: S3 by somebody else, or tests.
    pub endpoint: Option<String>,
}

/// CPU and memory of an EC2 instance type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InstanceShape {
    /// vCPUs.
    pub vcpus: u32,
    /// Memory in MiB.
    pub memory_mib: u64,
}

impl S3Target {
    /// The URL that object names follow: the bucket as a host in AWS, as a directory at other endpoints.
    pub fn url(&self) -> String {
        let base = match &self.endpoint {
            Some(endpoint) => format!("{}/{}", endpoint.trim_end_matches('/'), self.bucket),
            None => format!("https://{}.s3.{}.amazonaws.com", self.bucket, self.region),
        };
        if self.prefix.is_empty() { format!("{base}/") } else { format!("{base}/{}/", self.prefix) }
    }

    /// From `s3://BUCKET/PREFIX`; `None`: that is something else.
    pub fn parse(text: &str, region: &str, endpoint: Option<String>) -> Option<Self> {
        let (bucket, prefix) = text.strip_prefix("s3://").map(|rest| rest.split_once('/').unwrap_or((rest, "")))?;
        let prefix = prefix.trim_matches('/').to_owned();
        (!bucket.is_empty()).then(|| Self { bucket: bucket.to_owned(), prefix, region: region.to_owned(), endpoint })
    }
}

fn as_seconds<S: serde::Serializer>(d: &Duration, s: S) -> Result<S::Ok, S::Error> {
    s.serialize_u64(d.as_secs())
}
