//! The views of one report, with hostile names, logs and certificates in it.

use super::{differences, explain, html, json, junit, list, prometheus, text};
use crate::verify::{Certificate, CheckResult, Evidence, Fix, Host, Pair, Report, SCHEMA, Severity, Status, Summary, compare, find};

const EVIL: &str = "x\u{1b}[31m</script><script>alert(1)</script>\"' onload=a ]]>\u{202e}\u{0}&";

fn result(id: &str, status: Status, subject: &str, observed: &str) -> CheckResult {
    let bad = status != Status::Passed;
    CheckResult {
        id: id.into(),
        group: id.split('-').next().unwrap().into(),
        title: "A title".into(),
        severity: Severity::Critical,
        status,
        subject: subject.into(),
        expected: "as it should be".into(),
        observed: observed.into(),
        evidence: vec![Evidence { source: "cat /x".into(), output: observed.into() }],
        cause: bad.then(|| "a cause".into()),
        fix: bad.then(|| Fix { text: "do this".into(), tag: Some("sysctl".into()) }),
        duration_ms: 12,
    }
}

pub(super) fn sample(evil: &str) -> Report {
    let pair = |from: &str, to: &str, udp| Pair {
        from: from.into(),
        to: to.into(),
        tcp: Some(true),
        udp: Some(udp),
        mtu: Some(true),
        tcp_mtu: Some(true),
        rtt_ms: udp.then_some(0.4),
        loss: Some(if udp { 0.0 } else { 1.0 }),
        bits_per_second: None,
    };
    let at = "2026-11-21T11:00:00Z".parse().unwrap();
    Report {
        schema: SCHEMA,
        kubewright: "0.1.0".into(),
        cluster: "lab".into(),
        version: "1.36.3".into(),
        at,
        duration_ms: 9100,
        read_only: false,
        summary: Summary { passed: 1, warnings: 1, unknown: 2, failed: 1 },
        hosts: vec![
            Host { name: "worker-1".into(), pool: "worker".into(), unreachable: None },
            Host { name: "worker-2".into(), pool: "worker".into(), unreachable: Some(format!("refused {evil}")) },
        ],
        checks: vec![
            result("network-pod-udp", Status::Failed, "worker-1 → worker-2", &format!("4 datagrams lost {evil}")),
            result("machine-swap", Status::Unknown, "worker-2", "refused"),
            result("machine-time", Status::Unknown, "worker-2", "refused"),
            result("machine-reboot", Status::Warning, "worker-1", "a reboot is due"),
            result("machine-modules", Status::Passed, "worker-1", "both"),
        ],
        not_applicable: vec!["machine-ntp".into()],
        pairs: vec![pair("worker-1", "worker-2", false), pair("worker-2", "worker-1", true)],
        certificates: vec![Certificate {
            host: "worker-1".into(),
            place: "/etc/kubernetes/pki/ca.crt".into(),
            subject: format!("CN={evil}"),
            issuer: "CN=ca".into(),
            not_before: at,
            not_after: "2027-03-01T00:00:00Z".parse().unwrap(),
        }],
    }
}

#[test]
fn the_text_says_the_summary_first_and_then_only_what_is_not_green() {
    insta::assert_snapshot!(text(&sample(""), 0, false));
    assert!(text(&sample(""), 1, false).contains("machine-modules"));
}

#[test]
fn hostile_text_breaks_no_view() {
    let report = sample(EVIL);
    let clean = |view: &str, text: &str| {
        let bad = text.chars().find(|c| (c.is_control() && *c != '\n' && *c != '\t') || *c == '\u{202e}');
        assert_eq!(bad, None, "{view}");
    };
    for (view, text) in
        [("text", text(&report, 1, false)), ("junit", junit(&report)), ("prometheus", prometheus(&report)), ("html", html(&report))]
    {
        clean(view, &text);
    }
    let page = html(&report);
    assert!(!page.contains("<script") && page.contains("&lt;script&gt;"));
    assert_eq!(page.matches("<details").count(), page.matches("</details>").count());
    // Quotes cannot end an attribute: between tags no attribute of theirs appears.
    assert!(!page.contains("\" onload=a") && !page.contains("' onload=a"));
    let back: Report = serde_json::from_str(&json(&report)).unwrap();
    assert_eq!(back, report);
    for line in prometheus(&report).lines().filter(|l| !l.starts_with('#')) {
        assert!(line.starts_with("kubewright_") && line.rsplit(' ').next().unwrap().parse::<f64>().is_ok(), "{line}");
    }
}

#[test]
fn junit_counts_failures_and_errors() {
    let xml = junit(&sample(""));
    assert!(xml.contains("tests=\"5\" failures=\"1\" errors=\"2\""), "{}", xml.lines().take(3).collect::<String>());
}

#[test]
fn lists_and_explanations_come_from_the_registry() {
    assert!(list().lines().count() >= 50);
    let said = explain(find("network-pod-udp").unwrap());
    assert!(said.contains("UDP 4789") && said.contains("read-only"), "{said}");
}

#[test]
fn a_comparison_names_what_changed() {
    let (old, mut new) = (sample(""), sample(""));
    new.checks[0].status = Status::Passed;
    let all = compare(&old, &new);
    assert_eq!(all.len(), 1);
    assert!(differences(&all).starts_with("FAILED → ok  network-pod-udp  worker-1 → worker-2"));
    assert_eq!(differences(&compare(&old, &old)), "nothing changed\n");
}

#[test]
fn a_page_of_a_hundred_machines_can_still_be_opened() {
    let mut report = sample("");
    let name = |i: usize| format!("worker-{i}");
    report.hosts = (0..100).map(|i| Host { name: name(i), pool: "worker".into(), unreachable: None }).collect();
    let checks = |i: usize| (0..60).map(move |c| result(&format!("machine-{c}"), Status::Passed, &name(i), "as it should be"));
    report.checks = (0..100).flat_map(checks).collect();
    let pair = |i: usize, stride: usize| Pair { from: name(i), to: name((i + stride) % 100), rtt_ms: Some(0.4), ..Pair::default() };
    report.pairs = (0..100).flat_map(|i| [1, 2, 4, 8, 16, 32, 64].map(|stride| pair(i, stride))).collect();
    let page = html(&report);
    assert!(page.len() < 8_000_000 && page.contains("worker-99"), "{} bytes", page.len());
}
