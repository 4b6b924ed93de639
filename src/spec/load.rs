//! From a path to a valid specification.

use super::{ClusterSpec, addresses, check, place::Places, read, source};
use crate::text::{Problem, Problems, SourceFile};
use std::path::{Path, PathBuf};

/// Names that the specification's file may have in its directory.
pub const FILE_NAMES: &[&str] = &["cluster.yaml", "cluster.yml"];

/// Loads a specification from its file, or from the directory that has it.
pub fn load(path: &Path) -> Result<ClusterSpec, Problems> {
    load_with(path, &|path| std::fs::read_to_string(path))
}

/// As [`load`], with a reader of one's own: what is embedded in the binary.
pub fn load_with(path: &Path, reader: source::Reader<'_>) -> Result<ClusterSpec, Problems> {
    let named_file = path.extension().is_some_and(|e| e == "yaml" || e == "yml");
    let candidates: Vec<PathBuf> = if named_file { vec![path.to_owned()] } else { FILE_NAMES.iter().map(|n| path.join(n)).collect() };
    let found = candidates.iter().find(|c| reader(c).is_ok()).or(candidates.first());
    let Some(file) = found else { return Err(Problem::new("no path is given").into()) };
    let mut problems = Problems::default();
    let tree = source::tree(file, reader, &mut problems);
    finish(tree, file.parent().unwrap_or(Path::new("")), problems)
}

/// A specification from text; `directory` is where its relative paths (and `extends`) start.
pub fn load_str(name: &str, text: &str, directory: &Path) -> Result<ClusterSpec, Problems> {
    let mut problems = Problems::default();
    let path = directory.join(name);
    let reader: source::Reader<'_> = &|path| std::fs::read_to_string(path);
    let tree = source::tree_of(&SourceFile::new(name, text), &path, reader, &mut vec![path.clone()], &mut problems);
    finish(tree, directory, problems)
}

fn finish(tree: Option<crate::yaml::Node>, directory: &Path, mut problems: Problems) -> Result<ClusterSpec, Problems> {
    let Some(tree) = tree else { return Err(problems) };
    let places = Places::new(&tree);
    let read = read::cluster(&tree, directory, &mut problems);
    let spec = read.map(|read| {
        let mut spec = read.spec;
        if read.network_is_sound {
            check::network(&spec, &places, &mut problems);
            if !matches!(spec.provider, super::Provider::Static(_)) {
                addresses::assign(&mut spec);
            }
            check::addresses(&spec, &places, &mut problems);
        }
        check::all(&spec, &places, &mut problems);
        spec
    });
    problems.0.sort_by_key(order);
    problems.0.dedup();
    match spec {
        Some(spec) if !problems.has_errors() => Ok(spec),
        _ => Err(problems),
    }
}

/// By file, then by place: the order in which a person mends them.
fn order(problem: &Problem) -> (String, usize) {
    problem.span.as_ref().map_or((String::new(), 0), |s| (s.file.name.clone(), s.start))
}
