//! The table in tests/data/templates.json: templates with the values that ansible-core 2.19.14 gives for them.

use super::{Kind, Scope, Templar, TemplateError, TemplateFile};
use minijinja::Value;
use minijinja::value::Serde;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The table's variables, templated when they are read as the engine does it.
struct Lazy(Templar, BTreeMap<String, Value>);

impl Scope for Lazy {
    fn get(&self, name: &str) -> Result<Option<Value>, TemplateError> {
        self.1.get(name).map(|v| self.0.render_value(v, self)).transpose()
    }

    fn names(&self) -> Vec<String> {
        self.1.keys().cloned().collect()
    }
}

fn variables(object: &serde_json::Value) -> BTreeMap<String, Value> {
    object.as_object().into_iter().flatten().map(|(k, v)| (k.clone(), Value::from(Serde(v)))).collect()
}

fn plain(value: &Value) -> serde_json::Value {
    serde_json::to_value(value).unwrap()
}

#[test]
fn templates_give_what_ansible_core_gives() {
    let table: serde_json::Value = serde_json::from_str(include_str!("../../tests/data/templates.json")).unwrap();
    let templar = Templar::new();
    let scope = Lazy(templar.clone(), variables(&table["vars"]));
    let mut wrong = Vec::new();
    for case in table["cases"].as_array().unwrap() {
        let template = case["template"].as_str().unwrap();
        let own = Lazy(templar.clone(), variables(&case["vars"]));
        let scope = if case["vars"].is_object() { &own } else { &scope };
        let got = if case["mode"] == "file" {
            let mut file = TemplateFile::new("main.j2", template);
            let files = case["files"].clone();
            file.loader = Some(Arc::new(move |name| Ok(files[name].as_str().map(str::to_owned))));
            templar.render_file(&file, scope).map(serde_json::Value::from)
        } else if case["mode"] == "cond" {
            templar.condition(template, scope).map(|(truth, _)| serde_json::Value::from(truth))
        } else {
            templar.render(template, scope).map(|v| plain(&v))
        };
        let fits = match (&got, case["error"].as_str()) {
            (Ok(value), None) => *value == case["value"],
            (Err(e), Some("undefined")) => e.kind == Kind::Undefined,
            (Err(e), Some("syntax")) => matches!(e.kind, Kind::Syntax | Kind::Filter),
            (Err(_), Some("other")) => true,
            _ => false,
        };
        if !fits {
            let got = got.map_err(|e| e.to_string());
            wrong.push(format!("{template:?}\n    want {} {}\n    got  {got:?}", case["value"], case["error"]));
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}

mod properties {
    use super::*;
    use proptest::prelude::*;
    use std::sync::LazyLock;

    /// Pieces of templates, sound and broken.
    fn piece() -> impl Strategy<Value = String> {
        let known = [
            "{{",
            "}}",
            "{%",
            "%}",
            "{#",
            "#}",
            "{% if x %}",
            "{% endif %}",
            "{% for i in l %}",
            "{% endfor %}",
            "{% set a = ",
            "a",
            "u",
            "u.a.b",
            "l[0]",
            "[1:",
            "]",
            "(",
            ")",
            "|",
            " is ",
            "not ",
            "defined",
            "default('x')",
            "'",
            "\"",
            "\\",
            "1",
            "-",
            "+",
            "~",
            "==",
            "<",
            " in ",
            " if ",
            " else ",
            ".append(1)",
            "{'a': 1}",
            "map('upper')",
            "regex_replace('a', 'b')",
            "to_nice_yaml",
            "é",
            "\n",
            " ",
            ",",
            "{% raw %}",
            "{% endraw %}",
            "{% macro m(a) %}",
            "{% endmacro %}",
            "m(1)",
            "__c(",
            "self.x()",
            "loop.index",
            "**",
            "*",
            "%",
            "//",
            "range(3)",
        ];
        prop_oneof![8 => prop::sample::select(known.to_vec()).prop_map(str::to_owned), 1 => ".{0,6}"]
    }

    static TEMPLAR: LazyLock<Templar> = LazyLock::new(Templar::new);

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1500))]

        #[test]
        fn no_text_makes_it_panic(pieces in prop::collection::vec(piece(), 0..14)) {
            let text = pieces.concat();
            let templar = &*TEMPLAR;
            let scope: BTreeMap<String, Value> =
                [("x".into(), Value::from(1)), ("l".into(), Value::from(vec![3, 1])), ("a".into(), Value::from("text"))].into();
            let _ = templar.render(&text, &scope);
            let _ = templar.condition(&text, &scope);
            let _ = templar.expression(&text, &scope);
            let _ = templar.check(&text);
            let _ = templar.free_variables(&Value::from(text.as_str()));
        }

        #[test]
        fn what_is_not_a_template_is_itself(text in "[^{]{0,60}") {
            let scope = BTreeMap::new();
            prop_assert_eq!(TEMPLAR.render(&text, &scope).unwrap(), Value::from(text));
        }
    }
}
