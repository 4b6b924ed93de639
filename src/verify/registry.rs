//! The table of checks: one entry each, beside the function that evaluates it. It feeds the report, `verify --list`,
//! `verify explain ID` and the docs.

use super::{
    checks::{self, Ctx},
    finding::Finding,
    types::Severity,
};
use serde::Serialize;

/// Which part of the system a check is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Group {
    /// The machine and its operating system.
    Machine,
    /// containerd and kubelet.
    Runtime,
    /// The API, etcd, nodes, certificates.
    Kubernetes,
    /// The data path.
    Network,
    /// What the provider knows.
    Cloud,
}

impl Group {
    /// As it is written in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Machine => "machine",
            Self::Runtime => "runtime",
            Self::Kubernetes => "kubernetes",
            Self::Network => "network",
            Self::Cloud => "cloud",
        }
    }
}

/// One entry of the table.
#[derive(Clone, Copy, Debug)]
pub struct Check {
    /// `network-pod-udp`; begins with its group.
    pub id: &'static str,
    /// Its group.
    pub group: Group,
    /// For people.
    pub title: &'static str,
    /// How much a failure matters.
    pub severity: Severity,
    /// What should be.
    pub expected: &'static str,
    /// What a green result proves.
    pub proves: &'static str,
    /// Likely causes of a red one.
    pub causes: &'static str,
    /// What to do then.
    pub fix: &'static str,
    /// Tag of the playbook tasks that mend it, where that is safe and idempotent.
    pub tag: Option<&'static str>,
    /// It needs probe pods: unknown with `--read-only`.
    pub probes: bool,
    /// `None`: it does not apply to this cluster. An empty list is an unknown, never a pass.
    pub(super) eval: fn(&Ctx<'_>) -> Option<Vec<Finding>>,
}

/// All checks, by group.
pub fn registry() -> impl Iterator<Item = &'static Check> {
    [
        checks::machine::CHECKS,
        checks::names::CHECKS,
        checks::kernel::CHECKS,
        checks::packages::CHECKS,
        checks::runtime::CHECKS,
        checks::kubernetes::CHECKS,
        checks::workload::CHECKS,
        checks::certificates::CHECKS,
        checks::etcd::CHECKS,
        checks::network::CHECKS,
        checks::traffic::CHECKS,
        checks::services::CHECKS,
        checks::ports::CHECKS,
        checks::cloud::CHECKS,
    ]
    .into_iter()
    .flatten()
}

/// The check of this id.
pub fn find(id: &str) -> Option<&'static Check> {
    registry().find(|c| c.id == id)
}

/// Whether a check needs probe pods.
pub fn needs_probes(id: &str) -> bool {
    find(id).is_some_and(|c| c.probes)
}

/// Which checks a run is about. Words are ids, groups, or prefixes that end in `*`.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Only these; empty: all.
    pub only: Vec<String>,
    /// Not these.
    pub skip: Vec<String>,
    /// Nothing less severe.
    pub severity: Option<Severity>,
}

impl Selection {
    /// Whether a check belongs to it.
    pub fn has(&self, check: &Check) -> bool {
        let named = |words: &[String]| words.iter().any(|w| matches(w, check));
        (self.only.is_empty() || named(&self.only)) && !named(&self.skip) && self.severity.is_none_or(|least| check.severity >= least)
    }

    /// Words that name nothing, each with the nearest id: an error of the user, not an empty report.
    pub fn unknown_words(&self) -> Vec<(String, Option<&'static str>)> {
        let words = self.only.iter().chain(&self.skip);
        let unknown = words.filter(|w| !registry().any(|c| matches(w, c)));
        unknown.map(|w| (w.clone(), crate::text::nearest(w, registry().map(|c| c.id)))).collect()
    }
}

fn matches(word: &str, check: &Check) -> bool {
    word == check.id || word == check.group.name() || word.strip_suffix('*').is_some_and(|p| check.id.starts_with(p))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn ids_are_unique_begin_with_their_group_and_every_text_is_there() {
        let mut seen = HashSet::new();
        for c in registry() {
            assert!(seen.insert(c.id), "{} twice", c.id);
            assert!(c.id.starts_with(&format!("{}-", c.group.name())), "{}", c.id);
            for text in [c.title, c.expected, c.proves, c.causes, c.fix] {
                assert!(text.len() > 5 && !text.ends_with('.'), "{}: {text:?}", c.id);
            }
        }
        assert!(seen.len() >= 50, "{}", seen.len());
    }

    #[test]
    fn a_selection_takes_ids_groups_and_prefixes_and_knows_what_it_does_not_know() {
        let select = |only: &[&str]| Selection { only: only.iter().map(|s| (*s).to_owned()).collect(), ..Selection::default() };
        assert!(registry().filter(|c| select(&["network-pod-*"]).has(c)).count() >= 3);
        assert!(registry().filter(|c| select(&["machine"]).has(c)).all(|c| c.group == Group::Machine));
        assert_eq!(select(&["network-pod-udpp"]).unknown_words(), [("network-pod-udpp".to_owned(), Some("network-pod-udp"))]);
    }
}
