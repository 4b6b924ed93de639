//! Arguments → typed options: aliases, unknown names, required ones, choices and Ansible's conversions, once for all modules.
//! Source of the rules: `lib/ansible/module_utils/common/{parameters,validation}.py`.

use super::{ArgError, Args, ModuleDef, OptionSpec, OptionType, mode, path};
use crate::shell::Sh;
use indexmap::IndexMap;
use minijinja::{Value, value::ValueKind};

/// An option of a module's table.
pub(super) const fn opt(name: &'static str, kind: OptionType) -> OptionSpec {
    OptionSpec { name, aliases: &[], kind, required: false, choices: &[] }
}

impl OptionSpec {
    pub(super) const fn alias(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }

    pub(super) const fn req(mut self) -> Self {
        self.required = true;
        self
    }

    pub(super) const fn choices(mut self, choices: &'static [&'static str]) -> Self {
        self.choices = choices;
        self
    }
}

/// A module's options after conversion. Getters of a type other than the table's give nothing.
pub(super) struct Opts {
    values: IndexMap<&'static str, Value>,
    /// Free-form text.
    pub(super) free: Option<String>,
}

impl Opts {
    /// Converts and checks all of them; the error names every problem.
    pub(super) fn read(def: &'static ModuleDef, args: &Args) -> Result<Self, ArgError> {
        let mut values = IndexMap::new();
        let mut problems = unknown(def, args);
        for (name, value) in &args.named {
            let Some(spec) = find(def, name) else { continue };
            if value.is_none() || value.is_undefined() {
                continue;
            }
            match convert(spec, value) {
                Ok(value) => {
                    values.insert(spec.name, value);
                }
                Err(problem) => problems.push(format!("{name}: {problem}")),
            }
        }
        let named = |spec: &OptionSpec| values.contains_key(spec.name);
        problems.extend(missing(def, &named));
        if args.free_form.is_some() && !def.free_form {
            problems.push(format!("{} takes no free-form text", def.names[0]));
        }
        if problems.is_empty() { Ok(Self { values, free: args.free_form.clone() }) } else { Err(ArgError(problems.join("; "))) }
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    pub(super) fn value(&self, name: &str) -> Option<&Value> {
        self.values.get(name)
    }

    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.values.get(name).and_then(|v| v.as_str().map(str::to_owned))
    }

    /// Text, or `""`: for sh variables where empty means "not asked".
    pub(super) fn text_or(&self, name: &str, default: &str) -> String {
        self.text(name).unwrap_or_else(|| default.to_owned())
    }

    pub(super) fn flag(&self, name: &str, default: bool) -> bool {
        self.values.get(name).map_or(default, Value::is_true)
    }

    pub(super) fn maybe_flag(&self, name: &str) -> Option<bool> {
        self.values.get(name).map(Value::is_true)
    }

    pub(super) fn int(&self, name: &str) -> Option<i64> {
        self.values.get(name).and_then(Value::as_i64)
    }

    pub(super) fn float(&self, name: &str) -> Option<f64> {
        self.values.get(name).and_then(|v| f64::try_from(v.clone()).ok())
    }

    /// Items as text.
    pub(super) fn list(&self, name: &str) -> Vec<String> {
        let items = self.values.get(name).and_then(|v| v.try_iter().ok());
        items.map(|i| i.map(|v| to_text(&v)).collect()).unwrap_or_default()
    }

    pub(super) fn dict(&self, name: &str) -> IndexMap<String, Value> {
        self.values.get(name).map(entries).unwrap_or_default()
    }

    /// A path as a shell word with `~` and `$VAR` expanded there; an empty word where it was not given.
    pub(super) fn path(&self, name: &str) -> Sh {
        path::word(&self.text_or(name, ""))
    }
}

/// Keys and values of a mapping.
pub(super) fn entries(map: &Value) -> IndexMap<String, Value> {
    let keys = map.try_iter().ok().into_iter().flatten();
    keys.map(|k| (to_text(&k), map.get_item(&k).unwrap_or_default())).collect()
}

/// Text of any value, as an option of type `str` takes it: mappings and lists become JSON.
pub(super) fn to_text(value: &Value) -> String {
    match value.kind() {
        ValueKind::String => value.as_str().unwrap_or_default().to_owned(),
        ValueKind::Bool => if value.is_true() { "True" } else { "False" }.to_owned(),
        ValueKind::None | ValueKind::Undefined => String::new(),
        ValueKind::Map | ValueKind::Seq | ValueKind::Iterable => json(value),
        _ => value.to_string(),
    }
}

