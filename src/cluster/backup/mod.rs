//! Snapshots of etcd as they are kept: two files, each encrypted to recipients in age's format (age-encryption.org/v1).
//!
//! `NAME.db.age` is etcd's snapshot, whose last 32 bytes are the SHA-256 of what stands before them. `NAME.pki.age` is a tar
//! with the CAs and the key for service accounts that a new control plane needs, and `meta.json`.

mod bundle;
mod seal;

pub use bundle::{Bundle, BundleError, Meta, PKI_FILES, SnapshotStatus, bundle_of, file_name};
pub use seal::{Identity, Recipient, SealError, identities, open, recipients, seal};
