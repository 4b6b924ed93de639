//! JSON, YAML, Base64, hashes and identifiers.

use super::args::{Args, Registry, fail};
use crate::template::yaml_out::{self, Settings};
use crate::template::{globals, python};
use crate::text::SourceFile;
use crate::yaml;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use minijinja::value::{Serde, ValueKind};
use minijinja::{Error, Value};
use std::fmt::Write as _;

pub(super) fn register(r: &mut Registry<'_>) {
    r.add("to_json", "value indent sort_keys ensure_ascii **named", |_, a| {
        let indent = a.int(1)?.and_then(|n| usize::try_from(n).ok());
        json(&a.value(), Style { indent, sort: a.flag(2), ascii: a.opt(3).is_none_or(Value::is_true) }).map(Value::from)
    });
    r.add("to_nice_json", "value indent sort_keys ensure_ascii **named", |_, a| {
        let indent = a.int(1)?.map_or(Some(4), |n| usize::try_from(n).ok());
        let sort = a.opt(2).is_none_or(Value::is_true);
        json(&a.value(), Style { indent, sort, ascii: a.opt(3).is_none_or(Value::is_true) }).map(Value::from)
    });
    r.add("tojson", "value indent", |_, a| {
        let indent = a.int(1)?.and_then(|n| usize::try_from(n).ok());
        let text = json(&a.value(), Style { indent, sort: true, ascii: true })?;
        Ok(Value::from(text.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026").replace('\'', "\\u0027")))
    });
    r.add("from_json", "value **named", |_, a| {
        let value: serde_json::Value = serde_json::from_str(&a.text()).map_err(|e| fail(format!("not JSON: {e}")))?;
        Ok(Value::from(Serde(value)))
    });
    r.add("to_yaml", "value indent width sort_keys default_flow_style explicit_start **named", |_, a| to_yaml(a, Settings::default()));
    r.add("to_nice_yaml", "value indent width sort_keys default_flow_style explicit_start **named", |_, a| {
        to_yaml(a, Settings { indent: 4, flow: Some(false), ..Settings::default() })
    });
    r.add("from_yaml", "value", |_, a| match (a.value(), a.text()) {
        (value, text) if value.as_str().is_some() => {
            let documents = documents(&text)?;
            match &documents[..] {
                [] => Ok(Value::from(())),
                [one] => Ok(one.clone()),
                _ => Err(fail("the text holds several documents: use from_yaml_all")),
            }
        }
        (value, _) => Ok(value),
    });
    r.add("from_yaml_all", "value", |_, a| {
        let value = a.value();
        match value.as_str() {
            Some(text) => documents(text).map(Value::from),
            None if value.is_none() => Ok(Value::from(Vec::<Value>::new())),
            None => Ok(value),
        }
    });
    r.add("b64encode", "value encoding urlsafe", |_, a| {
        let engine = if a.flag(2) { URL_SAFE } else { STANDARD };
        let value = a.value();
        Ok(Value::from(match value.as_bytes() {
            Some(bytes) => engine.encode(bytes),
            None => engine.encode(python::str(&value)),
        }))
    });
    r.add("b64decode", "value encoding urlsafe", |_, a| {
        let engine = if a.flag(2) { URL_SAFE } else { STANDARD };
        let text: String = a.text().split_whitespace().collect();
        let bytes = engine.decode(&text).map_err(|e| fail(format!("not Base64: {e}")))?;
        String::from_utf8(bytes).map(Value::from).map_err(|_| fail("the decoded bytes are not UTF-8 text"))
    });
    r.add("hash", "value hashtype", |_, a| digest(&a.str(1).unwrap_or_else(|| "sha1".into()), a.text().as_bytes()).map(Value::from));
    r.add("sha1 checksum", "value", |_, a| digest("sha1", a.text().as_bytes()).map(Value::from));
    r.add("md5", "value", |_, a| digest("md5", a.text().as_bytes()).map(Value::from));
    r.add("to_uuid", "value namespace", |_, a| {
        let namespace = a.str(1).unwrap_or_else(|| "361E6D51-FAEC-444A-9079-341386DA8E2E".into());
        uuid5(&namespace, &a.text()).map(Value::from)
    });
    r.add("password_hash", "value hashtype salt salt_size rounds ident", password_hash);
}

/// The documents of a YAML text.
fn documents(text: &str) -> Result<Vec<Value>, Error> {
    let file = SourceFile::new("the text", text);
    let nodes = yaml::parse(&file).map_err(|problems| fail(format!("not YAML: {problems}")))?;
    Ok(nodes.iter().map(yaml::Node::to_value).collect())
}

/// How JSON is laid out.
#[derive(Clone, Copy)]
struct Style {
    indent: Option<usize>,
    sort: bool,
    ascii: bool,
}

/// Python's `json.dumps`.
fn json(value: &Value, style: Style) -> Result<String, Error> {
    let mut out = String::new();
    write_json(value, style, 0, &mut out)?;
    Ok(out)
}

fn write_json(value: &Value, style: Style, depth: usize, out: &mut String) -> Result<(), Error> {
    if depth > 100 {
        return Err(fail("the value is nested too deep"));
    }
    let line = |out: &mut String, depth: usize| {
        if let Some(indent) = style.indent {
            out.push('\n');
            out.push_str(&" ".repeat(indent * depth));
        }
    };
    let separator = if style.indent.is_some() { "," } else { ", " };
    match value.kind() {
        ValueKind::Undefined => return Err(minijinja::ErrorKind::UndefinedError.into()),
        ValueKind::None => out.push_str("null"),
        ValueKind::Bool => out.push_str(if value.is_true() { "true" } else { "false" }),
        ValueKind::Number => out.push_str(&match python::str(value).as_str() {
            "nan" => "NaN".to_owned(),
            "inf" => "Infinity".to_owned(),
            "-inf" => "-Infinity".to_owned(),
            plain => plain.to_owned(),
        }),
        ValueKind::Seq | ValueKind::Iterable => {
            let items = python::items(value);
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                out.push_str(if at > 0 { separator } else { "" });
                line(out, depth + 1);
                write_json(item, style, depth + 1, out)?;
            }
            if !items.is_empty() {
                line(out, depth);
            }
            out.push(']');
        }
        ValueKind::Map => {
            let mut pairs = python::pairs(value);
            if style.sort {
                if pairs.windows(2).any(|w| !globals::comparable(&w[0].0, &w[1].0)) {
                    return Err(fail("keys of different types cannot be sorted"));
                }
                pairs.sort_by(|a, b| a.0.cmp(&b.0));
            }
            out.push('{');
            for (at, (key, item)) in pairs.iter().enumerate() {
                out.push_str(if at > 0 { separator } else { "" });
                line(out, depth + 1);
                let mut name = String::new();
                match key.as_str() {
                    Some(text) => text.clone_into(&mut name),
                    None => write_json(key, style, depth + 1, &mut name)?,
                }
                json_text(&name, style.ascii, out);
                out.push_str(": ");
                write_json(item, style, depth + 1, out)?;
            }
            if !pairs.is_empty() {
                line(out, depth);
            }
            out.push('}');
        }
        _ => json_text(&python::str(value), style.ascii, out),
    }
    Ok(())
}

fn json_text(text: &str, ascii: bool, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\x08' => out.push_str("\\b"),
            '\x0c' => out.push_str("\\f"),
            c if c < ' ' || ascii && !c.is_ascii() => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

fn to_yaml(a: &Args, settings: Settings) -> Result<Value, Error> {
    let number = |at: usize, default: usize| a.int(at).map(|n| n.and_then(|n| usize::try_from(n).ok()).unwrap_or(default));
    let settings = Settings {
        indent: number(1, settings.indent)?,
        width: number(2, settings.width)?,
        sort_keys: a.opt(3).is_none_or(Value::is_true),
        flow: match a.opt(4) {
            Some(v) if v.is_none() => None,
            Some(v) => Some(v.is_true()),
            None => settings.flow,
        },
        explicit_start: a.flag(5),
    };
    let value = a.value();
    if holds_undefined(&value, 0) {
        return Err(minijinja::ErrorKind::UndefinedError.into());
    }
    Ok(Value::from(yaml_out::dump(&value, settings)))
}

/// Whether something in a value is undefined.
pub(in crate::template) fn holds_undefined(value: &Value, depth: usize) -> bool {
    match value.kind() {
        ValueKind::Undefined => true,
        ValueKind::Seq | ValueKind::Iterable => depth < 100 && python::items(value).iter().any(|v| holds_undefined(v, depth + 1)),
        ValueKind::Map => depth < 100 && python::pairs(value).iter().any(|(_, v)| holds_undefined(v, depth + 1)),
        _ => false,
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, b| {
        let _ = write!(out, "{b:02x}");
        out
    })
}

fn digest(name: &str, data: &[u8]) -> Result<String, Error> {
    use sha2::Digest as _;
    Ok(match name.to_ascii_lowercase().replace('-', "").as_str() {
        "md5" => hex(&md5::compute(data).0),
        "sha1" => hex(&sha1::Sha1::digest(data)),
        "sha224" => hex(&sha2::Sha224::digest(data)),
        "sha256" => hex(&sha2::Sha256::digest(data)),
        "sha384" => hex(&sha2::Sha384::digest(data)),
        "sha512" => hex(&sha2::Sha512::digest(data)),
        other => return Err(fail(format!("the hash '{other}' is not one of md5, sha1, sha224, sha256, sha384, sha512"))),
    })
}

/// RFC 9562's version 5: SHA-1 over the namespace's bytes and the name.
fn uuid5(namespace: &str, name: &str) -> Result<String, Error> {
    use sha1::Digest as _;
    let digits: String = namespace.chars().filter(char::is_ascii_hexdigit).collect();
    let bytes: Option<Vec<u8>> = (0..digits.len() / 2).map(|at| u8::from_str_radix(digits.get(2 * at..2 * at + 2)?, 16).ok()).collect();
    let mut data = bytes.filter(|b| b.len() == 16).ok_or_else(|| fail(format!("'{namespace}' is not a UUID")))?;
    data.extend_from_slice(name.as_bytes());
    let mut id = sha1::Sha1::digest(&data)[..16].to_vec();
    id[6] = id[6] & 0x0f | 0x50;
    id[8] = id[8] & 0x3f | 0x80;
    let text = hex(&id);
    Ok(format!("{}-{}-{}-{}-{}", &text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..]))
}

/// The characters of crypt(3)'s salts and hashes.
const CRYPT: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

fn password_hash(_: &mut minijinja::State<'_, '_>, a: &Args) -> Result<Value, Error> {
    let kind = a.str(1).unwrap_or_else(|| "sha512".into());
    let sha512 = match kind.as_str() {
        "sha512" | "sha512_crypt" => true,
        "sha256" | "sha256_crypt" => false,
        other => return Err(fail(format!("the hash '{other}' is not one of sha256, sha512"))),
    };
    let size = a.int(3)?.and_then(|n| usize::try_from(n).ok()).unwrap_or(16).min(16);
    let salt = a.str(2).unwrap_or_else(|| {
        use rand::RngExt as _;
        let mut rng = rand::rng();
        (0..size).map(|_| char::from(CRYPT[rng.random_range(0..CRYPT.len())])).collect()
    });
    if salt.is_empty() || salt.len() > 16 || !salt.bytes().all(|b| CRYPT.contains(&b)) {
        return Err(fail("the salt must have 1 to 16 letters, digits, dots or slashes"));
    }
    // passlib's defaults, which ansible-core uses: 656,000 rounds for sha512, 535,000 for sha256; 5,000 is not written.
    let rounds = a.int(4)?.and_then(|n| u32::try_from(n).ok()).unwrap_or(if sha512 { 656_000 } else { 535_000 });
    let params = sha_crypt::Params::new(rounds).map_err(|_| fail(format!("{rounds} rounds are not from 1000 to 999999999")))?;
    let password = a.text();
    let written = if rounds == 5000 { String::new() } else { format!("rounds={rounds}$") };
    Ok(Value::from(if sha512 {
        format!("$6${written}{salt}${}", crypt64(&sha_crypt::sha512_crypt(password.as_bytes(), salt.as_bytes(), params), true))
    } else {
        format!("$5${written}{salt}${}", crypt64(&sha_crypt::sha256_crypt(password.as_bytes(), salt.as_bytes(), params), false))
    }))
}

/// The Base64 of crypt(3): bytes in the order of the SHA-crypt specification, low bits first.
fn crypt64(digest: &[u8], sha512: bool) -> String {
    let (third, rounds) = if sha512 { (21, 21) } else { (10, 10) };
    let mut groups: Vec<[Option<usize>; 3]> = Vec::new();
    let mut at = [0, third, 2 * third];
    for _ in 0..rounds {
        groups.push(at.map(Some));
        // The three positions rotate with every group, to opposite sides for the two digests.
        at = if sha512 { [at[1] + 1, at[2] + 1, at[0] + 1] } else { [at[2] + 1, at[0] + 1, at[1] + 1] };
    }
    groups.push(if sha512 { [None, None, Some(63)] } else { [None, Some(31), Some(30)] });
    let mut out = String::new();
    for group in groups {
        let [high, middle, low] = group.map(|at| at.and_then(|at| digest.get(at)).map_or(0, |b| u32::from(*b)));
        let mut bits = high << 16 | middle << 8 | low;
        let count = 4 - group.iter().filter(|g| g.is_none()).count();
        for _ in 0..count {
            out.push(char::from(CRYPT[(bits & 63) as usize]));
            bits >>= 6;
        }
    }
    out
}
