//! What a plain scalar means: YAML 1.1's implicit types, by PyYAML's own patterns (yaml/resolver.py, yaml/constructor.py).

use super::Yaml;
use regex::Regex;
use std::sync::LazyLock;

static INT: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"^(?:[-+]?0b[01_]+|[-+]?0[0-7_]+|[-+]?(?:0|[1-9][0-9_]*)|[-+]?0x[0-9a-fA-F_]+|[-+]?[1-9][0-9_]*(?::[0-5]?[0-9])+)$").ok()
});
static FLOAT: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"^(?:[-+]?[0-9][0-9_]*\.[0-9_]*(?:[eE][-+][0-9]+)?|\.[0-9][0-9_]*(?:[eE][-+][0-9]+)?|[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+\.[0-9_]*|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$",
    )
    .ok()
});
static TIME: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"^(\d{4})-(\d\d?)-(\d\d?)(?:(?:[Tt]|[ \t]+)(\d\d?):(\d\d):(\d\d)(?:\.\d*)?(?:[ \t]*(?:Z|[-+]\d\d?(?::\d\d)?))?)?$").ok()
});

/// The typed value of a plain (unquoted) scalar.
pub fn resolve(text: &str) -> Yaml {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Yaml::Null,
        "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => return Yaml::Bool(true),
        "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => return Yaml::Bool(false),
        _ => {}
    }
    // Most text starts with a letter and needs no pattern.
    if !text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.')) {
        return Yaml::String(text.to_owned());
    }
    int(text).or_else(|| float(text)).or_else(|| time(text)).unwrap_or_else(|| Yaml::String(text.to_owned()))
}

fn is(pattern: &LazyLock<Option<Regex>>, text: &str) -> bool {
    pattern.as_ref().is_some_and(|p| p.is_match(text))
}

/// `None` where the text is no integer, or one that does not fit 128 bits (it then stays text, with all its digits).
pub(super) fn int(text: &str) -> Option<Yaml> {
    if !is(&INT, text) {
        return None;
    }
    let digits = text.replace('_', "");
    let (negative, digits) = sign(&digits);
    let value = if let Some(binary) = digits.strip_prefix("0b") {
        i128::from_str_radix(binary, 2).ok()?
    } else if let Some(hex) = digits.strip_prefix("0x") {
        i128::from_str_radix(hex, 16).ok()?
    } else if digits.contains(':') {
        digits.split(':').try_fold(0_i128, |sum, part| sum.checked_mul(60)?.checked_add(part.parse::<i128>().ok()?))?
    } else if digits.len() > 1 && digits.starts_with('0') {
        i128::from_str_radix(digits, 8).ok()?
    } else {
        digits.parse().ok()?
    };
    Some(Yaml::Int(if negative { -value } else { value }))
}

pub(super) fn float(text: &str) -> Option<Yaml> {
    if !is(&FLOAT, text) {
        return None;
    }
    let digits = text.replace('_', "").to_ascii_lowercase();
    let (negative, digits) = sign(&digits);
    let value = match digits {
        ".inf" => f64::INFINITY,
        ".nan" => f64::NAN,
        _ if digits.contains(':') => digits.split(':').try_fold(0.0, |sum, part| Some(sum * 60.0 + part.parse::<f64>().ok()?))?,
        _ => digits.parse().ok()?,
    };
    Some(Yaml::Float(if negative { -value } else { value }))
}

fn time(text: &str) -> Option<Yaml> {
    let parts = TIME.as_ref()?.captures(text)?;
    let number = |i: usize| parts.get(i).and_then(|m| m.as_str().parse::<i16>().ok());
    let short = |i: usize| number(i).and_then(|n| i8::try_from(n).ok());
    // A date alone needs two digits each; `2001-1-1` is text.
    if parts.get(4).is_none() && text.len() != 10 {
        return None;
    }
    // PyYAML fails on 2024-13-45; text is more helpful.
    jiff::civil::Date::new(number(1)?, short(2)?, short(3)?).ok()?;
    if parts.get(4).is_some() {
        jiff::civil::Time::new(short(4)?, short(5)?, short(6)?, 0).ok()?;
    }
    Some(Yaml::Date(text.to_owned()))
}

fn sign(digits: &str) -> (bool, &str) {
    digits.strip_prefix('-').map_or((false, digits.strip_prefix('+').unwrap_or(digits)), |rest| (true, rest))
}

#[cfg(test)]
mod tests {
    use super::{Yaml, resolve};

    /// Every line was checked against PyYAML 6 (`yaml.safe_load("k: " + text)`).
    #[test]
    fn plain_scalars_mean_what_pyyaml_reads() {
        let s = |t: &str| Yaml::String(t.to_owned());
        let cases = [
            ("yes", Yaml::Bool(true)),
            ("No", Yaml::Bool(false)),
            ("on", Yaml::Bool(true)),
            ("OFF", Yaml::Bool(false)),
            ("y", s("y")),
            ("n", s("n")),
            ("tRUE", s("tRUE")),
            ("~", Yaml::Null),
            ("NULL", Yaml::Null),
            ("", Yaml::Null),
            ("nUll", s("nUll")),
            ("0644", Yaml::Int(420)),
            ("0o644", s("0o644")),
            ("644", Yaml::Int(644)),
            ("08", s("08")),
            ("0", Yaml::Int(0)),
            ("00", Yaml::Int(0)),
            ("-010", Yaml::Int(-8)),
            ("0x1F", Yaml::Int(31)),
            ("0b101", Yaml::Int(5)),
            ("1_000", Yaml::Int(1000)),
            ("1_", Yaml::Int(1)),
            ("22:22", Yaml::Int(1342)),
            ("1:60", s("1:60")),
            ("190:20:30", Yaml::Int(685_230)),
            ("-1:30", Yaml::Int(-90)),
            ("0:30", s("0:30")),
            ("1:2:3.5", Yaml::Float(3723.5)),
            ("1:30.5", Yaml::Float(90.5)),
            ("1e5", s("1e5")),
            ("1.5e+3", Yaml::Float(1500.0)),
            ("1.5e3", s("1.5e3")),
            (".5", Yaml::Float(0.5)),
            ("5.", Yaml::Float(5.0)),
            ("-.5", s("-.5")),
            ("-5.", Yaml::Float(-5.0)),
            ("1_000.5", Yaml::Float(1000.5)),
            (".inf", Yaml::Float(f64::INFINITY)),
            ("-.INF", Yaml::Float(f64::NEG_INFINITY)),
            ("+1", Yaml::Int(1)),
            ("0x", s("0x")),
            ("0b_", s("0b_")),
            ("2001-01-01", Yaml::Date("2001-01-01".into())),
            ("2001-1-1", s("2001-1-1")),
            ("2024-13-45", s("2024-13-45")),
            ("2001-12-14t21:59:43Z", Yaml::Date("2001-12-14t21:59:43Z".into())),
            ("12345678901234567890", Yaml::Int(12_345_678_901_234_567_890)),
            ("0_7", Yaml::Int(7)),
            ("_1", s("_1")),
            ("1.2.3", s("1.2.3")),
            ("10.0.0.0/16", s("10.0.0.0/16")),
        ];
        for (text, want) in cases {
            assert_eq!(resolve(text), want, "{text:?}");
        }
        assert!(matches!(resolve(".nan"), Yaml::Float(f) if f.is_nan()));
    }
}
