//! What `ansible-inventory` prints (ansible: cli/inventory.py): `--list`, `--host`, `--graph`.

use super::{Inventory, Raw, RawVars};
use crate::text::Problem;
use minijinja::{Value, value::ValueKind};
use serde_json::{Map, Value as Json, json};
use std::collections::HashSet;

impl Inventory {
    /// `ansible-inventory --list`: groups, and every host's merged variables under `_meta`.
    pub fn to_json_list(&self) -> Result<String, Problem> {
        let mut out = Map::new();
        self.group_json("all", &mut HashSet::new(), &mut out);
        let mut hostvars = Map::new();
        for host in self.hosts_of("all") {
            let vars = json_vars(&self.host_vars(host))?;
            if !vars.is_empty() {
                hostvars.insert(host.to_owned(), Json::Object(vars));
            }
        }
        out.insert("_meta".to_owned(), json!({"hostvars": hostvars, "profile": "inventory_legacy"}));
        Ok(python_json(&Json::Object(out)))
    }

    fn group_json<'a>(&'a self, name: &str, seen: &mut HashSet<&'a str>, out: &mut Map<String, Json>) {
        let Some(group) = self.groups.get(name) else { return };
        let mut json = Map::new();
        if name != "all" && !group.hosts.is_empty() {
            json.insert("hosts".to_owned(), json!(group.hosts));
        }
        if !group.children.is_empty() {
            json.insert("children".to_owned(), json!(group.children));
        }
        for child in &group.children {
            if seen.insert(child) {
                self.group_json(child, seen, out);
            }
        }
        if !json.is_empty() {
            out.insert(name.to_owned(), Json::Object(json));
        }
    }

    /// `ansible-inventory --host NAME`: its merged variables.
    pub fn to_json_host(&self, name: &str) -> Result<String, Problem> {
        let hosts = self.select(name)?;
        let [host] = hosts.as_slice() else {
            let problem = Problem::new(format!("`{name}` is not one host"));
            return Err(match crate::text::nearest(name, self.hosts.keys().map(String::as_str)) {
                Some(near) => problem.hint(format!("did you mean `{near}`?")),
                None => problem,
            });
        };
        json_vars(&self.host_vars(host)).map(|vars| python_json(&Json::Object(vars)))
    }

    /// `ansible-inventory --graph [GROUP]`: the tree of groups and hosts.
    pub fn to_graph(&self, group: &str) -> Result<String, Problem> {
        if !self.groups.contains_key(group) {
            let problem = Problem::new(format!("there is no group `{group}`"));
            return Err(match crate::text::nearest(group, self.groups.keys().map(String::as_str)) {
                Some(near) => problem.hint(format!("did you mean `{near}`?")),
                None => problem,
            });
        }
        let mut lines = Vec::new();
        self.graph_lines(group, 0, &mut lines);
        Ok(lines.join("\n"))
    }

    fn graph_lines(&self, name: &str, depth: usize, lines: &mut Vec<String>) {
        let Some(group) = self.groups.get(name) else { return };
        let line = |text: &str, depth: usize| if depth == 0 { text.to_owned() } else { format!("{}--{text}", "  |".repeat(depth)) };
        lines.push(line(&format!("@{name}:"), depth));
        for child in &group.children {
            self.graph_lines(child, depth + 1, lines);
        }
        if name != "all" {
            lines.extend(group.hosts.iter().map(|host| line(host, depth + 1)));
        }
    }
}

fn json_vars(vars: &RawVars) -> Result<Map<String, Json>, Problem> {
    vars.iter().map(|(name, raw)| json_value(raw).map(|json| (name.clone(), json))).collect()
}

fn json_value(raw: &Raw) -> Result<Json, Problem> {
    let Some(why) = locked(&raw.value) else {
        return serde_json::to_value(&raw.value).map_err(|e| Problem::new(e.to_string()));
    };
    // What stays encrypted is shown encrypted, as Ansible shows it.
    let text = raw.span.as_ref().map(crate::text::Span::text).unwrap_or_default();
    match text.find("$ANSIBLE_VAULT") {
        Some(at) if raw.value.kind() == ValueKind::Invalid => {
            Ok(json!({"__ansible_vault": text[at..].lines().flat_map(|l| [l.trim(), "\n"]).collect::<String>()}))
        }
        _ => Err(Problem::new(why)),
    }
}

/// Why a value, or something inside it, cannot be used: it is encrypted and no password opens it. Templates notice by
/// themselves; whoever takes values elsewhere (serde writes `null` for these) asks here first.
pub fn locked(value: &Value) -> Option<String> {
    match value.kind() {
        ValueKind::Invalid => {
            let text = value.to_string();
            let inner = text.strip_prefix("<invalid value: ").and_then(|t| t.strip_suffix('>'));
            Some(inner.unwrap_or(&text).trim_start_matches("invalid operation: ").to_owned())
        }
        ValueKind::Map => value.try_iter().ok()?.filter_map(|key| value.get_item(&key).ok()).find_map(|v| locked(&v)),
        ValueKind::Seq => (0..value.len()?).filter_map(|i| value.get_item_by_index(i).ok()).find_map(|v| locked(&v)),
        _ => None,
    }
}

/// JSON as Python's `json.dumps(value, sort_keys=True, indent=4, ensure_ascii=False)` writes it.
pub fn python_json(value: &Json) -> String {
    let mut bytes = Vec::new();
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, serde_json::ser::PrettyFormatter::with_indent(b"    "));
    // Writing JSON into memory cannot fail.
    let _ = serde::Serialize::serialize(&sorted(value), &mut serializer);
    String::from_utf8(bytes).unwrap_or_default()
}

fn sorted(value: &Json) -> Json {
    match value {
        Json::Object(map) => {
            let mut entries: Vec<_> = map.iter().map(|(k, v)| (k.clone(), sorted(v))).collect();
            entries.sort_by(|a, b| a.0.cmp(&b.0));
            Json::Object(entries.into_iter().collect())
        }
        Json::Array(items) => Json::Array(items.iter().map(sorted).collect()),
        other => other.clone(),
    }
}