/// JSON as Python's `json.dumps` writes it: a blank after `,` and `:`, everything but ASCII escaped.
pub(super) fn json(value: &Value) -> String {
    struct Python;
    impl serde_json::ser::Formatter for Python {
        fn begin_array_value<W: ?Sized + std::io::Write>(&mut self, out: &mut W, first: bool) -> std::io::Result<()> {
            if first { Ok(()) } else { out.write_all(b", ") }
        }
        fn begin_object_key<W: ?Sized + std::io::Write>(&mut self, out: &mut W, first: bool) -> std::io::Result<()> {
            if first { Ok(()) } else { out.write_all(b", ") }
        }
        fn begin_object_value<W: ?Sized + std::io::Write>(&mut self, out: &mut W) -> std::io::Result<()> {
            out.write_all(b": ")
        }
        fn write_string_fragment<W: ?Sized + std::io::Write>(&mut self, out: &mut W, fragment: &str) -> std::io::Result<()> {
            for c in fragment.chars() {
                if c.is_ascii() {
                    out.write_all(&[c as u8])?;
                } else {
                    let mut units = [0; 2];
                    for unit in c.encode_utf16(&mut units) {
                        write!(out, "\\u{unit:04x}")?;
                    }
                }
            }
            Ok(())
        }
    }
    let mut out = Vec::new();
    // A Vec takes everything, and what cannot be JSON becomes nothing, as an option's text.
    let _ = serde::Serialize::serialize(value, &mut serde_json::Serializer::with_formatter(&mut out, Python));
    String::from_utf8(out).unwrap_or_default()
}

/// `yes`, `on`, `1`, `True`, … or nothing (`BOOLEANS` of Ansible).
pub(super) fn to_bool(value: &Value) -> Option<bool> {
    match to_text(value).trim().to_ascii_lowercase().as_str() {
        "y" | "yes" | "on" | "1" | "true" | "t" | "1.0" => Some(true),
        "n" | "no" | "off" | "0" | "false" | "f" | "0.0" => Some(false),
        _ => None,
    }
}

fn convert(spec: &OptionSpec, value: &Value) -> Result<Value, String> {
    let converted = match spec.kind {
        OptionType::Raw => value.clone(),
        OptionType::Str | OptionType::Path => Value::from(choice_text(spec, value)),
        OptionType::Bool => to_bool(value).map(Value::from).ok_or_else(|| format!("'{value}' is no boolean (yes, no, true, false, …)"))?,
        OptionType::Int => {
            let text = to_text(value);
            let whole = text.trim().strip_suffix(".0").unwrap_or(text.trim());
            Value::from(whole.parse::<i64>().map_err(|_| format!("'{text}' is no whole number"))?)
        }
        OptionType::Float => {
            let text = to_text(value);
            Value::from(text.trim().parse::<f64>().map_err(|_| format!("'{text}' is no number"))?)
        }
        OptionType::List => match value.kind() {
            ValueKind::Seq | ValueKind::Iterable => value.clone(),
            ValueKind::String => {
                value.as_str().unwrap_or_default().split(',').map(|s| Value::from(s.trim())).filter(|s| !to_text(s).is_empty()).collect()
            }
            _ => std::iter::once(value.clone()).collect(),
        },
        OptionType::Dict => match value.kind() {
            ValueKind::Map => value.clone(),
            _ => dict_of_text(&to_text(value))?,
        },
        OptionType::Mode => Value::from(mode::normalise(value)?),
    };
    if !spec.choices.is_empty() {
        let wanted: Vec<String> = match spec.kind {
            OptionType::List => converted.try_iter().map(|i| i.map(|v| to_text(&v)).collect()).unwrap_or_default(),
            _ => vec![to_text(&converted)],
        };
        if let Some(bad) = wanted.iter().find(|w| !spec.choices.contains(&w.as_str())) {
            return Err(format!("'{bad}' is none of {}", spec.choices.join(", ")));
        }
    }
    Ok(converted)
}

/// YAML's `state: no` arrives as a boolean: where `no`/`yes`/`on`/`off` is a choice, it is taken as that word.
fn choice_text(spec: &OptionSpec, value: &Value) -> String {
    if value.kind() == ValueKind::Bool {
        let words: &[&str] = if value.is_true() { &["yes", "on", "true"] } else { &["no", "off", "false"] };
        if let Some(word) = words.iter().find(|w| spec.choices.contains(w)) {
            return (*word).to_owned();
        }
    }
    to_text(value)
}

fn dict_of_text(text: &str) -> Result<Value, String> {
    if let Ok(value) = serde_json::from_str::<Value>(text)
        && value.kind() == ValueKind::Map
    {
        return Ok(value);
    }
    let pairs = text.split([',', ' ']).map(str::trim).filter(|p| !p.is_empty()).map(|p| p.split_once('='));
    let pairs: Option<Vec<(&str, &str)>> = pairs.collect();
    pairs.map(Value::from_pairs).ok_or_else(|| format!("'{text}' is neither a mapping nor k=v,k=v"))
}

