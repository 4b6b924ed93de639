//! Labels on everything that the lab makes: the truth that discovery reads.

/// The cluster's name.
pub const CLUSTER: &str = "kubewright.dev/cluster";
/// What a container is: [`ROLE_NODE`], [`ROLE_MIRROR`], [`ROLE_BALANCER`] or [`ROLE_LOCK`].
pub const ROLE: &str = "kubewright.dev/role";
/// The node's name.
pub const NODE: &str = "kubewright.dev/node";
/// The node's pool.
pub const POOL: &str = "kubewright.dev/pool";
/// The node's instance type.
pub const TYPE: &str = "kubewright.dev/instance-type";
/// The node's private address.
pub const ADDRESS: &str = "kubewright.dev/address";
/// The login user.
pub const USER: &str = "kubewright.dev/user";
/// The machine's public host key.
pub const HOST_KEY: &str = "kubewright.dev/host-key";
/// Hash of what the machine was made from.
pub const SPEC_HASH: &str = "kubewright.dev/spec-hash";
/// What the mirror serves: [`SERVES_ALL`] or [`SERVES_OURS`].
pub const SERVES: &str = "kubewright.dev/serves";
/// Packages and all images.
pub const SERVES_ALL: &str = "all";
/// Our own images only; the official sources have the rest.
pub const SERVES_OURS: &str = "ours";

/// Who holds a lock, as JSON.
pub const HOLDER: &str = "kubewright.dev/holder";

/// A node.
pub const ROLE_NODE: &str = "node";
/// The package and image mirror.
pub const ROLE_MIRROR: &str = "mirror";
/// The load balancer before several control planes.
pub const ROLE_BALANCER: &str = "balancer";
/// The cluster's lock.
pub const ROLE_LOCK: &str = "lock";
