use super::{Fields, Node, Style, Yaml, parse, read};
use crate::text::{Problems, SourceFile};
use proptest::prelude::*;

fn one(text: &str) -> Node {
    parse(&SourceFile::new("t.yml", text)).unwrap().remove(0)
}

fn errors(text: &str) -> String {
    parse(&SourceFile::new("t.yml", text)).unwrap_err().to_string()
}

fn json(text: &str) -> String {
    serde_json::to_string(&one(text).to_value()).unwrap()
}

#[test]
fn order_is_kept_and_quoted_text_stays_text() {
    assert_eq!(json("b: 1\na: 'yes'\nc: [0644, \"0644\", on]\n"), r#"{"b":1,"a":"yes","c":[420,"0644",true]}"#);
    assert_eq!(json("x: |\n  a\n  b\ny: >-\n  a\n  b\n"), r#"{"x":"a\nb\n","y":"a b"}"#);
}

#[test]
fn spans_name_bytes() {
    let node = one("é: {a: 1}\nlist:\n  - one\n  - two\n\nz: 1\n");
    assert_eq!(node.get("é").unwrap().span.text(), "{a: 1}");
    assert_eq!(node.get("list").unwrap().span.text(), "- one\n  - two");
    assert_eq!(node.get("list").unwrap().items().unwrap()[1].span.to_string(), "t.yml:4:5");
    assert_eq!(node.get("z").unwrap().style, Style::Plain);
}

/// As PyYAML reads it, and places stay right behind it.
#[test]
fn quoted_text_may_go_on_at_any_indentation() {
    let text = "a:\n  b: 'one\n two\n  three\n\n  four'\n  c: \"x\ny\"\nd: 1\n";
    assert_eq!(json(text), r#"{"a":{"b":"one two three\nfour","c":"x y"},"d":1}"#);
    assert_eq!(one(text).get("d").unwrap().span.to_string(), "t.yml:9:4");
    assert_eq!(one(text).get("a").unwrap().get("c").unwrap().span.text(), "\"x\ny\"");
}

/// The order and the values are PyYAML's.
#[test]
fn merge_keys() {
    assert_eq!(
        json("a: &a {x: 1, y: 2}\nb: &b {y: 3, z: 4}\nc:\n  z: 9\n  <<: [*a, *b]\n  w: 5\n").split_once("\"c\":").unwrap().1,
        r#"{"y":2,"z":9,"x":1,"w":5}}"#
    );
    assert_eq!(json("'<<': 1\n"), r#"{"<<":1}"#);
    assert!(errors("<<: 5\n").contains("t.yml:1:5: `<<` merges mappings, this is a whole number"));
}

#[test]
fn a_repeated_key_warns_and_the_last_wins_in_the_first_place() {
    let parsed = read(&SourceFile::new("t.yml", "a: 1\nb: 2\na: 3\n")).unwrap();
    assert_eq!(serde_json::to_string(&parsed.documents[0].to_value()).unwrap(), r#"{"a":3,"b":2}"#);
    assert_eq!(parsed.warnings.to_string(), "t.yml:3:1: key `a` stands here twice; the last one wins");
}

#[test]
fn tags_are_kept() {
    let node = one("v: !vault |\n  $ANSIBLE_VAULT;1.1;AES256\n  6162\nu: !unsafe '{{ x }}'\ns: !!str 12\ni: !!int '12'\n");
    assert!(node.get("v").unwrap().is_vault());
    assert_eq!(node.get("v").unwrap().as_str(), Some("$ANSIBLE_VAULT;1.1;AES256\n6162\n"));
    assert!(node.get("u").unwrap().to_value().is_safe());
    assert_eq!(node.get("s").unwrap().as_str(), Some("12"));
    assert_eq!(node.get("i").unwrap().value, Yaml::Int(12));
}

#[test]
fn the_famous_hint() {
    for text in ["key: {{ x }}\n", "a:\n  key: {{ x }}/bin\n", "- {{ x }}\n", "a: {{ x }}\nb: 2\n"] {
        assert!(errors(text).contains("needs quotes: key: \"{{ x }}\""), "{text}: {}", errors(text));
    }
    assert!(errors("a: b: c\n").contains("needs quotes"));
    assert!(errors("a:\n\tb: 1\n").contains("spaces"), "{}", errors("a:\n\tb: 1\n"));
    assert!(errors("a: \"x\" y\n").contains("follows the closing"));
    assert!(errors("a: @x\n").contains("starts with `@`"));
}

#[test]
fn documents() {
    assert_eq!(parse(&SourceFile::new("t.yml", "")).unwrap().len(), 0);
    assert_eq!(parse(&SourceFile::new("t.yml", "# nothing\n")).unwrap().len(), 0);
    assert_eq!(parse(&SourceFile::new("t.yml", "---\na: 1\n---\nb: 1\n...\n")).unwrap().len(), 2);
}

#[test]
fn billion_laughs_and_deep_nesting_are_refused() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for i in 1..12 {
        let previous = format!("*a{}, ", i - 1).repeat(10);
        text = format!("{text}a{i}: &a{i} [{previous}]\n");
    }
    assert!(errors(&text).contains("aliases expand"));
    assert!(errors(&"[".repeat(10_000)).contains("t.yml:1:"));
    let mut deep = format!("a0: &a0 {}{}\n", "[".repeat(100), "]".repeat(100));
    deep = format!("{deep}a1: {}*a0{}\n", "[".repeat(150), "]".repeat(150));
    assert!(errors(&deep).contains("deeper"));
    assert!(errors("a: &a [*a]\n").contains("inside the value"));
}

#[test]
fn fields_gather_every_problem() {
    let node = one("nmae: x\ncount: many\nlist: [1, two]\nport: 70000\n");
    let mut problems = Problems::default();
    let mut fields = Fields::new(&node, "a pool", &mut problems);
    assert_eq!(fields.required::<String>("name"), None);
    assert_eq!(fields.or("count", 3_u32), 3);
    assert_eq!(fields.optional::<Vec<u8>>("list"), None);
    assert_eq!(fields.optional::<u16>("port"), None);
    assert_eq!(fields.optional::<bool>("spot"), None);
    fields.finish();
    assert_eq!(
        problems.to_string(),
        "t.yml:1:1: a pool has no `name`\n\
         t.yml:2:8: a whole number is wanted here, this is text\n\
         t.yml:3:11: a whole number is wanted here, this is text\n\
         t.yml:4:7: 70000 is not between 0 and 65535\n\
         t.yml:1:1: a pool has no key `nmae` (did you mean `name`?)"
    );
}

proptest! {
    #[test]
    fn no_input_panics(text in "[ -~\\n\\t]{0,80}|\\PC{0,40}|([a-c]: |- |\\[|\\]|\\{|\\}|\\n|  |\"|'|&a |\\*a|<<: |!vault |\\||>|#|,|\\? |---|%|é|\\u{feff}){0,30}") {
        let file = SourceFile::new("p.yml", text);
        match read(&file) {
            Ok(parsed) => for node in &parsed.documents {
                let _ = node.to_value();
                let _ = node.as_text();
            },
            Err(problems) => {
                prop_assert!(problems.has_errors());
                prop_assert!(problems.0.iter().all(|p| p.span.is_some()));
            }
        }
    }
}
