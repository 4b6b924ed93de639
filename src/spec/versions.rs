//! Which Kubernetes goes with what: the matrix, as data, with dates. The one file to edit for a new release.
//!
//! Image tags are those of `cmd/kubeadm/app/constants/constants.go` at the patch that `images_of` names; a later patch may
//! ask for a newer etcd or CoreDNS, so `kubeadm config images list` on the machine has the last word. Patch releases: kind
//! v0.33.0's node images (1.34.11, 1.35.8, 1.36.4), Kubernetes 1.36.5 of September 2026. The need for containerd 2 from 1.36 on: kubelet 1.35 is the last that
//! supports containerd 1.x (Kubernetes 1.35 release notes, KEP-4033).

/// The day on which this table was last compared with the releases.
pub const MATRIX_DATE: &str = "2026-11-21";

/// What a new cluster gets.
pub const DEFAULT_VERSION: &str = "1.36.3";

/// One minor release of Kubernetes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Release {
    /// `1.36`.
    pub minor: &'static str,
    /// Known patch releases in order, exact: `1.36.3`.
    pub known: &'static [&'static str],
    /// Lowest major version of containerd that its kubelet works with.
    pub containerd_min: u8,
    /// The patch whose image tags these are.
    pub images_of: &'static str,
    /// Tag of `registry.k8s.io/pause`.
    pub pause: &'static str,
    /// Tag of `registry.k8s.io/etcd`.
    pub etcd: &'static str,
    /// Tag of `registry.k8s.io/coredns/coredns`.
    pub coredns: &'static str,
}

/// Oldest first.
static RELEASES: &[Release] = &[
    Release {
        minor: "1.34",
        known: &["1.34.0", "1.34.1", "1.34.2", "1.34.3", "1.34.4", "1.34.5", "1.34.6", "1.34.7", "1.34.8", "1.34.9", "1.34.10", "1.34.11"],
        containerd_min: 1,
        images_of: "1.34.4",
        pause: "3.10.1",
        etcd: "3.6.5-0",
        coredns: "v1.12.1",
    },
    Release {
        minor: "1.35",
        known: &["1.35.0", "1.35.1", "1.35.2", "1.35.3", "1.35.4", "1.35.5", "1.35.6", "1.35.7", "1.35.8"],
        containerd_min: 1,
        images_of: "1.35.4",
        pause: "3.10.1",
        etcd: "3.6.6-0",
        coredns: "v1.13.1",
    },
    Release {
        minor: "1.36",
        known: &["1.36.0", "1.36.1", "1.36.2", "1.36.3", "1.36.4", "1.36.5"],
        containerd_min: 2,
        images_of: "1.36.3",
        pause: "3.10.2",
        etcd: "3.6.8-0",
        coredns: "v1.14.2",
    },
];

/// All supported minor releases, oldest first.
pub fn releases() -> &'static [Release] {
    RELEASES
}

/// The release that a version such as `1.36.3` (or `v1.36.3`) belongs to, whether or not that patch is known.
pub fn release(version: &str) -> Option<&'static Release> {
    let version = version.trim_start_matches('v');
    let minor = version.rsplit_once('.').map_or(version, |(minor, _)| minor);
    RELEASES.iter().find(|r| r.minor == minor)
}

/// The image tags of a version; the newest release's for one that is not in the table (a valid specification has none such).
pub fn image_versions(version: &str) -> &'static Release {
    release(version).unwrap_or(&RELEASES[RELEASES.len() - 1])
}

#[cfg(test)]
mod tests {
    use super::{DEFAULT_VERSION, release, releases};

    #[test]
    fn the_default_is_known_and_patches_belong_to_their_minor() {
        assert!(release(DEFAULT_VERSION).is_some_and(|r| r.known.contains(&DEFAULT_VERSION)));
        for r in releases() {
            assert!(r.known.iter().all(|v| release(v) == Some(r)), "{r:?}");
        }
        assert_eq!(release("1.12.0"), None);
        assert_eq!(release("v1.35.4").map(|r| r.minor), Some("1.35"));
    }
}
