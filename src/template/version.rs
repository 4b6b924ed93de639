//! Comparing versions: the `version` test and `version_sort`.

use std::cmp::Ordering;

/// How a version is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scheme {
    /// Numbers and words between dots, as Python's old `LooseVersion`; the default.
    Loose,
    /// `1.2`, `1.2.3`, `1.2a1`.
    Strict,
    /// Semantic Versioning 2.0.0.
    Semantic,
}

/// Which of two versions is newer, or why that cannot be told.
pub(super) fn compare(a: &str, b: &str, scheme: Scheme) -> Result<Ordering, String> {
    match scheme {
        Scheme::Loose => loose(&words(a), &words(b))
            .ok_or_else(|| format!("the versions '{a}' and '{b}' cannot be compared: a word stands against a number")),
        Scheme::Strict => Ok(strict(a)?.cmp(&strict(b)?)),
        Scheme::Semantic => semantic(a, b),
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Word {
    Number(u128),
    Text(String),
}

/// The parts of a loose version: runs of digits, runs of lower-case letters, and what stands between them but dots.
fn words(version: &str) -> Vec<Word> {
    let class = |c: char| match c {
        c if c.is_ascii_digit() => 1,
        c if c.is_ascii_lowercase() => 2,
        '.' => 3,
        _ => 4,
    };
    let mut out = Vec::new();
    let mut rest = version;
    while let Some(first) = rest.chars().next() {
        let kind = class(first);
        let end = rest.find(|c| class(c) != kind).unwrap_or(rest.len());
        let (part, after) = rest.split_at(end);
        rest = after;
        match (kind, part.parse()) {
            (3, _) => {}
            (_, Ok(number)) => out.push(Word::Number(number)),
            _ => out.push(Word::Text(part.to_owned())),
        }
    }
    out
}

fn loose(a: &[Word], b: &[Word]) -> Option<Ordering> {
    for pair in a.iter().zip(b) {
        let order = match pair {
            (Word::Number(a), Word::Number(b)) => a.cmp(b),
            (Word::Text(a), Word::Text(b)) => a.cmp(b),
            _ => return None,
        };
        if order != Ordering::Equal {
            return Some(order);
        }
    }
    Some(a.len().cmp(&b.len()))
}

/// Major, minor, patch; then the pre-release letter and number, a release sorting after its pre-releases.
fn strict(version: &str) -> Result<([u64; 3], (char, u64)), String> {
    let bad = || format!("'{version}' is not a strict version such as 1.2.3 or 1.2b1");
    let (numbers, pre) = match version.find(['a', 'b']) {
        Some(at) => (&version[..at], (version[at..].chars().next().unwrap_or('a'), version[at + 1..].parse().map_err(|_| bad())?)),
        None => (version, ('~', 0)),
    };
    let parts: Vec<u64> = numbers.split('.').map(|p| p.parse().map_err(|_| bad())).collect::<Result<_, _>>()?;
    match parts[..] {
        [major, minor] => Ok(([major, minor, 0], pre)),
        [major, minor, patch] => Ok(([major, minor, patch], pre)),
        _ => Err(bad()),
    }
}

fn semantic(a: &str, b: &str) -> Result<Ordering, String> {
    let parse = |version: &str| -> Result<([u64; 3], Option<String>), String> {
        let bad = || format!("'{version}' is not a semantic version such as 1.2.3 or 1.2.3-rc.1");
        let core = version.split('+').next().unwrap_or_default();
        let (numbers, pre) = core.split_once('-').map_or((core, None), |(n, p)| (n, Some(p.to_owned())));
        let parts: Vec<u64> = numbers.split('.').map(|p| p.parse().map_err(|_| bad())).collect::<Result<_, _>>()?;
        Ok((parts.try_into().map_err(|_| bad())?, pre))
    };
    let ((a, a_pre), (b, b_pre)) = (parse(a)?, parse(b)?);
    let pre = match (a_pre, b_pre) {
        (None, None) => Ordering::Equal,
        (None, Some(_)) => Ordering::Greater,
        (Some(_), None) => Ordering::Less,
        (Some(a), Some(b)) => identifiers(&a, &b),
    };
    Ok(a.cmp(&b).then(pre))
}

/// Pre-release identifiers: numbers before words, fewer before more (semver.org, clause 11).
fn identifiers(a: &str, b: &str) -> Ordering {
    let (mut left, mut right) = (a.split('.'), b.split('.'));
    loop {
        let order = match (left.next(), right.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(a), Some(b)) => match (a.parse::<u64>(), b.parse::<u64>()) {
                (Ok(a), Ok(b)) => a.cmp(&b),
                (Ok(_), Err(_)) => Ordering::Less,
                (Err(_), Ok(_)) => Ordering::Greater,
                (Err(_), Err(_)) => a.cmp(b),
            },
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}
