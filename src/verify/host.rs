//! What was seen on one host: the sections of one read-only program.

use super::access::Access;
use crate::shell::Sh;
use indexmap::IndexMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const PROGRAM: &str = include_str!("observe.sh");

/// Sections of the program's output, and when it ran.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    sections: IndexMap<String, String>,
    /// Host's clock minus ours, seconds.
    pub(super) clock_offset: Option<f64>,
    /// How long it took.
    pub(super) elapsed: Duration,
}

impl Seen {
    /// A section's text; `None`: the program did not get that far.
    pub(super) fn section(&self, name: &str) -> Option<&str> {
        self.sections.get(name).map(String::as_str)
    }

    /// Names of the sections, in the program's order.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.sections.keys().map(String::as_str)
    }

    /// `KEY VALUE` lines of a section.
    pub(super) fn value(&self, section: &str, key: &str) -> Option<&str> {
        self.section(section)?.lines().find_map(|l| l.strip_prefix(key)?.strip_prefix([' ', '=', ':']).map(str::trim))
    }

    /// Replaces a section: how tests inject a fault.
    #[cfg(test)]
    pub(super) fn set(&mut self, section: &str, text: &str) {
        self.sections.insert(section.to_owned(), text.to_owned());
    }
}

/// Looks at one host. `names`: what it must be able to resolve.
pub(super) async fn look(access: &dyn Access, names: &[String], deadline: Duration) -> Result<Seen, String> {
    run(access, &Sh::fill("KW_NAMES={}\n", &[&names.join(" ")]), &Sh::literal(PROGRAM), deadline).await
}

/// Runs a program of sections about the last `since`.
pub(super) async fn run_since(access: &dyn Access, since: Duration, program: &'static str, deadline: Duration) -> Result<Seen, String> {
    let seconds = (since.as_secs() + 1).to_string();
    run(access, &Sh::fill("KW_SECONDS={}\n", &[&seconds]), &Sh::literal(program), deadline).await
}

/// Runs a program of sections, with its settings before it.
async fn run(access: &dyn Access, settings: &Sh, program: &Sh, deadline: Duration) -> Result<Seen, String> {
    let nonce = format!("{:016x}", rand::random::<u64>());
    let program = Sh::fill("KW_NONCE={}\n", &[&nonce]).then(settings).then(program);
    let (begun, clock) = (Instant::now(), SystemTime::now());
    let text = match tokio::time::timeout(deadline, access.read(&program)).await {
        Ok(text) => text?,
        Err(_) => return Err(format!("no answer to the observation program within {} s", deadline.as_secs())),
    };
    let elapsed = begun.elapsed();
    let ours = clock.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    Ok(parse(&text, &nonce, ours, elapsed))
}

/// `ours`: our clock when the program was sent; its first command says the host's.
fn parse(text: &str, nonce: &str, ours: f64, elapsed: Duration) -> Seen {
    let mark = format!("@@{nonce} ");
    let mut sections: IndexMap<String, String> = IndexMap::new();
    let mut current = None;
    for line in text.lines() {
        if let Some(name) = line.strip_prefix(&mark) {
            sections.entry(name.to_owned()).or_default();
            current = Some(name.to_owned());
        } else if let Some(section) = current.as_ref().and_then(|name| sections.get_mut(name)) {
            section.push_str(line);
            section.push('\n');
        }
    }
    let theirs = sections.get("time").and_then(|t| t.trim().parse::<f64>().ok());
    Seen { sections, clock_offset: theirs.map(|t| t - ours), elapsed }
}

/// A program is sh, and its only redirections are into /dev/null. In lines with one of `words` `>` is something else.
#[cfg(test)]
pub(super) fn only_reads(program: &str, words: &[&str]) {
    for shell in [&["dash"][..], &["bash", "--posix"], &["busybox", "sh"]] {
        let mut command = std::process::Command::new(shell[0]);
        let check = command.args(&shell[1..]).args(["-n", "-c", program]).output().unwrap();
        assert!(check.status.success(), "{shell:?}: {}", String::from_utf8_lossy(&check.stderr));
    }
    let into = |l: &str| l.replace("2>/dev/null", "").replace("2>&1", "").contains('>');
    let writes: Vec<_> = program.lines().filter(|l| into(l) && !l.starts_with('#') && !words.iter().any(|word| l.contains(word))).collect();
    assert!(writes.is_empty(), "{writes:?}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lines_with_the_nonce_begin_a_section() {
        let text = "motd\n@@n1 time\n100.5\n\n@@n1 swaps\nFilename\n@@evil time\n0\n@@n1 end\n";
        let seen = parse(text, "n1", 98.0, Duration::from_millis(10));
        assert_eq!(seen.clock_offset, Some(2.5));
        assert_eq!(seen.section("swaps"), Some("Filename\n@@evil time\n0\n"));
        assert!(seen.section("end").is_some() && seen.section("stat").is_none());
    }

    #[test]
    fn the_program_runs_under_every_posix_shell_and_reads_only() {
        only_reads(PROGRAM, &["BEGIN CERT"]);
    }
}
