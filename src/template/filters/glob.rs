//! Shell patterns over local files.

use std::path::Path;

/// Regular files that match a pattern, sorted. Wildcards may stand in any part of the path.
pub(super) fn files(pattern: &str) -> Vec<String> {
    let start = if pattern.starts_with('/') { "/" } else { "" };
    let mut found = vec![start.to_owned()];
    for part in pattern.split('/').filter(|p| !p.is_empty()) {
        found = found.iter().flat_map(|dir| step(dir, part)).collect();
    }
    found.retain(|p| Path::new(p).is_file());
    found.sort();
    found
}

fn step(dir: &str, part: &str) -> Vec<String> {
    let join = |name: &str| if dir.is_empty() || dir.ends_with('/') { format!("{dir}{name}") } else { format!("{dir}/{name}") };
    if !part.contains(['*', '?', '[']) {
        return vec![join(part)];
    }
    let Ok(entries) = std::fs::read_dir(if dir.is_empty() { "." } else { dir }) else { return Vec::new() };
    let names = entries.flatten().filter_map(|e| e.file_name().into_string().ok());
    let part: Vec<char> = part.chars().collect();
    names.filter(|n| (part[0] == '.' || !n.starts_with('.')) && matches(&part, &n.chars().collect::<Vec<_>>())).map(|n| join(&n)).collect()
}

/// `fnmatch` for one name.
fn matches(pattern: &[char], name: &[char]) -> bool {
    match (pattern.first(), name.first()) {
        (None, None) => true,
        (Some('*'), _) => matches(&pattern[1..], name) || !name.is_empty() && matches(pattern, &name[1..]),
        (Some('?'), Some(_)) => matches(&pattern[1..], &name[1..]),
        (Some('['), Some(c)) => match pattern.iter().skip(2).position(|p| *p == ']') {
            Some(end) => {
                let set = &pattern[1..end + 2];
                let (negated, set) = if set[0] == '!' { (true, &set[1..]) } else { (false, set) };
                let range = |at: usize| set.get(at + 1) == Some(&'-') && set.get(at + 2).is_some_and(|high| set[at] <= *c && c <= high);
                let inside = set.contains(c) || (0..set.len()).any(range);
                inside != negated && matches(&pattern[end + 3..], &name[1..])
            }
            None => *c == '[' && matches(&pattern[1..], &name[1..]),
        },
        (Some(p), Some(c)) => p == c && matches(&pattern[1..], &name[1..]),
        _ => false,
    }
}
