//! Tags are the only state: what is ours, what it is for, and who its host is.

use aws_sdk_ec2::types::{Filter, ResourceType, Tag, TagSpecification};
use std::collections::BTreeMap;

/// The tag that owns: its value is the cluster's name.
pub const CLUSTER: &str = "kubewright.dev/cluster";
/// What it is in the cluster: a [`super::plan::Key`].
pub const RESOURCE: &str = "kubewright.dev/resource";
/// `control-plane` or `worker`.
pub const ROLE: &str = "kubewright.dev/role";
/// The pool's name.
pub const POOL: &str = "kubewright.dev/pool";
/// The node's name.
pub const NODE: &str = "kubewright.dev/node";
/// Hash of the settings that an instance is made from.
pub const SPEC_HASH: &str = "kubewright.dev/spec-hash";
/// The host's public key, in OpenSSH's one-line form.
pub const HOST_KEY: &str = "kubewright.dev/host-key";
/// Set while [`HOST_KEY`] is the one-time key of the user data.
pub const HOST_KEY_ONCE: &str = "kubewright.dev/host-key-once";
/// A host key that is being rotated in.
pub const HOST_KEY_PENDING: &str = "kubewright.dev/host-key-pending";
/// Set while instances are protected against termination.
pub const PROTECTED: &str = "kubewright.dev/protected";

/// The lock of a cluster; its value is the cluster's name. It does not carry [`CLUSTER`]: no plan and no destroy takes it.
pub const LOCK: &str = "kubewright.dev/lock";

/// Tags as a map.
pub type Tags = BTreeMap<String, String>;

/// Reads EC2's list.
pub fn read(tags: Option<&[Tag]>) -> Tags {
    tags.unwrap_or_default().iter().filter_map(|t| Some((t.key()?.to_owned(), t.value().unwrap_or_default().to_owned()))).collect()
}

/// Writes EC2's list.
pub fn write(tags: &Tags) -> Vec<Tag> {
    tags.iter().map(|(k, v)| Tag::builder().key(k).value(v).build()).collect()
}

/// Writes the list of Elastic Load Balancing.
pub fn write_elb(tags: &Tags) -> Vec<aws_sdk_elasticloadbalancingv2::types::Tag> {
    tags.iter().map(|(k, v)| aws_sdk_elasticloadbalancingv2::types::Tag::builder().key(k).value(v).build()).collect()
}

/// Tags for something that is about to be created.
pub fn at_creation(kind: ResourceType, tags: &Tags) -> TagSpecification {
    TagSpecification::builder().resource_type(kind).set_tags(Some(write(tags))).build()
}

/// The filter that finds what belongs to `cluster`.
pub fn of_cluster(cluster: &str) -> Filter {
    Filter::builder().name(format!("tag:{CLUSTER}")).values(cluster).build()
}

/// `have` lacks or contradicts these of `want`.
pub fn missing(want: &Tags, have: &Tags) -> Tags {
    want.iter().filter(|(k, v)| have.get(*k) != Some(v)).map(|(k, v)| (k.clone(), v.clone())).collect()
}