fn find(def: &'static ModuleDef, name: &str) -> Option<&'static OptionSpec> {
    def.options.iter().find(|o| o.name == name || o.aliases.contains(&name))
}

fn unknown(def: &'static ModuleDef, args: &Args) -> Vec<String> {
    let bad = args.named.keys().filter(|name| !OPEN.contains(&def.names[0]) && find(def, name).is_none());
    bad.map(|name| {
        let near = crate::text::nearest(name, def.options.iter().map(|o| o.name));
        let hint = near.map(|n| format!(", did you mean '{n}'?")).unwrap_or_default();
        format!("{} has no option '{name}'{hint}", def.names[0])
    })
    .collect()
}

/// Modules that take options of any name.
const OPEN: &[&str] = &["set_fact", "add_host"];

fn missing(def: &'static ModuleDef, given: &dyn Fn(&OptionSpec) -> bool) -> Vec<String> {
    let absent = def.options.iter().filter(|o| o.required && !given(o));
    absent.map(|o| format!("{} needs '{}'", def.names[0], o.name)).collect()
}

/// What can be said about arguments before anything is templated: unknown names, missing ones, impossible literals.
pub fn validate_static(def: &'static ModuleDef, args: &Args) -> Vec<String> {
    let mut problems = unknown(def, args);
    let given = |o: &OptionSpec| args.named.keys().any(|n| n == o.name || o.aliases.contains(&n.as_str()));
    problems.extend(missing(def, &given));
    if args.free_form.as_deref().is_some_and(|f| !f.trim().is_empty()) && !def.free_form {
        problems.push(format!("{} takes no free-form text", def.names[0]));
    }
    for (name, value) in &args.named {
        if let Some(spec) = find(def, name)
            && !value.is_none()
            && !is_template(value)
            && let Err(problem) = convert(spec, value)
        {
            problems.push(format!("{name}: {problem}"));
        }
    }
    problems
}

fn is_template(value: &Value) -> bool {
    match value.kind() {
        ValueKind::String => value.as_str().is_some_and(|s| s.contains("{{") || s.contains("{%")),
        ValueKind::Seq | ValueKind::Iterable => value.try_iter().is_ok_and(|mut i| i.any(|v| is_template(&v))),
        ValueKind::Map => entries(value).values().any(is_template),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static DEF: ModuleDef = ModuleDef {
        names: &["sample"],
        options: &[
            opt("path", OptionType::Path).alias(&["dest", "name"]).req(),
            opt("flag", OptionType::Bool),
            opt("count", OptionType::Int),
            opt("names", OptionType::List),
            opt("mode", OptionType::Mode),
            opt("state", OptionType::Str).choices(&["present", "absent", "no"]),
        ],
        free_form: false,
        facts: &[],
        compile: |_, _| Err(ArgError(String::new())),
    };

    fn args(json: &str) -> Args {
        let value: IndexMap<String, Value> = serde_json::from_str(json).unwrap();
        Args { named: value, free_form: None }
    }

    #[test]
    fn conversions_are_ansibles() {
        let o = Opts::read(&DEF, &args(r#"{"dest":"/a","flag":"On","count":"7","names":"a, b","mode":420,"state":false}"#)).unwrap();
        assert_eq!(o.text("path").as_deref(), Some("/a"));
        assert!(o.flag("flag", false));
        assert_eq!(o.int("count"), Some(7));
        assert_eq!(o.list("names"), ["a", "b"]);
        assert_eq!(o.text("mode").as_deref(), Some("0644"));
        assert_eq!(o.text("state").as_deref(), Some("no"));
    }

    #[test]
    fn every_problem_is_named_at_once() {
        let Err(error) = Opts::read(&DEF, &args(r#"{"stat":"x","flag":"maybe","state":"gone"}"#)) else { panic!("accepted") };
        for part in ["no option 'stat', did you mean 'state'?", "'maybe' is no boolean", "'gone' is none of present", "needs 'path'"] {
            assert!(error.0.contains(part), "{part} in {error}");
        }
    }

    #[test]
    fn templates_are_not_judged_before_they_are_rendered() {
        assert!(validate_static(&DEF, &args(r#"{"path":"{{ p }}","flag":"{{ f }}","names":["{{ x }}"]}"#)).is_empty());
        assert_eq!(validate_static(&DEF, &args(r#"{"path":"/x","flag":"perhaps"}"#)).len(), 1);
    }
}
