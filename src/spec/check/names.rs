//! Names, labels, taints and tags.

use super::pools;
use crate::{
    spec::{
        ClusterSpec, Provider,
        place::Places,
        scalars::{is_label, is_label_value, is_qualified_name},
    },
    text::{Problem, Problems, nearest},
};
use std::collections::HashSet;

const EFFECTS: &[&str] = &["NoSchedule", "PreferNoSchedule", "NoExecute"];
/// Groups that every inventory has, and the host that is always there.
const TAKEN: &[&str] = &["all", "ungrouped", "localhost"];

pub(super) fn check(spec: &ClusterSpec, places: &Places<'_>, problems: &mut Problems) {
    if places.has("cluster") && !is_label(&spec.name, 40) {
        let problem = Problem::at(&places.at("cluster"), format!("`{}` is not a name for a cluster", spec.name));
        problems.push(problem.hint("at most 40 lower-case letters, digits and dashes, with a letter or digit at both ends"));
    }
    pool_names(spec, places, problems);
    for (path, pool) in pools(spec) {
        for (key, value) in &pool.labels {
            label(&places.key(&format!("{path}.labels"), key), key, value, problems);
        }
        for (i, taint) in pool.taints.iter().enumerate() {
            check_taint(&places.at(&format!("{path}.taints.{i}")), taint, problems);
        }
    }
    tags(spec, places, problems);
    let user = &spec.access.user;
    let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-';
    if user.is_empty() || user.len() > 32 || !user.bytes().all(good) || user.starts_with(|c: char| c == '-' || c.is_ascii_digit()) {
        problems.push(Problem::at(&places.at("access.user"), format!("`{user}` is not a login name")));
    }
}

fn pool_names(spec: &ClusterSpec, places: &Places<'_>, problems: &mut Problems) {
    let nodes: HashSet<String> = spec.nodes().into_iter().map(|n| n.name).collect();
    let mut seen = HashSet::new();
    for (i, pool) in spec.pools.iter().enumerate() {
        let place = places.at(&format!("pools.{i}.name"));
        if !is_label(&pool.name, 40) {
            let problem = Problem::at(&place, format!("`{}` is not a name for a pool", pool.name));
            problems.push(problem.hint("node names are made from it: at most 40 lower-case letters, digits and dashes"));
        } else if pool.name == ClusterSpec::CONTROL_PLANE {
            problems.push(Problem::at(&place, "`control-plane` is the pool of the control planes").hint("set them under `control_plane`"));
        } else if TAKEN.contains(&pool.name.as_str()) {
            problems
                .push(Problem::at(&place, format!("`{}` has a meaning of its own in an inventory", pool.name)).hint("choose another name"));
        } else if nodes.contains(&pool.name) {
            problems.push(Problem::at(&place, format!("`{}` is the name of a node too", pool.name)).hint("choose another name"));
        }
        if !seen.insert(&pool.name) {
            problems.push(Problem::at(&place, format!("there are two pools `{}`", pool.name)));
        }
    }
    if let Provider::Static(hosts) = &spec.provider {
        let mut seen = HashSet::new();
        for (i, host) in hosts.iter().enumerate().filter(|(_, host)| !seen.insert(&host.name)) {
            problems.push(Problem::at(&places.at(&format!("hosts.{i}.name")), format!("there are two hosts `{}`", host.name)));
        }
    }
}

fn label(place: &crate::text::Span, key: &str, value: &str, problems: &mut Problems) {
    if !is_qualified_name(key) {
        let problem = Problem::at(place, format!("`{key}` is not the name of a label"));
        problems.push(problem.hint("letters, digits, `-`, `_` and `.`, at most 63, perhaps after a DNS name and `/`"));
    }
    if !is_label_value(value) {
        problems
            .push(Problem::at(place, format!("`{value}` is not a label's value")).hint("letters, digits, `-`, `_` and `.`, at most 63"));
    }
}

fn check_taint(place: &crate::text::Span, taint: &str, problems: &mut Problems) {
    let Some((key_value, effect)) = taint.rsplit_once(':') else {
        problems.push(Problem::at(place, format!("taint `{taint}` has no effect")).hint("write it like dedicated=gpu:NoSchedule"));
        return;
    };
    let (key, value) = key_value.split_once('=').unwrap_or((key_value, ""));
    label(place, key, value, problems);
    if !EFFECTS.contains(&effect) {
        let problem = Problem::at(place, format!("`{effect}` is not the effect of a taint"));
        problems.push(match nearest(effect, EFFECTS.iter().copied()) {
            Some(known) => problem.hint(format!("did you mean {known}?")),
            None => problem.hint(EFFECTS.join(", ")),
        });
    }
}

/// EC2's limits (docs.aws.amazon.com, Using_Tags: 128 and 256 characters, 50 tags, `aws:` reserved), minus our own tags.
fn tags(spec: &ClusterSpec, places: &Places<'_>, problems: &mut Problems) {
    if spec.tags.len() > 40 {
        problems.push(Problem::at(&places.at("tags"), format!("{} tags: EC2 allows 50 and kubewright keeps 10 of them", spec.tags.len())));
    }
    for (key, value) in &spec.tags {
        let place = places.key("tags", key);
        if key.is_empty() || key.chars().count() > 128 || value.chars().count() > 256 {
            problems.push(Problem::at(&place, format!("tag `{key}`: names have 1 to 128 characters, values at most 256")));
        }
        if key == "Name" || key.starts_with("aws:") || key.starts_with("kubewright.dev/") || key.starts_with("kubernetes.io/cluster/") {
            problems.push(
                Problem::at(&place, format!("tag `{key}` is not for you to set")).hint("it belongs to EC2, kubewright or Kubernetes"),
            );
        }
    }
}
