//! Any text: no panic, and what is accepted can be asked.

use super::{Inventory, hosts, shell_words};
use proptest::prelude::*;

/// Pieces that inventories are made of, and some that they are not.
fn text() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "[",
        "]",
        "a",
        "b1",
        "web",
        ":vars",
        ":children",
        "\n",
        " ",
        "=",
        "'",
        "\"",
        "\\",
        "#",
        ";",
        "[1:3]",
        "[a:c:2]",
        "[01:10]",
        ":",
        ",",
        "{{ x }}",
        "ansible_host",
        "-",
        "!",
        "&",
        "~",
        "*",
        "(",
        "é",
        "\u{0}",
        "[0]",
        "[1:]",
        "[-1]",
        "[999999999999]",
        "[0:99999999999]",
        "all",
        "yes",
        "0644",
    ]);
    prop::collection::vec(piece, 0..24).prop_map(|p| p.concat())
}

fn load(text: &str, ending: &str) -> Option<Inventory> {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join(format!("hosts{ending}"));
    std::fs::write(&file, text).unwrap();
    Inventory::load(&[file], None).ok()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn inventories(text in text(), ending in prop::sample::select(vec!["", ".ini", ".yml"])) {
        if let Some(inventory) = load(&text, ending) {
            let _ = inventory.to_json_list();
            let _ = inventory.to_graph("all");
            let all = inventory.select("all").unwrap();
            // A host may bear the name of a group.
            prop_assert!(all.len() <= inventory.hosts.len());
        }
    }

    #[test]
    fn patterns(pattern in text()) {
        let inventory = load("[web]\nb1\nb2\n[a]\nc[1:3]\n", ".ini").unwrap();
        if let Ok(hosts) = inventory.select(&pattern) {
            prop_assert!(hosts.iter().all(|h| inventory.hosts.contains_key(h) || h == "localhost" || h == "127.0.0.1" || h == "::1"), "{hosts:?}");
        }
        let _ = inventory.unmatched(&pattern);
    }

    #[test]
    fn words_and_ranges(text in text()) {
        let _ = shell_words::split(&text);
        let _ = hosts::expand(&text);
    }

    #[test]
    fn quoted_words_come_back(words in prop::collection::vec("[a-z0-9 '\"$#é-]{1,8}", 0..5)) {
        let line = words.iter().map(|w| crate::shell::quote(w)).collect::<Vec<_>>().join(" ");
        prop_assert_eq!(shell_words::split(&line).ok(), Some(words));
    }

    #[test]
    fn extra_variables(text in text()) {
        let _ = super::extra_vars(&[text]);
    }
}
