//! Python's `ast.literal_eval`: what gives values of an INI inventory their types.

use minijinja::Value;

/// How deep brackets may nest.
const MAX_DEPTH: usize = 100;

/// The value of a Python literal; `None` where the text is none (then it is just text). Tuples and sets become lists, as
/// Ansible makes them; numbers beyond 128 bits and complex ones stay text.
pub fn literal(text: &str) -> Option<Value> {
    let mut parser = Parser { rest: text.trim_start_matches([' ', '\t']), depth: 0 };
    let first = parser.value()?;
    parser.space();
    let value = if parser.rest.starts_with(',') {
        // A tuple needs no parentheses.
        let mut items = vec![first];
        while parser.eat(',') {
            parser.space();
            if parser.rest.is_empty() || parser.rest.starts_with('#') {
                break;
            }
            items.push(parser.value()?);
            parser.space();
        }
        Value::from(items)
    } else {
        first
    };
    parser.space();
    (parser.rest.is_empty() || parser.rest.starts_with('#')).then_some(value)
}

struct Parser<'a> {
    rest: &'a str,
    depth: usize,
}

impl Parser<'_> {
    fn space(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t']);
    }

    fn eat(&mut self, c: char) -> bool {
        match self.rest.strip_prefix(c) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn value(&mut self) -> Option<Value> {
        self.space();
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return None;
        }
        let value = match self.rest.chars().next()? {
            '[' => Value::from(self.items('[', ']')?.0),
            '(' => self.parentheses()?,
            '{' => self.braces()?,
            '+' | '-' => self.signed()?,
            '0'..='9' | '.' => self.number()?,
            _ => match self.word() {
                Some(value) => value,
                None => self.string()?,
            },
        };
        self.depth -= 1;
        Some(value)
    }

    fn word(&mut self) -> Option<Value> {
        let end = self.rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        let value = match word {
            "True" => Value::from(true),
            "False" => Value::from(false),
            "None" => Value::from(()),
            "set" if rest.starts_with("()") => {
                self.rest = &rest[2..];
                return Some(Value::from(Vec::<Value>::new()));
            }
            _ => return None,
        };
        self.rest = rest;
        Some(value)
    }

    /// Items up to the closing bracket, and whether there was a comma.
    fn items(&mut self, open: char, close: char) -> Option<(Vec<Value>, bool)> {
        self.eat(open);
        let (mut items, mut comma) = (Vec::new(), false);
        loop {
            self.space();
            if self.eat(close) {
                return Some((items, comma));
            }
            items.push(self.value()?);
            self.space();
            if self.eat(',') {
                comma = true;
            } else if !self.rest.starts_with(close) {
                return None;
            }
        }
    }

    fn parentheses(&mut self) -> Option<Value> {
        let (mut items, comma) = self.items('(', ')')?;
        if items.len() == 1 && !comma { items.pop() } else { Some(Value::from(items)) }
    }

    fn braces(&mut self) -> Option<Value> {
        self.eat('{');
        self.space();
        if self.eat('}') {
            return Some(Value::from_pairs(std::iter::empty::<(Value, Value)>()));
        }
        let first = self.value()?;
        self.space();
        if !self.rest.starts_with(':') {
            let mut items = vec![first];
            loop {
                self.space();
                let comma = self.eat(',');
                self.space();
                if self.eat('}') {
                    return Some(Value::from(items));
                }
                if !comma {
                    return None;
                }
                let item = self.value()?;
                if !items.contains(&item) {
                    items.push(item);
                }
            }
        }
        let mut pairs = Vec::new();
        let mut key = first;
        loop {
            self.space();
            if !self.eat(':') || matches!(key.kind(), minijinja::value::ValueKind::Seq | minijinja::value::ValueKind::Map) {
                return None;
            }
            pairs.push((key, self.value()?));
            self.space();
            let comma = self.eat(',');
            self.space();
            if self.eat('}') {
                return Some(Value::from_pairs(pairs));
            }
            if !comma {
                return None;
            }
            key = self.value()?;
        }
    }

    fn signed(&mut self) -> Option<Value> {
        let negative = self.rest.starts_with('-');
        self.rest = &self.rest[1..];
        self.space();
        let value = self.number()?;
        if !negative {
            return Some(value);
        }
        match i128::try_from(value.clone()) {
            Ok(i) if value.is_integer() => Some(int(i.checked_neg()?)),
            _ => f64::try_from(value).ok().map(|f| Value::from(-f)),
        }
    }

    fn number(&mut self) -> Option<Value> {
        let bytes = self.rest.as_bytes();
        let mut end = 0;
        while let Some(b) = bytes.get(end) {
            let exponent = end > 0 && matches!(bytes[end - 1], b'e' | b'E') && !self.rest.starts_with("0x") && !self.rest.starts_with("0X");
            if b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.') || (exponent && matches!(b, b'+' | b'-')) {
                end += 1;
            } else {
                break;
            }
        }
        let (text, rest) = self.rest.split_at(end);
        if text.ends_with('_') || text.contains("__") || text.contains("_.") || text.contains("._") {
            return None;
        }
        let value = number(&text.replace('_', ""))?;
        self.rest = rest;
        Some(value)
    }

    /// One or more strings beside each other are one.
    fn string(&mut self) -> Option<Value> {
        let mut out = String::new();
        self.one_string(&mut out)?;
        loop {
            self.space();
            let prefix = self.rest.trim_start_matches(|c: char| c.is_ascii_alphabetic());
            if !prefix.starts_with(['\'', '"']) {
                return Some(Value::from(out));
            }
            self.one_string(&mut out)?;
        }
    }

    fn one_string(&mut self, out: &mut String) -> Option<()> {
        let quote_at = self.rest.find(['\'', '"'])?;
        let prefix = self.rest[..quote_at].to_ascii_lowercase();
        let raw = match prefix.as_str() {
            "" | "u" | "b" => false,
            "r" | "rb" | "br" => true,
            _ => return None,
        };
        self.rest = &self.rest[quote_at..];
        let quote = self.rest.chars().next()?;
        let triple: String = [quote; 3].iter().collect();
        let end = if self.rest.starts_with(&triple) { triple } else { quote.to_string() };
        self.rest = &self.rest[end.len()..];
        loop {
            if let Some(rest) = self.rest.strip_prefix(end.as_str()) {
                self.rest = rest;
                return Some(());
            }
            let c = self.next()?;
            if c != '\\' {
                out.push(c);
            } else if raw {
                out.extend(['\\', self.next()?]);
            } else {
                self.escape(out)?;
            }
        }
    }

    fn next(&mut self) -> Option<char> {
        let c = self.rest.chars().next()?;
        self.rest = &self.rest[c.len_utf8()..];
        Some(c)
    }

    fn escape(&mut self, out: &mut String) -> Option<()> {
        let c = self.next()?;
        let plain = match c {
            'n' => '\n',
            't' => '\t',
            'r' => '\r',
            'a' => '\x07',
            'b' => '\x08',
            'f' => '\x0c',
            'v' => '\x0b',
            '\\' | '\'' | '"' => c,
            'x' => self.code(2, 16)?,
            'u' => self.code(4, 16)?,
            'U' => self.code(8, 16)?,
            'N' => return None,
            '0'..='7' => {
                let more = self.rest.bytes().take(2).take_while(|b| (b'0'..=b'7').contains(b)).count();
                let digits = format!("{c}{}", &self.rest[..more]);
                self.rest = &self.rest[more..];
                char::from_u32(u32::from_str_radix(&digits, 8).ok()?)?
            }
            other => {
                out.extend(['\\', other]);
                return Some(());
            }
        };
        out.push(plain);
        Some(())
    }

    fn code(&mut self, digits: usize, radix: u32) -> Option<char> {
        let code = self.rest.get(..digits)?;
        self.rest = &self.rest[digits..];
        char::from_u32(u32::from_str_radix(code, radix).ok()?)
    }
}

