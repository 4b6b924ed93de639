//! CPU and memory of EC2 instance types. The lab gives its containers the same.
//!
//! Source: EC2 `DescribeInstanceTypes`, vCPU and memory columns, as of 2026-11; these do not change for a type.

use super::InstanceShape;

/// Burstable types are listed one by one: (size, vCPUs, MiB).
const BURSTABLE: &[(&str, u32, u64)] = &[
    ("nano", 2, 512),
    ("micro", 2, 1024),
    ("small", 2, 2048),
    ("medium", 2, 4096),
    ("large", 2, 8192),
    ("xlarge", 4, 16384),
    ("2xlarge", 8, 32768),
];
const BURSTABLE_FAMILIES: &[&str] = &["t3", "t3a", "t4g"];

/// The others keep one ratio over their sizes: (family, MiB per vCPU, has a `medium` with one vCPU).
const FAMILIES: &[(&str, u64, bool)] = &[
    ("m5", 4096, false),
    ("m6i", 4096, false),
    ("m6a", 4096, false),
    ("m7i", 4096, false),
    ("m6g", 4096, true),
    ("m7g", 4096, true),
    ("c6i", 2048, false),
    ("c6a", 2048, false),
    ("c7i", 2048, false),
    ("c6g", 2048, true),
    ("c7g", 2048, true),
    ("r5", 8192, false),
    ("r6i", 8192, false),
    ("r7i", 8192, false),
    ("r6g", 8192, true),
    ("r7g", 8192, true),
];
/// Sizes that all of [`FAMILIES`] have.
const SIZES: &[(&str, u32)] =
    &[("large", 2), ("xlarge", 4), ("2xlarge", 8), ("4xlarge", 16), ("8xlarge", 32), ("12xlarge", 48), ("16xlarge", 64)];

/// The shape of an instance type; `None` where it is not in the table.
pub fn instance_shape(instance_type: &str) -> Option<InstanceShape> {
    all().find(|(name, _)| name == instance_type).map(|(_, shape)| shape)
}

/// Every type of the table.
pub fn instance_types() -> Vec<String> {
    all().map(|(name, _)| name).collect()
}

fn all() -> impl Iterator<Item = (String, InstanceShape)> {
    let burstable = BURSTABLE_FAMILIES.iter().flat_map(|family| {
        BURSTABLE
            .iter()
            .map(move |(size, vcpus, memory_mib)| (format!("{family}.{size}"), InstanceShape { vcpus: *vcpus, memory_mib: *memory_mib }))
    });
    let others = FAMILIES.iter().flat_map(|(family, ratio, medium)| {
        let medium = medium.then_some(("medium", 1));
        medium
            .into_iter()
            .chain(SIZES.iter().copied())
            .map(move |(size, vcpus)| (format!("{family}.{size}"), InstanceShape { vcpus, memory_mib: u64::from(vcpus) * ratio }))
    });
    burstable.chain(others)
}

#[cfg(test)]
mod tests {
    use super::{InstanceShape, instance_shape};

    #[test]
    fn shapes() {
        assert_eq!(instance_shape("t3.medium"), Some(InstanceShape { vcpus: 2, memory_mib: 4096 }));
        assert_eq!(instance_shape("t3.small"), Some(InstanceShape { vcpus: 2, memory_mib: 2048 }));
        assert_eq!(instance_shape("m6i.2xlarge"), Some(InstanceShape { vcpus: 8, memory_mib: 32768 }));
        assert_eq!(instance_shape("m7g.medium"), Some(InstanceShape { vcpus: 1, memory_mib: 4096 }));
        assert_eq!(instance_shape("t3.huge"), None);
    }
}
