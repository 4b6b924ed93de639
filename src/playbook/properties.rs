//! Any text: no panic; words come back as they were written.

use super::{LoadOptions, PlaybookSource, args, load};
use crate::template::Templar;
use proptest::prelude::*;
use std::sync::Arc;

/// Pieces that playbooks are made of, in any order.
fn text() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "- hosts: all\n",
        "  tasks:\n",
        "  - debug: msg=x\n",
        "  - name: x\n",
        "    command: echo\n",
        "    when: a is defined\n",
        "    loop: [1]\n",
        "    register: r\n",
        "  - block:\n",
        "    - fail:\n",
        "    rescue:\n",
        "  roles: [a]\n",
        "  vars: {a: 1}\n",
        "{{ a }}",
        "{{ a",
        "{% if %}",
        "- ",
        "  ",
        "\n",
        ": ",
        "[",
        "{",
        "'",
        "\"",
        "&a ",
        "*a",
        "!vault x",
        "|\n",
        ">\n",
        "#",
        "  - include_tasks: x.yml\n",
        "  - meta: noop\n",
        "  handlers:\n",
        "\t",
        "  - import_tasks: y.yml\n",
        "    until: ok\n",
        "    notify: n\n",
        "    with_items: \"{{ b }}\"\n",
        "é",
        "\u{0}",
        "k=v",
        "a='b c'",
        "- import_playbook: z.yml\n",
    ]);
    prop::collection::vec(piece, 0..16).prop_map(|p| p.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn playbooks(text in text()) {
        let options = LoadOptions::new(Arc::new(Templar::new()));
        let _ = load(&[PlaybookSource::Text { name: "p".into(), text }], &options);
    }

    #[test]
    fn arguments(text in text()) {
        let _ = args::key_values(&text);
        let _ = args::free_form(&text);
    }

    #[test]
    fn key_value_pairs_come_back(pairs in prop::collection::vec(("[a-z]{1,6}", "[a-zA-Z0-9/ .:,_-]{1,12}"), 1..5)) {
        let line = pairs.iter().map(|(k, v)| format!("{k}=\"{v}\"")).collect::<Vec<_>>().join(" ");
        let (found, rest) = args::key_values(&line).unwrap();
        prop_assert_eq!(found, pairs);
        prop_assert_eq!(rest, None);
    }
}