fn int(i: i128) -> Value {
    i64::try_from(i).map_or_else(|_| Value::from(i), Value::from)
}

fn number(text: &str) -> Option<Value> {
    let lower = text.to_ascii_lowercase();
    for (prefix, radix) in [("0x", 16), ("0o", 8), ("0b", 2)] {
        if let Some(digits) = lower.strip_prefix(prefix) {
            return i128::from_str_radix(digits, radix).ok().map(int);
        }
    }
    if lower.bytes().all(|b| b.is_ascii_digit()) {
        // 0644 is a syntax error in Python 3, so the text stays text; 00 is 0.
        let zeros = lower.bytes().all(|b| b == b'0');
        return if lower.starts_with('0') && !zeros { None } else { lower.parse().ok().map(int) };
    }
    let float = lower.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'+' | b'-'));
    let begins = lower.starts_with(|c: char| c.is_ascii_digit() || c == '.') && lower.bytes().any(|b| b.is_ascii_digit());
    (float && begins).then(|| lower.parse::<f64>().ok()).flatten().map(Value::from)
}

#[cfg(test)]
mod tests {
    use super::literal;
    use proptest::prelude::*;

    /// Every line was checked against Python 3.11; `text` marks what literal_eval refuses.
    #[test]
    fn literals() {
        let cases = [
            ("5", "5"),
            ("-5", "-5"),
            ("+5", "5"),
            ("- 5", "-5"),
            ("--5", "text"),
            ("0644", "text"),
            ("0o644", "420"),
            ("0x1F", "31"),
            ("1_000", "1000"),
            ("1__0", "text"),
            ("1.5", "1.5"),
            (".5", "0.5"),
            ("5.", "5.0"),
            ("1e3", "1000.0"),
            ("1e", "text"),
            ("10.0.0.1", "text"),
            ("1-2", "text"),
            ("True", "true"),
            ("true", "text"),
            ("None", "null"),
            ("yes", "text"),
            ("", "text"),
            ("'a b'", "\"a b\""),
            ("\"it's\"", "\"it's\""),
            ("'a' 'b'", "\"ab\""),
            (r"'\x41\n\q\101'", "\"A\\n\\\\qA\""),
            (r"r'\n'", "\"\\\\n\""),
            ("u'x'", "\"x\""),
            ("f'x'", "text"),
            ("[1, 'b', {'c': 2.5},]", "[1,\"b\",{\"c\":2.5}]"),
            ("{}", "{}"),
            ("()", "[]"),
            ("(1)", "1"),
            ("(1,)", "[1]"),
            ("1,2", "[1,2]"),
            ("1,", "[1]"),
            ("{1, 1}", "[1]"),
            ("set()", "[]"),
            ("[1", "text"),
            ("[a]", "text"),
            ("{'a'}", "[\"a\"]"),
            ("{'a': 1, 'b'}", "text"),
            ("{[1]: 2}", "text"),
            ("5 # five", "5"),
            ("5 five", "text"),
            ("'''x'y'''", "\"x'y\""),
            ("5j", "text"),
            ("{{ x }}", "text"),
            ("a,b", "text"),
            ("'a", "text"),
        ];
        for (text, want) in cases {
            let got = literal(text).map_or_else(|| "text".to_owned(), |v| serde_json::to_string(&v).unwrap());
            assert_eq!(got, want, "{text}");
        }
        assert_eq!(literal(&"[".repeat(5000)).map(|_| ()), None);
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[\\[\\](){},:'\"\\\\a-fA-FxNoTrue0-9._+ é#-]{0,40}") {
            let _ = literal(&text);
        }
    }
}
