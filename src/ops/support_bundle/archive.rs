//! The archive: one directory in a .tar.gz, with an index. Names come from hosts, so they are looked at before they become paths.

use std::{collections::BTreeSet, fmt::Write as _, io};

/// One file.
#[derive(Debug)]
struct File {
    path: String,
    /// Where it comes from, for the index.
    source: String,
    content: String,
}

/// Files of a bundle.
#[derive(Debug)]
pub(super) struct Archive {
    root: String,
    files: Vec<File>,
    taken: BTreeSet<String>,
}

impl Archive {
    /// Everything in it stands below `root`.
    pub(super) fn new(root: &str) -> Self {
        Self { root: component(root), files: Vec::new(), taken: BTreeSet::new() }
    }

    /// Adds a file. Whatever is no plain name becomes one: a path cannot leave the bundle, nor replace another file.
    pub(super) fn add(&mut self, path: &str, source: impl Into<String>, content: String) {
        let parts = path.split('/').filter(|p| !p.is_empty() && *p != ".").map(component);
        let plain = parts.collect::<Vec<_>>().join("/");
        let mut path = plain.clone();
        let mut number = 2;
        while !self.taken.insert(path.to_lowercase()) {
            path = format!("{plain}-{number}");
            number += 1;
        }
        self.files.push(File { path, source: source.into(), content });
    }

    /// The table of the index.
    pub(super) fn table(&self) -> String {
        let mut out = String::from("| File | Bytes | From |\n| --- | ---: | --- |\n");
        for file in &self.files {
            let source = crate::report::clean_line(&file.source).replace('|', "\\|");
            // Writing to a String cannot fail.
            let _ = writeln!(out, "| [{0}]({0}) | {1} | {source} |", file.path, file.content.len());
        }
        out
    }

    /// Its bytes; `at` (seconds since 1970) is every file's time.
    pub(super) fn write(&self, at: u64) -> io::Result<Vec<u8>> {
        let gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        let mut tar = tar::Builder::new(gzip);
        for file in &self.files {
            let mut header = tar::Header::new_gnu();
            header.set_size(file.content.len() as u64);
            header.set_mode(0o600);
            header.set_mtime(at);
            tar.append_data(&mut header, format!("{}/{}", self.root, file.path), file.content.as_bytes())?;
        }
        tar.into_inner()?.finish()
    }
}

fn component(text: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '@') { c } else { '_' };
    let name: String = text.chars().take(120).map(plain).collect();
    if name.chars().all(|c| c == '.') { "_".repeat(name.len().max(1)) } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;

    #[test]
    fn a_name_cannot_leave_the_bundle_nor_replace_another_file() {
        let mut archive = Archive::new("kubewright-lab");
        for name in ["hosts/w/../../../etc/passwd", "/abs\u{1b}[31m", "a/b", "A/b", "logs/x`$(id)`", "..", &"n".repeat(400)] {
            archive.add(name, "a | host", format!("from {name}"));
        }
        let bytes = archive.write(0).unwrap();
        let mut tar = tar::Archive::new(flate2::read::GzDecoder::new(bytes.as_slice()));
        let mut paths = Vec::new();
        for entry in tar.entries().unwrap() {
            let mut entry = entry.unwrap();
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            assert!(text.starts_with("from "));
            assert_eq!(entry.header().mode().unwrap(), 0o600);
            paths.push(entry.path().unwrap().display().to_string());
        }
        let long = format!("kubewright-lab/{}", "n".repeat(120));
        let wanted = [
            "kubewright-lab/hosts/w/__/__/__/etc/passwd",
            "kubewright-lab/abs__31m",
            "kubewright-lab/a/b",
            "kubewright-lab/A/b-2",
            "kubewright-lab/logs/x___id__",
            "kubewright-lab/__",
            &long,
        ];
        assert_eq!(paths, wanted);
        assert!(archive.table().contains("| [a/b](a/b) | 8 | a \\| host |"));
    }
}
