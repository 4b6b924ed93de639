//! Small tar archives: what is put into containers and build contexts.

use std::io::{self, Read};

/// A tar archive under way.
pub(super) struct Archive(tar::Builder<Vec<u8>>);

impl Archive {
    pub(super) fn new() -> Self {
        Self(tar::Builder::new(Vec::new()))
    }

    /// Adds a file of root's.
    pub(super) fn file(mut self, path: &str, mode: u32, content: &str) -> Self {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(mode);
        header.set_uid(0);
        header.set_gid(0);
        // A fixed time: the same content is the same archive, so Docker's build cache holds.
        header.set_mtime(1);
        header.set_cksum();
        // Writing into memory fails on no path of ours: they are short.
        let _: io::Result<()> = self.0.append_data(&mut header, path, content.as_bytes());
        self
    }

    /// The archive.
    pub(super) fn finish(self) -> Vec<u8> {
        self.0.into_inner().unwrap_or_default()
    }
}

/// The content of an archive's first file.
pub(super) fn first_file(archive: &[u8]) -> Option<Vec<u8>> {
    let mut archive = tar::Archive::new(archive);
    let mut content = Vec::new();
    archive.entries().ok()?.next()?.ok()?.read_to_end(&mut content).ok()?;
    Some(content)
}
