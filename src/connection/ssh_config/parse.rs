//! The text of ssh_config(5): lines, words, blocks, includes.

use crate::connection::host_keys::glob;
use std::path::{Path, PathBuf};

/// How deep `Include` may nest, as in OpenSSH.
const DEPTH: usize = 16;

/// Whom the configuration is asked about.
pub(super) struct Asked<'a> {
    /// As it was named.
    pub(super) original: &'a str,
    /// User of the command line.
    pub(super) user: Option<&'a str>,
    /// User on this machine.
    pub(super) local_user: &'a str,
    /// Home directory, for `~` and relative includes.
    pub(super) home: &'a Path,
}

/// One keyword (lower case) with its words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Setting {
    pub(super) keyword: String,
    pub(super) words: Vec<String>,
}

/// The settings that apply, in order, and what could not be understood.
#[derive(Debug, Default)]
pub(super) struct Settings {
    pub(super) all: Vec<Setting>,
    pub(super) warnings: Vec<String>,
}

impl Settings {
    /// Reads a file; a missing one is empty.
    pub(super) fn read(&mut self, path: &Path, asked: &Asked<'_>, depth: usize) {
        match std::fs::read(path) {
            Ok(bytes) => self.text(&String::from_utf8_lossy(&bytes), path, asked, depth),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            Err(e) => self.warnings.push(format!("{}: {e}", path.display())),
        }
    }

    /// Reads the text of the file at `path`. Whether a block applies starts with "yes" in each file.
    pub(super) fn text(&mut self, text: &str, path: &Path, asked: &Asked<'_>, depth: usize) {
        let mut applies = true;
        for (number, line) in text.lines().enumerate() {
            let Some(Setting { keyword, words }) = parse_line(line) else { continue };
            let place = || format!("{}:{}", path.display(), number + 1);
            match keyword.as_str() {
                "host" => applies = matches_any(&words, asked.original),
                "match" => {
                    applies = self.matches(&words, asked).unwrap_or_else(|what| {
                        self.warnings.push(format!("{}: Match {what} is not supported: the block is left out", place()));
                        false
                    });
                }
                _ if !applies => {}
                "include" if depth >= DEPTH => self.warnings.push(format!("{}: includes nest too deep", place())),
                "include" => {
                    for file in words.iter().flat_map(|w| included(w, path, asked.home)) {
                        self.read(&file, asked, depth + 1);
                    }
                }
                _ => self.all.push(Setting { keyword, words }),
            }
        }
    }

    /// All criteria must hold. `Err`: one of them needs what is not known here (a command, a second pass).
    fn matches(&self, words: &[String], asked: &Asked<'_>) -> Result<bool, String> {
        let first = |keyword: &str| self.all.iter().find(|s| s.keyword == keyword).and_then(|s| s.words.first()).cloned();
        let mut words = words.iter();
        let mut all = true;
        while let Some(word) = words.next() {
            let (negated, criterion) = word.strip_prefix('!').map_or((false, word.as_str()), |w| (true, w));
            let (criterion, inline) = criterion.split_once('=').map_or((criterion, None), |(c, v)| (c, Some(v.to_owned())));
            let value = match criterion.to_ascii_lowercase().as_str() {
                "all" => {
                    all &= !negated;
                    continue;
                }
                // Unlike `Host`, this compares the name in lower case.
                "host" => {
                    first("hostname").map_or_else(|| asked.original.to_owned(), |h| h.replace("%h", asked.original)).to_ascii_lowercase()
                }
                "originalhost" => asked.original.to_owned(),
                "user" => asked.user.map(str::to_owned).or_else(|| first("user")).unwrap_or_else(|| asked.local_user.to_owned()),
                "localuser" => asked.local_user.to_owned(),
                other => return Err(other.to_owned()),
            };
            let Some(patterns) = inline.or_else(|| words.next().cloned()) else { return Err(format!("{criterion} without a pattern")) };
            let patterns: Vec<String> = patterns.split(',').map(str::to_owned).collect();
            all &= matches_any(&patterns, &value) != negated;
        }
        Ok(all)
    }
}

/// A list of patterns: one must match, and no negated one may. As in OpenSSH, case counts.
fn matches_any(patterns: &[String], name: &str) -> bool {
    let negated = |p: &String| p.strip_prefix('!').is_some_and(|p| glob(p, name));
    !patterns.iter().any(negated) && patterns.iter().any(|p| !p.starts_with('!') && glob(p, name))
}

/// `Keyword word "two words" # comment`, or `Keyword=word`.
pub(super) fn parse_line(line: &str) -> Option<Setting> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    let end = line.find(|c: char| c.is_whitespace() || c == '=').unwrap_or(line.len());
    let keyword = line[..end].to_ascii_lowercase();
    let rest = line[end..].trim_start();
    let rest = rest.strip_prefix('=').unwrap_or(rest).trim_start();
    // The command is one text, with its own quoting.
    let words = if keyword == "proxycommand" { vec![rest.to_owned()] } else { words(rest) };
    (!words.is_empty() && !keyword.is_empty()).then_some(Setting { keyword, words })
}

fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match (c, quote) {
            ('\\', _) if chars.peek().is_some_and(|n| matches!(n, '"' | '\'' | '\\')) => {
                word.get_or_insert_default().extend(chars.next());
            }
            (c, Some(q)) if c == q => quote = None,
            ('"' | '\'', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            ('#', None) if word.is_none() => break,
            (c, None) if c.is_whitespace() => words.extend(word.take()),
            (c, _) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

/// The files of an `Include` pattern, sorted; relative to `~/.ssh`, or to `/etc/ssh` in the system's file.
fn included(pattern: &str, from: &Path, home: &Path) -> Vec<PathBuf> {
    let base = if from.starts_with("/etc/ssh") { PathBuf::from("/etc/ssh") } else { home.join(".ssh") };
    let path = pattern.strip_prefix("~/").map_or_else(|| base.join(pattern), |rest| home.join(rest));
    let (Some(directory), Some(name)) = (path.parent(), path.file_name().and_then(|n| n.to_str())) else { return Vec::new() };
    if !name.contains(['*', '?']) {
        return vec![path];
    }
    let Ok(entries) = std::fs::read_dir(directory) else { return Vec::new() };
    let named = |p: &PathBuf| p.file_name().and_then(|n| n.to_str()).is_some_and(|n| !n.starts_with('.') && glob(name, n));
    let mut files: Vec<PathBuf> = entries.filter_map(|e| Some(e.ok()?.path())).filter(named).collect();
    files.sort();
    files
}
