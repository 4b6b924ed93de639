//! What lies beside a snapshot: the certificates of a new control plane, and what the snapshot is.

use crate::text::Secret;
use serde::Deserialize;
use std::{collections::BTreeMap, io::Read, path::Path};

/// Files below /etc/kubernetes/pki that a control plane cannot make anew: everything else is signed with these.
pub const PKI_FILES: [&str; 8] =
    ["ca.crt", "ca.key", "etcd/ca.crt", "etcd/ca.key", "front-proxy-ca.crt", "front-proxy-ca.key", "sa.key", "sa.pub"];
/// No certificate or key is larger.
const LARGEST: u64 = 1 << 20;

/// What a snapshot is.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Meta {
    /// Version of this format, 1.
    pub schema: u32,
    /// Cluster's name.
    pub cluster: String,
    /// Node that it was taken on.
    pub node: String,
    /// Everything that was acknowledged before is in it.
    pub taken_at: jiff::Timestamp,
    /// Kubernetes' version, without `v`.
    pub kubernetes: String,
    /// etcd's image.
    pub etcd_image: String,
    /// SHA-256 of the database, in hexadecimal, as the snapshot's last 32 bytes have it.
    pub sha256: String,
    /// What `etcdutl snapshot status` said.
    pub status: SnapshotStatus,
}

/// `etcdutl snapshot status -w json`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct SnapshotStatus {
    /// Its hash over keys and values.
    #[serde(default)]
    pub hash: u64,
    /// Revision of the store.
    pub revision: u64,
    /// Keys.
    #[serde(rename = "totalKey")]
    pub total_key: u64,
    /// Size of the database, bytes.
    #[serde(rename = "totalSize")]
    pub total_size: u64,
}

/// Why a bundle cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// Not a tar, or cut off.
    #[error("the bundle cannot be read: {0}")]
    Unreadable(#[from] std::io::Error),
    /// Files are missing.
    #[error("the bundle lacks {0}")]
    Missing(String),
    /// `meta.json` is something else.
    #[error("the bundle's meta.json cannot be read: {0}")]
    Meta(String),
}

/// A bundle.
#[derive(Debug)]
pub struct Bundle {
    /// What the snapshot is; `None` where it travels beside the bundle.
    pub meta: Option<Meta>,
    /// By path below /etc/kubernetes/pki; all of [`PKI_FILES`].
    pub files: BTreeMap<String, Secret<Vec<u8>>>,
}

impl Bundle {
    /// Reads a tar. Only the files that we know are taken, whatever else it holds.
    pub fn read(from: impl Read) -> Result<Self, BundleError> {
        let mut archive = tar::Archive::new(from);
        let (mut files, mut meta) = (BTreeMap::new(), None);
        for entry in archive.entries()? {
            let entry = entry?;
            let path = entry.path()?.to_string_lossy().trim_start_matches("./").to_owned();
            let mut content = Vec::new();
            if path == "meta.json" {
                entry.take(LARGEST).read_to_end(&mut content)?;
                meta = Some(Self::meta(&content)?);
            } else if PKI_FILES.contains(&path.as_str()) {
                entry.take(LARGEST).read_to_end(&mut content)?;
                files.insert(path, Secret::new(content));
            }
        }
        let missing: Vec<&str> = PKI_FILES.into_iter().filter(|f| !files.contains_key(*f)).collect();
        if missing.is_empty() { Ok(Self { meta, files }) } else { Err(BundleError::Missing(missing.join(", "))) }
    }

    /// Reads `meta.json`.
    pub fn meta(json: &[u8]) -> Result<Meta, BundleError> {
        let meta: Meta = serde_json::from_slice(json).map_err(|e| BundleError::Meta(e.to_string()))?;
        if meta.schema == 1 { Ok(meta) } else { Err(BundleError::Meta(format!("schema {} is newer than this program", meta.schema))) }
    }

    /// The cluster's CA certificate, PEM.
    pub fn ca(&self) -> &[u8] {
        self.files.get("ca.crt").map(|c| c.expose().as_slice()).unwrap_or_default()
    }
}

/// Name of a snapshot's file: `etcd-CLUSTER-NODE-20261125T090207Z.db.age`, as the control planes' own program makes it.
pub fn file_name(meta: &Meta) -> String {
    format!("etcd-{}-{}-{}.db.age", meta.cluster, meta.node, meta.taken_at.strftime("%Y%m%dT%H%M%SZ"))
}

/// The bundle's file beside a snapshot's: `X.db.age` → `X.pki.age`, any other `X` → `X.pki.age`.
pub fn bundle_of(snapshot: &Path) -> std::path::PathBuf {
    let name = snapshot.file_name().unwrap_or_default().to_string_lossy();
    let stem = name.strip_suffix(".db.age").unwrap_or(&name);
    snapshot.with_file_name(format!("{stem}.pki.age"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const META: &str = r#"{"schema":1,"cluster":"c","node":"control-plane-1","taken_at":"2026-11-25T09:02:07Z","kubernetes":"1.36.3","etcd_image":"registry.k8s.io/etcd:3.6.8-0","sha256":"ab","status":{"hash":2774542233,"revision":1548,"totalKey":1231,"totalSize":3227648,"version":"3.6.0"}}"#;

    fn tar_of(files: &[(&str, &str)]) -> Vec<u8> {
        let mut archive = tar::Builder::new(Vec::new());
        for (path, content) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            header.set_cksum();
            archive.append_data(&mut header, path, content.as_bytes()).unwrap();
        }
        archive.into_inner().unwrap()
    }

    #[test]
    fn a_bundle_has_all_its_files_and_nothing_else_is_taken() {
        let mut files: Vec<(&str, &str)> = PKI_FILES.iter().map(|f| (*f, *f)).collect();
        files.extend([("meta.json", META), ("apiserver.key", "no")]);
        let bundle = Bundle::read(&tar_of(&files)[..]).unwrap();
        assert_eq!((bundle.files.len(), bundle.ca()), (8, &b"ca.crt"[..]));
        let meta = bundle.meta.unwrap();
        assert_eq!((meta.status.revision, file_name(&meta).as_str()), (1548, "etcd-c-control-plane-1-20261125T090207Z.db.age"));
        let error = Bundle::read(&tar_of(&files[1..])[..]).unwrap_err().to_string();
        assert_eq!(error, "the bundle lacks ca.crt");
        assert!(Bundle::meta(META.replace("\"schema\":1", "\"schema\":2").as_bytes()).is_err());
    }

    #[test]
    fn the_bundle_lies_beside_its_snapshot() {
        assert_eq!(bundle_of(Path::new("/b/etcd-x.db.age")), Path::new("/b/etcd-x.pki.age"));
        assert_eq!(bundle_of(Path::new("snap")), Path::new("snap.pki.age"));
    }
}
