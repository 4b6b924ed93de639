//! Why did it fail? Messages and logs of a host are matched with the known signatures ([`super::SIGNATURES`]).

use super::{
    access::Access,
    causes::{SIGNATURES, Signature, diagnose_all},
    host,
};
use std::time::Duration;

const PROGRAM: &str = include_str!("failure.sh");
const DEADLINE: Duration = Duration::from_secs(20);

/// A known line that was found, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// The host.
    pub host: String,
    /// What it means and what to do.
    pub signature: &'static Signature,
    /// Where the line stands: `kubelet`, `pod/etcd`, or `message`.
    pub source: String,
    /// The line.
    pub line: String,
}

/// Known lines in what a task said.
pub fn in_message(host: &str, message: &str) -> Vec<Cause> {
    found(host, "message", message)
}

/// Known lines in the logs of a host: kubelet's, containerd's, those of the control plane's and the pod network's pods, as far
/// back as `since`.
///
/// # Errors
/// Why the host could not be looked at.
pub async fn on_host(access: &dyn Access, host: &str, since: Duration) -> Result<Vec<Cause>, String> {
    let seen = host::run_since(access, since, PROGRAM, DEADLINE).await?;
    Ok(seen.names().flat_map(|name| found(host, name, seen.section(name).unwrap_or(""))).collect())
}

fn found(host: &str, source: &str, text: &str) -> Vec<Cause> {
    let all = diagnose_all(text);
    all.map(|(signature, line)| Cause { host: host.to_owned(), signature, source: source.to_owned(), line: line.trim().to_owned() })
        .collect()
}

/// One cause first: each signature once, the specific before the general. What every node says for a moment while it starts
/// counts only where nothing else was found.
pub fn ranked(mut causes: Vec<Cause>) -> Vec<Cause> {
    let place = |c: &Cause| SIGNATURES.iter().position(|s| s.id == c.signature.id);
    causes.sort_by_key(place);
    causes.dedup_by_key(|c| c.signature.id);
    if causes.iter().any(|c| !c.signature.passing) {
        causes.retain(|c| !c.signature.passing);
    }
    causes
}

#[cfg(test)]
mod tests {
    use super::*;

    const KMSG: &str = "failed to create kubelet: open /dev/kmsg: no such file or directory";
    const REFUSED: &str = "dial tcp 10.0.0.10:6443: connect: connection refused";

    #[test]
    fn what_passes_by_itself_counts_only_alone() {
        let mut all = in_message("a", REFUSED);
        all.extend(in_message("b", &format!("noise\n{KMSG}\n{REFUSED}")));
        let ids = |all: &[Cause]| all.iter().map(|c| format!("{} {}", c.host, c.signature.id)).collect::<Vec<_>>();
        assert_eq!(ids(&ranked(all)), ["b kmsg"]);
        assert_eq!(ids(&ranked(in_message("a", REFUSED))), ["a api-refused"]);
        assert!(ranked(in_message("a", "all is well")).is_empty());
    }

    #[test]
    fn the_program_runs_under_every_posix_shell_and_reads_only() {
        host::only_reads(PROGRAM, &["NR > 1"]);
    }
}
