//! `--list-tasks`, `--list-tags`, `--list-hosts`: what a playbook is about, offline, as ansible-playbook prints it.

use crate::playbook::{Entry, Playbook, Task};
use std::{collections::BTreeSet, fmt::Write as _, sync::Arc};

fn walk(entries: &[Entry], found: &mut Vec<Arc<Task>>) {
    for entry in entries {
        match entry {
            Entry::Task(task) => found.push(Arc::clone(task)),
            Entry::Block(block) => {
                for part in [&block.body, &block.rescue, &block.always] {
                    walk(part, found);
                }
            }
            Entry::Flush | Entry::Role(..) => {}
        }
    }
}

fn tasks(play: &crate::playbook::Play) -> Vec<Arc<Task>> {
    let mut found = Vec::new();
    for part in [&play.pre_tasks, &play.tasks, &play.post_tasks] {
        walk(part, &mut found);
    }
    found
}

fn tags_of(task: &Task) -> BTreeSet<String> {
    task.keywords.tags.iter().cloned().collect()
}

fn head(number: usize, play: &crate::playbook::Play) -> String {
    let hosts = play.hosts.value.to_string();
    format!("\n  play #{} ({hosts}): {}", number + 1, play.name.clone().unwrap_or(hosts.clone()))
}

/// `--list-tasks`
pub fn list_tasks(playbook: &Playbook, only: &[String], skip: &[String]) -> String {
    let mut out = String::new();
    for (number, play) in playbook.plays.iter().enumerate() {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{}\n    tasks:", head(number, play));
        for task in tasks(play) {
            let tags = tags_of(&task);
            let wanted = only.is_empty() || tags.contains("always") || only.iter().any(|t| t == "all" || tags.contains(t));
            if wanted && !skip.iter().any(|t| tags.contains(t)) {
                let _ = writeln!(out, "      {}\tTAGS: [{}]", task.title(), tags.into_iter().collect::<Vec<_>>().join(", "));
            }
        }
    }
    out
}

/// `--list-tags`
pub fn list_tags(playbook: &Playbook) -> String {
    let mut out = String::new();
    for (number, play) in playbook.plays.iter().enumerate() {
        let tags: BTreeSet<String> = tasks(play).iter().flat_map(|t| tags_of(t)).collect();
        let _ = writeln!(out, "{}\n      TASK TAGS: [{}]", head(number, play), tags.into_iter().collect::<Vec<_>>().join(", "));
    }
    out
}

/// `--list-hosts`
pub fn list_hosts(
    playbook: &Playbook,
    inventory: &crate::inventory::Inventory,
    limit: Option<&str>,
) -> Result<String, crate::text::Problem> {
    let limit = limit.map(|l| inventory.select(l)).transpose()?;
    let mut out = String::new();
    for (number, play) in playbook.plays.iter().enumerate() {
        let mut hosts = inventory.select(&play.hosts.value.to_string())?;
        hosts.retain(|h| limit.as_ref().is_none_or(|l| l.contains(h)));
        let _ = writeln!(out, "{}\n    hosts ({}):", head(number, play), hosts.len());
        for host in hosts {
            let _ = writeln!(out, "      {host}");
        }
    }
    Ok(out)
}
