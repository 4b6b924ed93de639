//! The report as plain data. Its JSON form is the versioned schema of docs/verify-report.schema.json.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Version of the JSON form; a field that goes or changes its meaning raises it.
pub const SCHEMA: u32 = 1;

/// How one check ended on one subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Seen, and as expected.
    Passed,
    /// Seen, not as expected, and it can wait.
    Warning,
    /// It could not be seen. Never green.
    Unknown,
    /// Seen, and not as expected.
    Failed,
}

/// How much a failure of a check matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Works today, costs something later: shown as a warning.
    Minor,
    /// Something is broken, or will be soon.
    Major,
    /// The cluster, or a node, does not work.
    Critical,
}

/// What a check looked at: a command or an object, and what it said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// A command to paste, or an object.
    pub source: String,
    /// What it said, cut to a few lines.
    pub output: String,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fix {
    /// For people.
    pub text: String,
    /// Tag of the playbook tasks that mend it (`bootstrap --tags`), where that is safe.
    pub tag: Option<String>,
}

/// One check on one subject.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckResult {
    /// Of the registry: `network-pod-udp`.
    pub id: String,
    /// Of the registry.
    pub group: String,
    /// For people.
    pub title: String,
    /// Of the registry.
    pub severity: Severity,
    /// How it ended.
    pub status: Status,
    /// A host, a pair of hosts (`worker-1 → worker-2`), an object, or `cluster`.
    pub subject: String,
    /// What should be.
    pub expected: String,
    /// What is.
    pub observed: String,
    /// What was looked at.
    pub evidence: Vec<Evidence>,
    /// Likely cause, when not passed.
    pub cause: Option<String>,
    /// What to do, when not passed.
    pub fix: Option<Fix>,
    /// Time of the work behind it, milliseconds. Observations that several checks share count for each.
    pub duration_ms: u64,
}

/// Traffic between the pods of two nodes, one direction: a cell of the heat map.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Pair {
    /// Node of the pod that asked.
    pub from: String,
    /// Node of the pod that answered.
    pub to: String,
    /// TCP, 64 bytes; `None`: not tried.
    pub tcp: Option<bool>,
    /// UDP, small datagrams.
    pub udp: Option<bool>,
    /// UDP, largest datagrams without fragmentation.
    pub mtu: Option<bool>,
    /// TCP, 64 KiB: full segments.
    pub tcp_mtu: Option<bool>,
    /// Shortest UDP round trip, milliseconds.
    pub rtt_ms: Option<f64>,
    /// Lost UDP datagrams, 0 to 1.
    pub loss: Option<f64>,
    /// Throughput of one TCP stream, bit/s, where it was measured.
    pub bits_per_second: Option<f64>,
}

/// A certificate that was seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// Host.
    pub host: String,
    /// A path, or `served on 10.0.0.10:6443`.
    pub place: String,
    /// Its subject.
    pub subject: String,
    /// Who signed it.
    pub issuer: String,
    /// Not valid before.
    pub not_before: Timestamp,
    /// Not valid after.
    pub not_after: Timestamp,
}

/// A host that the report is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Host {
    /// Its name.
    pub name: String,
    /// `control-plane` or a pool's name.
    pub pool: String,
    /// Why it could not be reached; `None`: it was.
    pub unreachable: Option<String>,
}

/// Counts by status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// Results that passed.
    pub passed: usize,
    /// Results that are warnings.
    pub warnings: usize,
    /// Results that could not be seen.
    pub unknown: usize,
    /// Results that failed.
    pub failed: usize,
}

/// A health report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Version of kubewright that made it.
    pub kubewright: String,
    /// The cluster's name.
    pub cluster: String,
    /// Kubernetes version that is wanted.
    pub version: String,
    /// When it began.
    pub at: Timestamp,
    /// How long it took, milliseconds.
    pub duration_ms: u64,
    /// Nothing was written, so nothing that needs probes is known.
    pub read_only: bool,
    /// Counts.
    pub summary: Summary,
    /// The hosts.
    pub hosts: Vec<Host>,
    /// Every result, the worst first.
    pub checks: Vec<CheckResult>,
    /// Checks of the registry that do not apply to this cluster.
    pub not_applicable: Vec<String>,
    /// Traffic between nodes.
    pub pairs: Vec<Pair>,
    /// Certificates, the one that ends first in front.
    pub certificates: Vec<Certificate>,
}

impl Report {
    /// Results that are not green, the worst first.
    pub fn problems(&self) -> impl Iterator<Item = &CheckResult> {
        self.checks.iter().filter(|c| c.status != Status::Passed)
    }
}

/// 0 healthy (warnings are), 5 unhealthy, 4 not all of it could be seen: a host was not reached, or a check is unknown.
/// What `--read-only` left out on purpose does not count.
pub fn exit_code(report: &Report) -> u8 {
    if report.hosts.iter().any(|h| h.unreachable.is_some()) {
        return 4;
    }
    if report.summary.failed > 0 {
        return 5;
    }
    let skipped = |c: &CheckResult| report.read_only && super::registry::needs_probes(&c.id);
    u8::from(report.checks.iter().any(|c| c.status == Status::Unknown && !skipped(c))) * 4
}
