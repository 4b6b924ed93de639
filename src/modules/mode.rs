//! File modes: octal text, YAML's octal numbers, and chmod's symbolic form as shell arithmetic.

use super::args::to_text;
use minijinja::{Value, value::ValueKind};

/// A mode as written → `0644`, `preserve`, or the symbolic text. A number is what YAML made of it: 0644 arrives as 420.
pub(super) fn normalise(value: &Value) -> Result<String, String> {
    if value.kind() == ValueKind::Number {
        let number = value.as_i64().filter(|n| (0..=0o7777).contains(n)).ok_or_else(|| format!("{value} is no file mode"))?;
        return Ok(format!("{number:04o}"));
    }
    let text = to_text(value);
    let text = text.trim();
    if text == "preserve" {
        return Ok(text.to_owned());
    }
    let digits = text.strip_prefix("0o").unwrap_or(text);
    if !digits.is_empty() && digits.bytes().all(|b| (b'0'..=b'7').contains(&b)) {
        let number = u32::from_str_radix(digits, 8).ok().filter(|n| *n <= 0o7777).ok_or_else(|| format!("{text} is no file mode"))?;
        return Ok(format!("{number:04o}"));
    }
    arithmetic(text).map(|_| text.to_owned())
}

/// A normalised mode → shell arithmetic over `m` (mode now) and `d` (1 for a directory). Empty for an empty mode.
pub(super) fn arithmetic(mode: &str) -> Result<String, String> {
    if mode.is_empty() || mode == "preserve" {
        return Ok(String::new());
    }
    if mode.bytes().all(|b| b.is_ascii_digit()) {
        return Ok(format!("0{}", mode.trim_start_matches('0')));
    }
    let bad = || format!("'{mode}' is no file mode (0644, u=rw,g=r,o=r, u+x, …)");
    let mut expression = "m".to_owned();
    for clause in mode.split(',') {
        let at = clause.find(['+', '-', '=']).ok_or_else(bad)?;
        let (who, mut rest) = clause.split_at(at);
        if !who.chars().all(|c| "ugoa".contains(c)) {
            return Err(bad());
        }
        while let Some(op) = rest.chars().next() {
            if !"+-=".contains(op) {
                return Err(bad());
            }
            let end = rest[1..].find(['+', '-', '=']).map_or(rest.len(), |i| i + 1);
            expression = apply(&expression, who, op, &rest[1..end]).ok_or_else(bad)?;
            rest = &rest[end..];
        }
    }
    Ok(expression)
}

fn apply(before: &str, who: &str, op: char, perms: &str) -> Option<String> {
    let everyone = who.is_empty() || who.contains('a');
    let is = |c: char| everyone || who.contains(c);
    let mut bits = 0_u32;
    let mut dynamic = Vec::new();
    let shifts = [('u', 6), ('g', 3), ('o', 0)];
    for p in perms.chars() {
        for (class, shift) in shifts {
            if !is(class) {
                continue;
            }
            match p {
                'r' => bits |= 4 << shift,
                'w' => bits |= 2 << shift,
                'x' => bits |= 1 << shift,
                'X' => dynamic.push(format!("((d|((({before})&0111)!=0))*{})", 1 << shift)),
                's' if class == 'u' => bits |= 0o4000,
                's' if class == 'g' => bits |= 0o2000,
                's' => {}
                't' => bits |= 0o1000,
                'u' | 'g' | 'o' => {
                    let from = shifts.iter().find(|(c, _)| *c == p)?.1;
                    dynamic.push(format!("((((({before})>>{from})&7))<<{shift})"));
                }
                _ => return None,
            }
        }
    }
    // Without "who" chmod leaves out what the umask forbids; ours is 022 everywhere.
    if who.is_empty() {
        bits &= !0o022;
    }
    let mut set = format!("0{bits:o}");
    for d in &dynamic {
        set = format!("({set}|{d})");
    }
    let class_mask = shifts.iter().filter(|(c, _)| is(*c)).fold(0_u32, |m, (_, s)| m | (7 << s));
    Some(match op {
        '+' => format!("(({before})|{set})"),
        '-' => format!("(({before})&~{set})"),
        _ => format!("((({before})&~0{class_mask:o})|{set})"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_what_yaml_made_of_them() {
        for (given, wanted) in
            [("420", "0644"), ("\"0644\"", "0644"), ("\"644\"", "0644"), ("\"0o755\"", "0755"), ("\"u+x\"", "u+x"), ("1517", "2755")]
        {
            assert_eq!(normalise(&serde_json::from_str(given).unwrap()).unwrap(), wanted);
        }
        assert!(normalise(&Value::from("rw-r--r--")).is_err());
        assert!(normalise(&Value::from(99999)).is_err());
    }

    #[test]
    fn symbolic_modes_compute_like_chmod_in_a_real_shell() {
        for (mode, now, dir, wanted) in [
            ("u+x", "0644", 0, "744"),
            ("g-w,o=", "0664", 0, "640"),
            ("u=rw,g=r,o=r", "0777", 0, "644"),
            ("a+X", "0644", 0, "644"),
            ("a+X", "0644", 1, "755"),
            ("g=u", "0640", 0, "660"),
            ("u=rwX,g=rX,o=", "0644", 1, "750"),
            ("+x", "0644", 0, "755"),
            ("u+s", "0755", 0, "4755"),
        ] {
            let sh = format!("m={now} d={dir}; printf %o $(( {} ))", arithmetic(mode).unwrap().replace('m', "$m").replace('d', "$d"));
            let out = std::process::Command::new("sh").arg("-c").arg(&sh).output().unwrap();
            assert_eq!(String::from_utf8_lossy(&out.stdout), wanted, "{mode} on {now}: {sh}");
        }
    }
}
