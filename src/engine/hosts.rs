//! Host patterns: which hosts a play is for.

use crate::inventory::Inventory;
use indexmap::IndexSet;

/// All hosts of a group, those of its children included, in inventory order.
pub(super) fn of_group(inventory: &Inventory, group: &str) -> Vec<String> {
    if group == "all" {
        return inventory.hosts.keys().cloned().collect();
    }
    let mut out = IndexSet::new();
    collect(inventory, group, &mut out, 0);
    out.into_iter().collect()
}

fn collect(inventory: &Inventory, group: &str, out: &mut IndexSet<String>, depth: usize) {
    let Some(found) = inventory.groups.get(group).filter(|_| depth < 50) else { return };
    out.extend(found.hosts.iter().cloned());
    for child in &found.children {
        collect(inventory, child, out, depth + 1);
    }
}

/// Hosts of a pattern; replaced by the inventory's own reader of patterns.
pub(super) fn select(inventory: &Inventory, pattern: &str) -> Result<Vec<String>, String> {
    let mut out = IndexSet::new();
    for part in pattern.split([',', ':']).map(str::trim).filter(|p| !p.is_empty()) {
        if inventory.hosts.contains_key(part) || matches!(part, "localhost" | "127.0.0.1") {
            out.insert(part.to_owned());
        } else {
            out.extend(of_group(inventory, part));
        }
    }
    Ok(out.into_iter().collect())
}
