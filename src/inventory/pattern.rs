//! Host patterns: `web:!db:&stage`, `a,b`, `~re`, `web*`, `web[0]`, `web[1:]` (ansible: inventory/manager.py).

use super::{Inventory, order::LOCALHOST};
use crate::text::{Problem, nearest};
use fancy_regex::Regex;
use std::collections::HashSet;

impl Inventory {
    /// The hosts of a pattern, in the inventory's order, each once. What matches nothing matches nothing:
    /// [`Inventory::unmatched`] names it. An error is a pattern that cannot be read, or an
    /// index beyond the end.
    pub fn select(&self, pattern: &str) -> Result<Vec<String>, Problem> {
        let parts = split(pattern);
        let starts = |c: char| move |p: &&String| p.starts_with(c);
        let mut regular: Vec<&str> = parts.iter().filter(|p| !p.starts_with(['!', '&'])).map(String::as_str).collect();
        if regular.is_empty() {
            regular.push("all");
        }
        let mut hosts: Vec<String> = Vec::new();
        for part in regular {
            hosts.extend(self.one(part)?);
        }
        for part in parts.iter().filter(starts('&')) {
            let kept: HashSet<String> = self.one(&part[1..])?.into_iter().collect();
            hosts.retain(|h| kept.contains(h));
        }
        for part in parts.iter().filter(starts('!')) {
            let dropped: HashSet<String> = self.one(&part[1..])?.into_iter().collect();
            hosts.retain(|h| !dropped.contains(h));
        }
        let mut seen = HashSet::new();
        hosts.retain(|h| seen.insert(h.clone()));
        Ok(hosts)
    }

    /// The hosts of a pattern that a `--limit` leaves; `@FILE` in it names a file with one pattern per line.
    pub fn select_limited(&self, pattern: &str, limit: Option<&str>) -> Result<Vec<String>, Problem> {
        let mut hosts = self.select(pattern)?;
        if let Some(limit) = limit {
            let mut parts = Vec::new();
            for part in split(limit) {
                match part.strip_prefix('@') {
                    Some(file) => {
                        let text =
                            std::fs::read_to_string(file).map_err(|e| Problem::new(format!("cannot read the limit file {file}: {e}")))?;
                        parts.extend(text.lines().map(str::trim).filter(|l| !l.is_empty()).map(str::to_owned));
                    }
                    None => parts.push(part),
                }
            }
            let kept: HashSet<String> = self.select(&parts.join(","))?.into_iter().collect();
            hosts.retain(|h| kept.contains(h));
        }
        Ok(hosts)
    }

    /// A warning for each part of a pattern that names no host and no group.
    pub fn unmatched(&self, pattern: &str) -> Vec<Problem> {
        let known = || self.groups.keys().chain(self.hosts.keys()).map(String::as_str);
        let nothing = |part: &String| {
            let name = part.trim_start_matches(['!', '&']);
            // An empty group is no mistake.
            let group = matcher(name).is_ok_and(|m| self.groups.keys().any(|g| m(g)));
            (!group && self.one(name).is_ok_and(|h| h.is_empty())).then(|| name.to_owned())
        };
        let warn = |name: String| {
            let problem = Problem::new(format!("no host or group matches `{name}`")).warning();
            match nearest(&name, known()) {
                Some(near) => problem.hint(format!("did you mean `{near}`?")),
                None => problem,
            }
        };
        split(pattern).iter().filter_map(nothing).filter(|n| n != "all").map(warn).collect()
    }

    fn one(&self, part: &str) -> Result<Vec<String>, Problem> {
        if self.hosts.contains_key(part) {
            return Ok(vec![part.to_owned()]);
        }
        let (base, slice) = subscript(part);
        let matches = matcher(base)?;
        let groups: Vec<&String> = self.groups.keys().filter(|g| matches(g)).collect();
        let mut hosts: Vec<&str> = groups.iter().flat_map(|g| self.hosts_of(g)).collect();
        if groups.is_empty() || base.starts_with('~') || base.contains(['.', '?', '*', '[']) {
            hosts.extend(self.hosts.keys().map(String::as_str).filter(|h| matches(h)));
        }
        if hosts.is_empty() && LOCALHOST.contains(&base) {
            hosts.push(base);
        }
        let picked = match slice {
            None => hosts,
            Some(Slice::One(at)) => {
                let at = if at < 0 { hosts.len().checked_sub(at.unsigned_abs()) } else { usize::try_from(at).ok() };
                match at.and_then(|at| hosts.get(at)) {
                    Some(host) => vec![*host],
                    None if hosts.is_empty() => hosts,
                    None => {
                        return Err(
                            Problem::new(format!("`{part}` asks for one of {} hosts", hosts.len())).hint("the first is [0], the last [-1]")
                        );
                    }
                }
            }
            Some(Slice::Range(from, to)) => {
                let to = to.map_or(hosts.len(), |to| to.saturating_add(1)).min(hosts.len());
                hosts.get(from..to).unwrap_or_default().to_vec()
            }
        };
        Ok(picked.into_iter().map(str::to_owned).collect())
    }
}

