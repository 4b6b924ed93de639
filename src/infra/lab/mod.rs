//! The lab: containers shaped like EC2 instances, on Docker. Same subnets, security groups, user data, host keys and first
//! boot as on EC2, so that a playbook meets here what it meets there.
//!
//! What a cluster has is found by label ([`labels`]); nothing about it is kept elsewhere. What is expensive to make (node
//! image, packages, images) lies in the cache, named by a hash of what it is made from.

mod archive;
mod artefacts;
mod balancer;
mod bare;
mod cache;
#[cfg(feature = "testing")]
pub mod cloud;
mod docker;
mod health;
mod host;
mod image;
pub mod labels;
mod lock;
mod machine;
mod mirror;
mod network;
pub mod nft;
mod provider;
mod script;

pub use bare::node_image;
pub use provider::Lab;
