//! Magic variables (ansible-core: vars/manager.py `_get_magic_variables`).

use super::scope::{HostVars, TaskScope};
use minijinja::Value;

/// Their names, for `vars`.
pub(super) const NAMES: [&str; 29] = [
    "inventory_hostname",
    "inventory_hostname_short",
    "group_names",
    "groups",
    "hostvars",
    "play_hosts",
    "ansible_play_hosts",
    "ansible_play_hosts_all",
    "ansible_play_batch",
    "ansible_play_name",
    "playbook_dir",
    "inventory_dir",
    "inventory_file",
    "ansible_forks",
    "role_name",
    "ansible_role_name",
    "role_path",
    "role_names",
    "ansible_role_names",
    "ansible_play_role_names",
    "ansible_parent_role_names",
    "ansible_parent_role_paths",
    "ansible_check_mode",
    "ansible_diff_mode",
    "ansible_version",
    "ansible_verbosity",
    "ansible_run_tags",
    "ansible_skip_tags",
    "ansible_search_path",
];

pub(super) fn get(scope: &TaskScope, name: &str) -> Option<Value> {
    let frame = &scope.frame;
    let (world, host) = (&frame.world, &frame.host.name);
    let task = frame.task.as_ref();
    let role = task.and_then(|t| t.role.as_ref());
    Some(match name {
        "inventory_hostname" => Value::from(host.as_str()),
        "inventory_hostname_short" => Value::from(host.split('.').next().unwrap_or(host)),
        "group_names" => world.with_inventory(|i| i.group_names(host).into_iter().map(Value::from).collect()),
        "groups" => world.with_inventory(|inventory| {
            let groups = inventory.groups_dict().into_iter();
            Value::from_pairs(groups.map(|(name, hosts)| (Value::from(name), hosts.into_iter().map(Value::from).collect::<Value>())))
        }),
        "hostvars" => HostVars::value(scope),
        "play_hosts" | "ansible_play_batch" => {
            let run = frame.run.as_ref()?;
            run.batch.iter().filter(|h| world.host(h).data().alive()).map(|h| Value::from(h.as_str())).collect()
        }
        "ansible_play_hosts" => {
            let run = frame.run.as_ref()?;
            run.all.iter().filter(|h| world.host(h).data().alive()).map(|h| Value::from(h.as_str())).collect()
        }
        "ansible_play_hosts_all" => frame.run.as_ref()?.all.iter().map(|h| Value::from(h.as_str())).collect(),
        "ansible_play_name" => {
            let play = &frame.run.as_ref()?.play;
            match &play.name {
                Some(name) if name.contains("{{") => world.templar.render(name, scope).unwrap_or_else(|_| name.as_str().into()),
                Some(name) => name.as_str().into(),
                None => super::value::as_list(&play.hosts.value).join(",").into(),
            }
        }
        "playbook_dir" => {
            let dir = task.map(|t| &t.playbook_dir).or_else(|| frame.run.as_ref().map(|r| &r.play.directory))?;
            Value::from(absolute(dir))
        }
        "inventory_dir" => {
            let own = |i: &crate::inventory::Inventory| i.hosts.get(host)?.source.as_ref()?.parent().map(std::path::Path::to_owned);
            Value::from(absolute(&world.with_inventory(|i| own(i).or_else(|| i.directory.clone()))?))
        }
        "inventory_file" => Value::from(absolute(&world.with_inventory(|i| i.hosts.get(host)?.source.clone())?)),
        "ansible_forks" => Value::from(world.options.forks),
        "role_name" | "ansible_role_name" => Value::from(role?.name.as_str()),
        "role_path" => Value::from(absolute(&role?.directory)),
        "role_names" | "ansible_play_role_names" | "ansible_dependent_role_names" => {
            let dependent = name == "ansible_dependent_role_names";
            let roles = frame.run.as_ref()?.play.roles.iter();
            roles.filter(|r| r.dependency == dependent).map(|r| Value::from(r.name.as_str())).collect()
        }
        "ansible_role_names" => {
            let mut names = std::collections::BTreeSet::new();
            let mut open: Vec<_> = frame.run.as_ref()?.play.roles.iter().collect();
            while let Some(role) = open.pop() {
                names.insert(role.name.as_str());
                open.extend(&role.dependencies);
            }
            names.into_iter().map(Value::from).collect()
        }
        "ansible_parent_role_names" => parents(role?).iter().rev().map(|(n, _)| Value::from(n.as_str())).collect(),
        "ansible_parent_role_paths" => parents(role?).iter().rev().map(|(_, p)| Value::from(absolute(p))).collect(),
        "ansible_check_mode" => Value::from(check_mode(scope)),
        "ansible_diff_mode" => Value::from(world.options.diff),
        "ansible_verbosity" => Value::from(world.options.verbosity),
        "ansible_run_tags" => {
            let tags = &world.options.tags;
            if tags.is_empty() { Value::from(vec!["all"]) } else { tags.iter().map(|t| Value::from(t.as_str())).collect() }
        }
        "ansible_skip_tags" => world.options.skip_tags.iter().map(|t| Value::from(t.as_str())).collect(),
        "ansible_version" => Value::from_pairs([
            ("full", Value::from("2.19.0")),
            ("string", Value::from("2.19.0")),
            ("major", Value::from(2)),
            ("minor", Value::from(19)),
            ("revision", Value::from(0)),
        ]),
        // Not among NAMES: it exists only where a task is delegated.
        "ansible_delegated_vars" => {
            let delegate = task?.keywords.delegate_to.as_ref()?;
            let name = super::value::as_text(&world.templar.render_value(&delegate.value, scope).ok()?);
            let vars = HostVars::value(scope).get_item(&Value::from(name.as_str())).ok()?;
            Value::from_pairs([(name, vars)])
        }
        "ansible_search_path" => super::files::search_dirs(task?).into_iter().map(|p| Value::from(absolute(&p))).collect(),
        _ => return None,
    })
}

/// The roles that include a role; those that depend on it do not count.
fn parents(role: &crate::playbook::Role) -> &[(String, std::path::PathBuf)] {
    if role.dependency { &[] } else { &role.parents }
}

/// Whether a task may only look: its own `check_mode`, else the run's.
pub(super) fn check_mode(scope: &TaskScope) -> bool {
    let own = scope.frame.task.as_ref().and_then(|t| t.keywords.check_mode.as_ref());
    // A template here would read this very variable: literals only.
    own.and_then(|raw| super::value::as_bool(&raw.value)).unwrap_or(scope.frame.world.options.check)
}

/// As variables show paths.
pub(super) fn absolute(path: &std::path::Path) -> String {
    if path.starts_with(crate::playbook::EMBEDDED) {
        return path.display().to_string();
    }
    std::path::absolute(if path.as_os_str().is_empty() { std::path::Path::new(".") } else { path })
        .unwrap_or_else(|_| path.to_owned())
        .display()
        .to_string()
}
