//! The steps of an operation on a node, as data: shown by `--dry-run`, carried out by `run.rs`.

/// One step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// No new pods come to it.
    Cordon,
    /// Its pods go, as their budgets allow; so many of them.
    Drain(usize),
    /// Its member leaves etcd.
    Leave,
    /// Kubernetes is taken off the host.
    Reset,
    /// The provider deletes the machine: its id.
    Terminate(String),
    /// Its Node is deleted, and what is left of its pods.
    Forget,
    /// Join tokens and pending certificate requests of it go.
    Revoke,
    /// The provider makes a new machine.
    Make,
    /// Packages, kubeadm join, labels and taints.
    Join,
    /// The new node is Ready, and its network and proxy run.
    Check,
    /// It takes pods.
    Uncordon,
}

impl Step {
    /// Part of its id in events.
    pub fn key(&self) -> &'static str {
        match self {
            Self::Cordon => "cordon",
            Self::Drain(_) => "drain",
            Self::Leave => "leave",
            Self::Reset => "reset",
            Self::Terminate(_) => "terminate",
            Self::Forget => "forget",
            Self::Revoke => "revoke",
            Self::Make => "make",
            Self::Join => "join",
            Self::Check => "check",
            Self::Uncordon => "uncordon",
        }
    }

    /// For people.
    pub fn title(&self) -> String {
        match self {
            Self::Cordon => "cordon: no new pods".to_owned(),
            Self::Drain(1) => "drain: 1 pod goes".to_owned(),
            Self::Drain(pods) => format!("drain: {pods} pods go"),
            Self::Leave => "its member leaves etcd".to_owned(),
            Self::Reset => "reset: Kubernetes is taken off the host".to_owned(),
            Self::Terminate(id) => format!("delete the machine ({})", id.get(..19).unwrap_or(id)),
            Self::Forget => "delete its Node, and what is left of its pods".to_owned(),
            Self::Revoke => "revoke its join tokens and pending certificate requests".to_owned(),
            Self::Make => "make a new machine".to_owned(),
            Self::Join => "install and join".to_owned(),
            Self::Check => "check that it is Ready and has its network".to_owned(),
            Self::Uncordon => "uncordon: pods may come".to_owned(),
        }
    }

    /// After it nothing is as it was before: a failure or a stop no longer opens the node again.
    pub fn is_final(&self) -> bool {
        !matches!(self, Self::Cordon | Self::Drain(_) | Self::Uncordon)
    }
}
