//! Which tasks `--tags` and `--skip-tags` select (ansible-core: playbook/taggable.py).

use super::RunOptions;

pub(super) fn selected(tags: &[String], options: &RunOptions) -> bool {
    let has = |name: &str| tags.iter().any(|t| t == name);
    let tagged = !tags.is_empty();
    let only = |wanted: &str| match wanted {
        "all" => !has("never"),
        "tagged" => tagged && !has("never"),
        "untagged" => !tagged,
        other => has(other),
    };
    let run = if options.tags.is_empty() { !has("never") } else { has("always") || options.tags.iter().any(|t| only(t)) };
    let skip = |unwanted: &String| match unwanted.as_str() {
        "all" => !(has("always") && !options.skip_tags.iter().any(|t| t == "always")),
        "tagged" => tagged,
        other => has(other),
    };
    run && !options.skip_tags.iter().any(skip)
}

#[cfg(test)]
mod tests {
    use super::{RunOptions, selected};

    #[test]
    fn as_taggable_py_decides() {
        let on = |tags: &str, only: &str, skip: &str| {
            let list = |t: &str| t.split(',').filter(|t| !t.is_empty()).map(str::to_owned).collect::<Vec<_>>();
            selected(&list(tags), &RunOptions { tags: list(only), skip_tags: list(skip), ..RunOptions::default() })
        };
        assert!(on("", "", "") && on("a", "a", "") && !on("a", "b", "") && !on("", "b", ""));
        assert!(on("always", "b", "") && !on("always", "", "always") && !on("never", "", "") && on("never,x", "x", ""));
        assert!(!on("a", "", "a") && on("a", "tagged", "") && !on("", "tagged", "") && on("", "untagged", ""));
        assert!(!on("a,never", "all", "") && on("always", "", "all") && !on("x", "", "all"));
    }
}
