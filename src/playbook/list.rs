//! What a playbook would do, without doing it: `--list-tasks`, `--list-tags`, `--list-hosts`.

use super::{Entry, Play, Playbook, Task, role::tasks_of};
use crate::{inventory::Inventory, text::Problem};
use minijinja::Value;
use std::{collections::BTreeSet, fmt::Write as _, sync::Arc};

/// The title of a play in lists: its name, else its hosts.
fn title(play: &Play) -> String {
    play.name.clone().unwrap_or_else(|| pattern(&play.hosts.value))
}

fn pattern(hosts: &Value) -> String {
    match hosts.as_str() {
        Some(text) => text.to_owned(),
        None => hosts.try_iter().map(|i| i.map(|v| v.to_string()).collect::<Vec<_>>().join(",")).unwrap_or_default(),
    }
}

fn tasks(play: &Play) -> Vec<Arc<Task>> {
    [&play.pre_tasks, &play.tasks, &play.post_tasks].into_iter().flat_map(|entries: &Arc<[Entry]>| tasks_of(entries)).collect()
}

fn tags(list: &[String]) -> String {
    let sorted: BTreeSet<&str> = list.iter().map(String::as_str).collect();
    format!("[{}]", sorted.into_iter().collect::<Vec<_>>().join(", "))
}

/// Plays and tasks that the tags select, with their tags, as `ansible-playbook --list-tasks` prints them.
pub fn list_tasks(playbook: &Playbook, only: &[String], skip: &[String]) -> String {
    let mut out = String::new();
    for (number, play) in playbook.plays.iter().enumerate() {
        // Writing to a String cannot fail.
        let _ =
            writeln!(out, "  play #{} ({}): {}\tTAGS: {}", number + 1, pattern(&play.hosts.value), title(play), tags(&play.keywords.tags));
        let _ = writeln!(out, "    tasks:");
        for task in tasks(play).iter().filter(|t| super::selected(&t.keywords.tags, only, skip)) {
            let _ = writeln!(out, "      {}\tTAGS: {}", task.title(), tags(&task.keywords.tags));
        }
    }
    out
}

/// All tags by play.
pub fn list_tags(playbook: &Playbook) -> String {
    let mut out = String::new();
    for (number, play) in playbook.plays.iter().enumerate() {
        let all: Vec<String> = tasks(play).iter().flat_map(|t| t.keywords.tags.clone()).collect();
        let _ =
            writeln!(out, "  play #{} ({}): {}\tTAGS: {}", number + 1, pattern(&play.hosts.value), title(play), tags(&play.keywords.tags));
        let _ = writeln!(out, "      TASK TAGS: {}", tags(&all));
    }
    out
}

/// The hosts of every play. A pattern that is a template cannot be known offline and is shown as it is.
pub fn list_hosts(playbook: &Playbook, inventory: &Inventory, limit: Option<&str>) -> Result<String, Problem> {
    let mut out = String::new();
    for (number, play) in playbook.plays.iter().enumerate() {
        let pattern = pattern(&play.hosts.value);
        let hosts = if pattern.contains("{{") { Vec::new() } else { inventory.select_limited(&pattern, limit)? };
        let _ = writeln!(out, "  play #{} ({pattern}): {}\tTAGS: {}", number + 1, title(play), tags(&play.keywords.tags));
        let _ = writeln!(out, "    pattern: [{pattern}]\n    hosts ({}):", hosts.len());
        for host in hosts {
            let _ = writeln!(out, "      {host}");
        }
    }
    Ok(out)
}
