//! Which tasks `--tags` and `--skip-tags` select (ansible-core: playbook/taggable.py).

/// Whether a task with these tags runs.
pub fn selected(tags: &[String], only: &[String], skip: &[String]) -> bool {
    let has = |name: &str| tags.iter().any(|t| t == name);
    let tagged = !tags.is_empty();
    let wanted = |tag: &str| match tag {
        "all" => !has("never"),
        "tagged" => tagged && !has("never"),
        "untagged" => !tagged,
        other => has(other),
    };
    let run = if only.is_empty() { !has("never") } else { has("always") || only.iter().any(|t| wanted(t)) };
    let unwanted = |tag: &String| match tag.as_str() {
        "all" => !has("always") || skip.iter().any(|t| t == "always"),
        "tagged" => tagged,
        other => has(other),
    };
    run && !skip.iter().any(unwanted)
}

#[cfg(test)]
mod tests {
    #[test]
    fn as_taggable_py_decides() {
        let on = |tags: &str, only: &str, skip: &str| {
            let list = |t: &str| t.split(',').filter(|t| !t.is_empty()).map(str::to_owned).collect::<Vec<_>>();
            super::selected(&list(tags), &list(only), &list(skip))
        };
        assert!(on("", "", "") && on("a", "a", "") && !on("a", "b", "") && !on("", "b", ""));
        assert!(on("always", "b", "") && !on("always", "", "always") && !on("never", "", "") && on("never,x", "x", ""));
        assert!(!on("a", "", "a") && on("a", "tagged", "") && !on("", "tagged", "") && on("", "untagged", ""));
        assert!(!on("a,never", "all", "") && on("always", "", "all") && !on("x", "", "all"));
    }
}
