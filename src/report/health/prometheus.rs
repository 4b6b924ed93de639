//! node_exporter's textfile format, for `verify --textfile` on a timer.

use crate::verify::{Report, Status};
use std::fmt::Write;

/// The report as metrics: a status per result (0 passed, 1 warning, 2 unknown, 3 failed), the time, certificates, pairs.
pub fn prometheus(report: &Report) -> String {
    let mut out = String::new();
    let cluster = escape(&report.cluster);
    let head = |out: &mut String, name: &str, help: &str| {
        let _ = writeln!(out, "# HELP kubewright_{name} {help}\n# TYPE kubewright_{name} gauge");
    };
    head(&mut out, "check_status", "Result of a check: 0 passed, 1 warning, 2 unknown, 3 failed.");
    for c in &report.checks {
        let value = match c.status {
            Status::Passed => 0,
            Status::Warning => 1,
            Status::Unknown => 2,
            Status::Failed => 3,
        };
        let _ = writeln!(
            out,
            "kubewright_check_status{{cluster=\"{cluster}\",check=\"{}\",group=\"{}\",subject=\"{}\"}} {value}",
            escape(&c.id),
            escape(&c.group),
            escape(&c.subject)
        );
    }
    head(&mut out, "checks", "Number of results by status.");
    let s = report.summary;
    for (status, count) in [("passed", s.passed), ("warning", s.warnings), ("unknown", s.unknown), ("failed", s.failed)] {
        let _ = writeln!(out, "kubewright_checks{{cluster=\"{cluster}\",status=\"{status}\"}} {count}");
    }
    head(&mut out, "host_reachable", "Whether a machine could be reached.");
    for h in &report.hosts {
        let _ = writeln!(
            out,
            "kubewright_host_reachable{{cluster=\"{cluster}\",host=\"{}\"}} {}",
            escape(&h.name),
            u8::from(h.unreachable.is_none())
        );
    }
    head(&mut out, "certificate_expiry_timestamp_seconds", "When a certificate ends.");
    for c in &report.certificates {
        let _ = writeln!(
            out,
            "kubewright_certificate_expiry_timestamp_seconds{{cluster=\"{cluster}\",host=\"{}\",place=\"{}\"}} {}",
            escape(&c.host),
            escape(&c.place),
            c.not_after.as_second()
        );
    }
    head(&mut out, "pod_rtt_seconds", "Shortest round trip between pods of two nodes.");
    for p in &report.pairs {
        if let Some(ms) = p.rtt_ms {
            let _ = writeln!(
                out,
                "kubewright_pod_rtt_seconds{{cluster=\"{cluster}\",from=\"{}\",to=\"{}\"}} {}",
                escape(&p.from),
                escape(&p.to),
                ms / 1000.0
            );
        }
    }
    head(&mut out, "pod_loss_ratio", "Lost datagrams between pods of two nodes.");
    for p in &report.pairs {
        if let Some(loss) = p.loss {
            let _ = writeln!(
                out,
                "kubewright_pod_loss_ratio{{cluster=\"{cluster}\",from=\"{}\",to=\"{}\"}} {loss}",
                escape(&p.from),
                escape(&p.to)
            );
        }
    }
    head(&mut out, "verify_timestamp_seconds", "When the report was made.");
    let _ = writeln!(out, "kubewright_verify_timestamp_seconds{{cluster=\"{cluster}\"}} {}", report.at.as_second());
    head(&mut out, "verify_duration_seconds", "How long it took.");
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of a report are few")]
    let seconds = report.duration_ms as f64 / 1000.0;
    let _ = writeln!(out, "kubewright_verify_duration_seconds{{cluster=\"{cluster}\"}} {seconds}");
    out
}

/// Label values escape backslash, quote and line break (Prometheus' exposition format).
fn escape(text: &str) -> String {
    crate::report::clean(text).replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
