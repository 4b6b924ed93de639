//! Host names with ranges and ports: `web[01:10:2].example:2222` (ansible: plugins/inventory/__init__.py, parsing/utils/addresses.py).

/// More hosts than this from one line are a mistake.
const MAX_HOSTS: usize = 65_536;

/// The names that a pattern of the inventory stands for, and the port at its end.
pub(super) fn expand(pattern: &str) -> Result<(Vec<String>, Option<u16>), String> {
    let (name, port) = split_port(pattern)?;
    let mut names = Vec::new();
    ranges(name, &mut names)?;
    Ok((names, port))
}

/// `name:22`, `[::1]:22`; a bare IPv6 address has no port.
fn split_port(pattern: &str) -> Result<(&str, Option<u16>), String> {
    let Some((name, port)) = pattern.rsplit_once(':') else { return Ok((pattern, None)) };
    let bracketed = name.strip_prefix('[').and_then(|n| n.strip_suffix(']')).filter(|n| n.parse::<std::net::Ipv6Addr>().is_ok());
    if port.is_empty() {
        return if pattern.parse::<std::net::Ipv6Addr>().is_ok() {
            Ok((pattern, None))
        } else {
            Err(format!("`{pattern}` ends with a colon; what follows it is a port"))
        };
    }
    // A colon inside an open range is not the port's.
    let plain = !port.contains(']') && (bracketed.is_some() || !outside_brackets(name).contains(':'));
    if !plain || !port.bytes().all(|b| b.is_ascii_digit()) {
        return Ok((pattern, None));
    }
    let number = port.parse().map_err(|_| format!("{port} is not a port"))?;
    Ok((bracketed.unwrap_or(name), Some(number)))
}

fn outside_brackets(text: &str) -> String {
    let mut depth = 0_usize;
    text.chars()
        .filter(|c| {
            match c {
                '[' => depth += 1,
                ']' => depth = depth.saturating_sub(1),
                _ => return depth == 0,
            }
            false
        })
        .collect()
}

fn ranges(pattern: &str, out: &mut Vec<String>) -> Result<(), String> {
    let Some((head, rest)) = pattern.split_once('[') else {
        if out.len() >= MAX_HOSTS {
            return Err(format!("a range stands for more than {MAX_HOSTS} hosts"));
        }
        out.push(pattern.to_owned());
        return Ok(());
    };
    let (range, tail) = rest.split_once(']').ok_or_else(|| format!("`{pattern}` has a [ that is not closed"))?;
    let bounds: Vec<&str> = range.split(':').collect();
    let (first, last, step) = match bounds.as_slice() {
        [first, last] => (*first, *last, "1"),
        [first, last, step] => (*first, *last, *step),
        _ => return Err(format!("[{range}] is no range: it is [first:last] or [first:last:step]")),
    };
    let first = if first.is_empty() { "0" } else { first };
    if last.is_empty() {
        return Err(format!("[{range}] has no end"));
    }
    let width = if first.len() > 1 && first.starts_with('0') { first.len() } else { 0 };
    if width > 0 && width != last.len() {
        return Err(format!("[{range}]: with leading zeros both ends have the same length"));
    }
    let step: usize = step.parse().ok().filter(|s| *s > 0).ok_or_else(|| format!("[{range}]: {step} is not a step"))?;
    match (letter(first), letter(last)) {
        (Some(from), Some(to)) if from <= to => {
            for at in (from..=to).step_by(step) {
                ranges(&format!("{head}{}{tail}", char::from(LETTERS[at])), out)?;
            }
        }
        (Some(_), Some(_)) => return Err(format!("[{range}] ends before it begins")),
        _ => {
            let number = |text: &str| text.parse::<u32>().map_err(|_| format!("[{range}]: {text} is neither a number nor a letter"));
            for at in (number(first)?..=number(last)?).step_by(step) {
                ranges(&format!("{head}{at:0width$}{tail}"), out)?;
            }
        }
    }
    Ok(())
}

const LETTERS: &[u8; 52] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

fn letter(text: &str) -> Option<usize> {
    match text.as_bytes() {
        [b] => LETTERS.iter().position(|l| l == b),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::expand;

    #[test]
    fn ranges_and_ports() {
        let names = |p: &str| expand(p).map(|(n, port)| (n.join(" "), port));
        let ok = |text: &str, port| Ok((text.to_owned(), port));
        assert_eq!(names("a"), ok("a", None));
        assert_eq!(names("n[1:3]:2222"), ok("n1 n2 n3", Some(2222)));
        assert_eq!(names("n[01:10:4].x"), ok("n01.x n05.x n09.x", None));
        assert_eq!(names("db-[a:c]"), ok("db-a db-b db-c", None));
        assert_eq!(names("[y:B]"), ok("y z A B", None));
        assert_eq!(names("r[1:2]n[1:2]"), ok("r1n1 r1n2 r2n1 r2n2", None));
        assert_eq!(names("x[:2]"), ok("x0 x1 x2", None));
        assert_eq!(names("10.0.0.[1:2]"), ok("10.0.0.1 10.0.0.2", None));
        assert_eq!(names("2001:db8::1"), ok("2001:db8::1", None));
        assert_eq!(names("[2001:db8::1]:22"), ok("2001:db8::1", Some(22)));
        for bad in ["a[1", "a[1:]", "a[1]", "a[01:100]", "a[c:a]", "a[1:2:0]", "a:", "a:99999", "a[1:99999999]", "a[x:1]"] {
            assert!(expand(bad).is_err(), "{bad}");
        }
    }
}
