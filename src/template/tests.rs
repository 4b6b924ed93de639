//! What the engine relies on: types, undefined, conditions, free variables, checks.

use super::{Kind, Templar, TemplateError, TemplateFile, has_templates};
use minijinja::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

fn scope(json: &str) -> BTreeMap<String, Value> {
    let value: serde_json::Map<String, serde_json::Value> = serde_json::from_str(json).unwrap();
    value.into_iter().map(|(k, v)| (k, Value::from(minijinja::value::Serde(v)))).collect()
}

fn render(text: &str, json: &str) -> Result<Value, TemplateError> {
    Templar::new().render(text, &scope(json))
}

#[test]
fn one_expression_keeps_its_type_and_more_is_text() {
    assert_eq!(render("{{ x }}", r#"{"x":[1,2]}"#).unwrap(), Value::from(vec![1, 2]));
    assert_eq!(render("{{ x }}\n", r#"{"x":1}"#).unwrap(), Value::from(1));
    assert_eq!(render("{{ x }}\n", r#"{"x":"a"}"#).unwrap(), Value::from("a\n"));
    assert_eq!(render("{{ x }}{# note #}", r#"{"x":1}"#).unwrap(), Value::from(1));
    assert_eq!(render("a{{ x }}", r#"{"x":[1,"b"]}"#).unwrap(), Value::from("a[1, 'b']"));
    assert_eq!(render("{% if true %}{{ x }}{% endif %}", r#"{"x":[1]}"#).unwrap(), Value::from(vec![1]));
    assert_eq!(render("a{{ x }}b", r#"{"x":null}"#).unwrap(), Value::from("ab"));
}

#[test]
fn undefined_names_the_variable() {
    let cases = [
        ("{{ u }}", "u"),
        ("{{ u.a.b }}", "u"),
        ("{{ m.y.z }}", "m.y"),
        ("{{ m['y'] ~ 'x' }}", "m.y"),
        ("{% if m.x is defined %}{{ m.x }}{{ q.r }}{% endif %}", "q"),
        ("{{ a is defined and b.c == 1 or d }}", "d"),
        ("{{ [u] }}", "u"),
        ("{{ f(1) }}", "f"),
        ("line\n{{ m.nope }}", "m.nope"),
        ("{% for i in l %}{{ i.k }}{% endfor %}", "i.k"),
    ];
    for (text, name) in cases {
        let e = render(text, r#"{"m":{"x":1},"l":[{}]}"#).unwrap_err();
        assert_eq!((e.kind, e.variable.as_deref()), (Kind::Undefined, Some(name)), "{text}: {e}");
    }
}

#[test]
fn undefined_chains_before_default_and_defined() {
    for text in ["{{ u.a.b | default('d') }}", "{{ 'd' if u.a.b is not defined }}", "{{ m.x.y.z|d('d') }}", "{{ u.get('k')|default('d') }}"]
    {
        assert_eq!(render(text, r#"{"m":{"x":1}}"#).unwrap(), Value::from("d"), "{text}");
    }
}

#[test]
fn unsafe_text_is_left_alone() {
    let value = Value::from(vec![Value::from_safe_string("{{ u }}".into()), Value::from("{{ 1 }}")]);
    let rendered = Templar::new().render_value(&value, &scope("{}")).unwrap();
    assert_eq!(rendered, Value::from(vec![Value::from("{{ u }}"), Value::from(1)]));
    assert!(!has_templates(&Value::from_safe_string("{{ u }}".into())));
}

#[test]
fn pairs_become_lists() {
    let pair = Value::from(vec![Value::from(1), Value::from("a")]);
    assert_eq!(render("{{ [1] | zip(['a']) | list }}", "{}").unwrap(), Value::from(vec![pair]));
}

#[test]
fn lists_can_be_appended_to() {
    let text = "{% set l = [] %}{% for x in xs %}{% set _ = l.append(x * 2) %}{% endfor %}{{ l }}";
    assert_eq!(render(text, r#"{"xs":[1,2]}"#).unwrap(), Value::from(vec![2, 4]));
    let text = "{% set d = {'a': {}} %}{% set _ = d.a.update({'b': 1}) %}{{ d.a.b }}";
    assert_eq!(render(text, "{}").unwrap(), Value::from(1));
}

#[test]
fn comparing_text_with_a_number_is_refused() {
    assert!(render("{{ v > 8 }}", r#"{"v":9}"#).unwrap().is_true());
    assert!(render("{{ v > 8 }}", r#"{"v":"9"}"#).unwrap_err().message.contains("cannot be ordered"));
    assert!(render("{{ (v | int) > 8 and 'b' > 'a' }}", r#"{"v":"9"}"#).unwrap().is_true());
}

#[test]
fn conditions_follow_pythons_truth_and_warn() {
    let templar = Templar::new();
    let scope = scope(r#"{"t":"text","z":0,"b":true,"c":"z == 0"}"#);
    assert_eq!(templar.condition("b and not z", &scope).unwrap(), (true, None));
    let (truth, warning) = templar.condition("t", &scope).unwrap();
    assert!(truth && warning.unwrap().contains("not a boolean"));
    assert!(templar.condition("{{ c }}", &scope).unwrap().0);
    assert!(templar.condition("{{ z }} == 0", &scope).unwrap().0);
}

#[test]
fn values_are_rendered_deeply_and_omitted_entries_dropped() {
    let value = Value::from(minijinja::value::Serde(serde_json::json!({"a": "{{ x }}", "b": "{{ omit }}", "c": ["{{ x }}", 2]})));
    let rendered = Templar::new().render_value(&value, &scope(r#"{"x":1}"#)).unwrap();
    assert_eq!(rendered, Value::from(minijinja::value::Serde(serde_json::json!({"a": 1, "c": [1, 2]}))));
    assert!(Templar::is_omit(&render("{{ u | default(omit) }}", "{}").unwrap()));
}

#[test]
fn files_have_headers_and_includes() {
    let mut file =
        TemplateFile::new("a.j2", "#jinja2: lstrip_blocks: True, variable_start_string: '[['\n  {% if true %}\n[[ x }}\n  {% endif %}\n");
    assert_eq!(Templar::new().render_file(&file, &scope(r#"{"x":1}"#)).unwrap(), "1\n");
    file.text = "{% include 'b' %}{% from 'c' import m %}{{ m(1) }}\n".into();
    file.loader = Some(Arc::new(|name| {
        Ok(match name {
            "b" => Some("b{{ x.y|default('!') }}".to_owned()),
            "c" => Some("{% macro m(a) %}<{{ a }}>{% endmacro %}".to_owned()),
            _ => None,
        })
    }));
    assert_eq!(Templar::new().render_file(&file, &scope("{}")).unwrap(), "b!<1>\n");
}

#[test]
fn free_variables_are_what_comes_from_outside() {
    let templar = Templar::new();
    let names = |text: &str| {
        let free = templar.free_variables(&Value::from(text));
        (free.names.into_iter().collect::<Vec<_>>().join(" "), free.unknown)
    };
    assert_eq!(names("{% set a = b %}{% for i in c if i.x %}{{ i }}{{ a }}{% endfor %}{{ i }}"), ("b c i".into(), false));
    assert_eq!(names("{{ ansible_facts.os_family }}{{ ansible_facts['a'].b }}"), ("ansible_facts.a ansible_facts.os_family".into(), false));
    assert_eq!(names("{{ hostvars[h].x }}"), ("h hostvars".into(), true));
    assert_eq!(names("{{ lookup('vars', 'a') }}{{ lookup('env', e) }}"), ("a e".into(), false));
    assert_eq!(names("{{ lookup(p, 'a') }}"), ("p".into(), true));
    assert_eq!(names("{% macro m(x, y=z) %}{{ x }}{{ w }}{% endmacro %}{{ m(1) }}"), ("w z".into(), false));
}

#[test]
fn unknown_names_are_found_before_anything_runs() {
    let templar = Templar::new();
    let message = |text: &str| templar.check(text).into_iter().map(|i| i.message).collect::<Vec<_>>().join("; ");
    assert_eq!(message("{{ x | to_nice_yml }}"), "there is no filter named 'to_nice_yml'; did you mean 'to_nice_yaml'?");
    assert_eq!(message("{{ l | select('defind') | list }}"), "there is no test named 'defind'; did you mean 'defined'?");
    assert!(message("{{ lookup('hashi_vault', 'x') }}").contains("no lookup named 'hashi_vault'"));
    assert!(message("{{ x | ").contains("syntax error"));
    assert_eq!(message("{{ x | ansible.utils.ipaddr | community.general.dict }}{{ y is ansible.builtin.version('1') }}"), "");
    assert_eq!(templar.check_expr("x is failed and y | bool"), []);
    assert_eq!(templar.check_expr("x is faild").len(), 1);
}

#[test]
fn tests_written_as_filters_work_and_warn() {
    let (truth, warning) = Templar::new().condition("r|failed", &scope(r#"{"r":{"failed":true}}"#)).unwrap();
    assert!(truth && warning.unwrap().contains("is failed"));
}

#[test]
fn errors_name_the_line_and_the_text() {
    let mut file = TemplateFile::new("a.conf.j2", "one\ntwo\n{{ m.nope }}\n");
    let e = Templar::new().render_file(&file, &scope(r#"{"m":{}}"#)).unwrap_err();
    assert_eq!(e.to_string(), "'m.nope' is undefined: object of type 'dict' has no attribute 'nope' (line 3 of `a.conf.j2`)");
    file.text = "{% for x in %}".into();
    assert_eq!(Templar::new().render_file(&file, &scope("{}")).unwrap_err().kind, Kind::Syntax);
    let e = render("{{ 'x' | from_json }}", "{}").unwrap_err();
    assert!(e.kind == Kind::Filter && e.message.contains("filter 'from_json': not JSON"), "{e}");
}

/// What we ship uses nothing that we do not have.
#[test]
fn shipped_templates_use_known_names() {
    let templar = Templar::new();
    for entry in walkdir::WalkDir::new(concat!(env!("CARGO_MANIFEST_DIR"), "/templates")) {
        let path = entry.unwrap().into_path();
        if path.extension().is_some_and(|e| e == "j2") {
            let text = std::fs::read_to_string(&path).unwrap();
            assert_eq!(templar.check(&text), [], "{}", path.display());
        }
    }
}
