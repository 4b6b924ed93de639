//! Playbooks, templates and inventories inside the binary. Files on disk win.

use include_dir::{Dir, include_dir};
use std::path::Path;

static PLAYBOOKS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/playbooks");
static TEMPLATES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/templates");
static INVENTORIES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/inventories");

/// The embedded directories by name, for whoever reads files from disk first and from here second.
pub fn directories() -> [(&'static str, &'static Dir<'static>); 3] {
    [("playbooks", &PLAYBOOKS), ("templates", &TEMPLATES), ("inventories", &INVENTORIES)]
}

/// The text of an embedded file, by its path in the source tree (`playbooks/site.yml`).
pub fn text(path: &str) -> Option<&'static str> {
    let (top, rest) = path.split_once('/')?;
    let dir = match top {
        "playbooks" => &PLAYBOOKS,
        "templates" => &TEMPLATES,
        "inventories" => &INVENTORIES,
        _ => return None,
    };
    dir.get_file(Path::new(rest))?.contents_utf8()
}

/// All embedded files: path in the source tree and text.
pub fn files() -> Vec<(String, &'static str)> {
    fn walk(dir: &'static Dir<'static>, top: &str, out: &mut Vec<(String, &'static str)>) {
        for file in dir.files() {
            if let Some(text) = file.contents_utf8() {
                out.push((format!("{top}/{}", file.path().display()), text));
            }
        }
        for below in dir.dirs() {
            walk(below, top, out);
        }
    }
    let mut out = Vec::new();
    walk(&PLAYBOOKS, "playbooks", &mut out);
    walk(&TEMPLATES, "templates", &mut out);
    walk(&INVENTORIES, "inventories", &mut out);
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_bootstrap_runs_is_inside_the_binary() {
        assert!(super::text("playbooks/site.yml").unwrap().contains("import_playbook"));
        assert!(super::files().iter().any(|(path, _)| path == "templates/kubeadm-init.yaml.j2"));
        assert!(super::text("playbooks/../Cargo.toml").is_none());
    }
}