/// Parts between commas; without a comma between colons, except those of ranges, IPv6 addresses and ports.
fn split(pattern: &str) -> Vec<String> {
    let parts: Vec<String> = if pattern.contains(',') {
        pattern.split(',').map(str::to_owned).collect()
    } else if pattern.parse::<std::net::Ipv6Addr>().is_ok() || has_port(pattern) {
        vec![pattern.to_owned()]
    } else {
        let mut parts = vec![String::new()];
        let mut depth = 0_usize;
        for c in pattern.chars() {
            match c {
                '[' => depth += 1,
                ']' => depth = depth.saturating_sub(1),
                c if depth == 0 && (c == ':' || c.is_whitespace()) => {
                    parts.push(String::new());
                    continue;
                }
                _ => {}
            }
            if let Some(part) = parts.last_mut() {
                part.push(c);
            }
        }
        parts
    };
    parts.into_iter().map(|p| p.trim().to_owned()).filter(|p| !p.is_empty()).collect()
}

fn has_port(pattern: &str) -> bool {
    let plain = |n: &str| !n.is_empty() && n.chars().all(|c| c.is_alphanumeric() || matches!(c, '.' | '-' | '_'));
    pattern.split_once(':').is_some_and(|(name, port)| plain(name) && !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()))
}

enum Slice {
    One(isize),
    /// Both ends are in it; no end: up to the last.
    Range(usize, Option<usize>),
}

/// `g[0]`, `g[-1]`, `g[1:]`, `g[1:2]`, `g[1-2]`; not of regular expressions.
fn subscript(part: &str) -> (&str, Option<Slice>) {
    let found = part.strip_suffix(']').filter(|_| !part.starts_with('~')).and_then(|p| p.rsplit_once('['));
    let Some((base, inside)) = found.filter(|(base, _)| !base.is_empty()) else { return (part, None) };
    if let Ok(at) = inside.parse::<isize>() {
        return (base, Some(Slice::One(at)));
    }
    let range = inside.split_once([':', '-']).and_then(|(from, to)| {
        let from = from.parse::<usize>().ok()?;
        if to.is_empty() {
            return Some(Slice::Range(from, None));
        }
        // Ansible takes an end of 0 for no end at all: one host.
        Some(match to.parse().ok()? {
            0 => Slice::One(isize::try_from(from).ok()?),
            to => Slice::Range(from, Some(to)),
        })
    });
    match range {
        Some(slice) => (base, Some(slice)),
        None => (part, None),
    }
}

/// Whether a name matches: a shell pattern, or a regular expression after `~` that matches at the name's start.
fn matcher(pattern: &str) -> Result<impl Fn(&str) -> bool, Problem> {
    let source = match pattern.strip_prefix('~') {
        Some(expression) => format!("^(?:{expression})"),
        None => glob(pattern),
    };
    let regex = Regex::new(&source).map_err(|e| Problem::new(format!("`{pattern}` is not a pattern for hosts: {e}")))?;
    // A pattern that gives up (too much backtracking) matches nothing.
    Ok(move |name: &str| regex.is_match(name).unwrap_or(false))
}

/// Python's `fnmatch.translate`.
fn glob(pattern: &str) -> String {
    let mut out = String::from(r"(?s)\A");
    let mut rest = pattern;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        match c {
            '*' => out.push_str(".*"),
            '?' => out.push('.'),
            '[' => {
                let skip = rest.len() - rest.trim_start_matches('!').len();
                let from = skip.min(1) + usize::from(rest[skip.min(1)..].starts_with(']'));
                match rest[from..].find(']') {
                    Some(close) => {
                        let set = &rest[..from + close];
                        let (not, set) = set.strip_prefix('!').map_or(("", set), |s| ("^", s));
                        let set: String = set
                            .chars()
                            .flat_map(|c| if c == '-' { vec![c] } else { fancy_regex::escape(&c.to_string()).chars().collect() })
                            .collect();
                        out.extend(["[", not, &set, "]"]);
                        rest = &rest[from + close + 1..];
                    }
                    None => out.push_str(r"\["),
                }
            }
            c => out.push_str(&fancy_regex::escape(&c.to_string())),
        }
    }
    out.push_str(r"\z");
    out
}
