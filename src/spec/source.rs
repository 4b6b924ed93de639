//! From files to one tree: `extends`, deep merge. Mappings merge, scalars and lists replace; every value keeps its own place.

use crate::{
    text::{Problem, Problems, Severity, SourceFile, Span},
    yaml::{self, Node, Yaml},
};
use std::{
    io,
    path::{Component, Path, PathBuf},
    sync::Arc,
};

/// Reads a file's text.
pub(super) type Reader<'a> = &'a dyn Fn(&Path) -> io::Result<String>;

/// The merged tree of a file and all that it extends. `None`: it could not be read at all, and a problem says why.
pub(super) fn tree(path: &Path, read: Reader<'_>, problems: &mut Problems) -> Option<Node> {
    let text = match read(path) {
        Ok(text) => text,
        Err(error) => {
            problems.push(Problem::new(format!("cannot read {}: {error}", path.display())));
            return None;
        }
    };
    tree_of(&SourceFile::new(path.to_string_lossy(), text), path, read, &mut vec![plain(path)], problems)
}

/// As [`tree`], with the text of the first file already there.
pub(super) fn tree_of(
    file: &Arc<SourceFile>,
    path: &Path,
    read: Reader<'_>,
    seen: &mut Vec<PathBuf>,
    problems: &mut Problems,
) -> Option<Node> {
    let own = document(file, problems)?;
    let Some(extends) = own.get("extends") else { return Some(own) };
    let Some(name) = extends.as_str() else {
        problems.push(Problem::at(&extends.span, format!("`extends` is the path of one file, this is {}", extends.kind())));
        return Some(own);
    };
    let base_path = plain(&path.parent().unwrap_or(Path::new("")).join(name));
    if seen.contains(&base_path) {
        problems.push(Problem::at(&extends.span, format!("{} extends itself", base_path.display())));
        return Some(own);
    }
    seen.push(base_path.clone());
    let base = match read(&base_path) {
        Ok(text) => tree_of(&SourceFile::new(base_path.to_string_lossy(), text), &base_path, read, seen, problems),
        Err(error) => {
            let problem = Problem::at(&extends.span, format!("cannot read {}: {error}", base_path.display()));
            problems.push(problem.hint("the path starts at the directory of the file that says `extends`"));
            None
        }
    };
    Some(match base {
        Some(base) => merge(base, own),
        None => own,
    })
}

/// The file's only document. A repeated key is an error here: nobody means it in a specification.
fn document(file: &Arc<SourceFile>, problems: &mut Problems) -> Option<Node> {
    match yaml::read(file) {
        Ok(parsed) => {
            problems.extend(Problems(parsed.warnings.0.into_iter().map(|p| Problem { severity: Severity::Error, ..p }).collect()));
            let mut documents = parsed.documents.into_iter();
            let first = documents.next();
            if let Some(second) = documents.next() {
                problems.push(Problem::at(&second.span, "a second YAML document; a specification is one"));
            }
            match first {
                Some(node) if node.entries().is_some() => Some(node),
                Some(node) if !node.is_null() => {
                    problems.push(Problem::at(&node.span, format!("a specification is a mapping, this is {}", node.kind())));
                    None
                }
                _ => {
                    let problem = Problem::at(&Span::new(file, 0, 0), "the file is empty");
                    problems.push(problem.hint("the smallest one is:  cluster: lab  and  provider: lab"));
                    None
                }
            }
        }
        Err(found) => {
            problems.extend(found);
            None
        }
    }
}

fn merge(base: Node, over: Node) -> Node {
    match (base.value, over.value) {
        (Yaml::Map(mut entries), Yaml::Map(overs)) => {
            for (key, value) in overs {
                match entries.iter().position(|(k, _)| k.value == key.value) {
                    Some(at) => {
                        let (_, old) = entries.remove(at);
                        entries.insert(at, (key, merge(old, value)));
                    }
                    None => entries.push((key, value)),
                }
            }
            // What is missing is missing in the file that the user named.
            Node { value: Yaml::Map(entries), span: over.span, tag: over.tag, style: over.style }
        }
        (_, value) => Node { value, span: over.span, tag: over.tag, style: over.style },
    }
}

/// Without `.` and `x/..`, by text alone.
fn plain(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if matches!(out.components().next_back(), Some(Component::Normal(_))) => {
                out.pop();
            }
            other => out.push(other),
        }
    }
    out
}
