//! One self-contained HTML page: overview, what is not green, a matrix by node, the heat map of pairs, a timeline of
//! certificates, all results with their evidence folded. No script, no external asset; dark, light and printed.

use crate::{
    report::duration,
    verify::{CheckResult, Pair, Report, Status},
};
use indexmap::{IndexMap, IndexSet};
use std::{collections::HashMap, fmt::Write, time::Duration};

const STYLE: &str = include_str!("page.css");

/// The page.
pub fn html(report: &Report) -> String {
    let mut page = String::from(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n",
    );
    // Nothing may be loaded or run, whatever text slips in.
    page.push_str("<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n");
    let _ = write!(page, "<title>{}: health</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n", escape(&report.cluster));
    overview(&mut page, report);
    problems(&mut page, report);
    heat_map(&mut page, report);
    matrix(&mut page, report);
    certificates(&mut page, report);
    everything(&mut page, report);
    let _ = write!(page, "<footer>kubewright {} · schema {}</footer>\n</body>\n</html>\n", escape(&report.kubewright), report.schema);
    page
}

fn overview(page: &mut String, report: &Report) {
    let s = report.summary;
    let lost = report.hosts.iter().filter(|h| h.unreachable.is_some()).count();
    let (class, verdict) = match () {
        () if s.failed > 0 => ("failed", "unhealthy"),
        () if lost > 0 => ("failed", "not all machines could be reached"),
        () if s.unknown > 0 => ("unknown", "not everything could be seen"),
        () => ("passed", "healthy"),
    };
    let _ = write!(
        page,
        "<header class=\"{class}\">\n<h1>{} <span>is {verdict}</span></h1>\n<p>Kubernetes {} on {} machines · {} · took {}{}</p>\n<ul class=\"counts\">",
        escape(&report.cluster),
        escape(&report.version),
        report.hosts.len(),
        report.at.strftime("%Y-%m-%d %H:%M:%S UTC"),
        duration(Duration::from_millis(report.duration_ms)),
        if report.read_only { " · read-only" } else { "" },
    );
    for (class, count, name) in [
        ("failed", s.failed, "failed"),
        ("unknown", s.unknown, "unknown"),
        ("warning", s.warnings, "warnings"),
        ("passed", s.passed, "passed"),
    ] {
        let _ = write!(page, "<li class=\"{class}{}\"><b>{count}</b> {name}</li>", if count == 0 { " none" } else { "" });
    }
    page.push_str("</ul>\n</header>\n");
    for host in report.hosts.iter().filter(|h| h.unreachable.is_some()) {
        let why = host.unreachable.as_deref().unwrap_or_default();
        let _ = writeln!(page, "<p class=\"lost\"><b>{}</b> could not be reached: {}</p>", escape(&host.name), escape(why));
    }
}

fn problems(page: &mut String, report: &Report) {
    if report.problems().next().is_none() {
        return;
    }
    page.push_str("<section>\n<h2>Not green</h2>\n");
    // Unknowns that share subject and reason are one fact.
    let mut unknown: IndexMap<(&str, &str), Vec<&str>> = IndexMap::new();
    for c in report.problems() {
        if c.status == Status::Unknown {
            unknown.entry((&c.subject, &c.observed)).or_default().push(&c.id);
        } else {
            // What only follows from something else is folded: the cause stands above it.
            card(page, c, !c.cause.as_deref().is_some_and(|cause| cause.starts_with("follows from ")));
        }
    }
    for ((subject, why), ids) in unknown {
        let _ = writeln!(
            page,
            "<details class=\"card unknown\"><summary>{}<b>{}</b> {}</summary><p>Checks: {}</p></details>",
            mark(Status::Unknown),
            escape(subject),
            escape(why),
            escape(&ids.join(", "))
        );
    }
    page.push_str("</section>\n");
}

fn card(page: &mut String, c: &CheckResult, open: bool) {
    let class = class(c.status);
    let _ = write!(
        page,
        "<details class=\"card {class}\"{}><summary>{}<code>{}</code> <b>{}</b> {}</summary>\n<dl>",
        if open { " open" } else { "" },
        mark(c.status),
        escape(&c.id),
        escape(&c.subject),
        escape(&c.title)
    );
    let fix = c.fix.as_ref().map(|f| f.text.as_str());
    for (name, text) in [
        ("observed", Some(c.observed.as_str())),
        ("expected", Some(&c.expected)),
        ("likely cause", c.cause.as_deref()),
        ("what to do", fix),
    ] {
        if let Some(text) = text.filter(|t| !t.is_empty()) {
            let _ = write!(page, "<dt>{name}</dt><dd>{}</dd>", escape(text));
        }
    }
    page.push_str("</dl>\n");
    if !c.evidence.is_empty() {
        page.push_str("<details class=\"evidence\"><summary>evidence</summary>");
        for e in &c.evidence {
            let _ = write!(page, "<pre><b>$ {}</b>\n{}</pre>", escape(&e.source), escape(&e.output));
        }
        page.push_str("</details>\n");
    }
    page.push_str("</details>\n");
}

/// Checks down, machines across.
fn matrix(page: &mut String, report: &Report) {
    let mut rows: IndexMap<&str, HashMap<&str, &CheckResult>> = IndexMap::new();
    let mut all: Vec<&CheckResult> = report.checks.iter().collect();
    all.sort_by(|a, b| (&a.group, &a.id).cmp(&(&b.group, &b.id)));
    for c in all {
        if let Some(host) = report.hosts.iter().find(|h| h.name == c.subject) {
            rows.entry(&c.id).or_default().insert(&host.name, c);
        }
    }
    if rows.is_empty() {
        return;
    }
    page.push_str("<section>\n<h2>By machine</h2>\n<div class=\"wide\"><table class=\"matrix\">\n<thead><tr><th></th>");
    for host in &report.hosts {
        let _ = write!(page, "<th scope=\"col\">{}</th>", escape(&host.name));
    }
    page.push_str("</tr></thead>\n<tbody>\n");
    for (id, cells) in rows {
        let _ = write!(page, "<tr><th scope=\"row\"><code>{}</code></th>", escape(id));
        for host in &report.hosts {
            match cells.get(host.name.as_str()) {
                Some(c) => {
                    let _ = write!(page, "<td class=\"{}\" title=\"{}\">{}</td>", class(c.status), escape(&c.observed), symbol(c.status));
                }
                None => page.push_str("<td></td>"),
            }
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</tbody></table></div>\n</section>\n");
}

fn heat_map(page: &mut String, report: &Report) {
    if report.pairs.is_empty() {
        return;
    }
    let names: IndexSet<&str> =
        report.hosts.iter().map(|h| h.name.as_str()).chain(report.pairs.iter().flat_map(|p| [p.from.as_str(), p.to.as_str()])).collect();
    let pairs: HashMap<(&str, &str), &Pair> = report.pairs.iter().map(|p| ((p.from.as_str(), p.to.as_str()), p)).collect();
    page.push_str("<section id=\"pairs\">\n<h2>Pod to pod, between machines</h2>\n<p>From the machine on the left to the one above: shortest round trip, or what is broken.</p>\n<div class=\"wide\"><table class=\"heat\">\n<thead><tr><th>from \\ to</th>");
    for name in &names {
        let _ = write!(page, "<th scope=\"col\">{}</th>", escape(name));
    }
    page.push_str("</tr></thead>\n<tbody>\n");
    for from in &names {
        let _ = write!(page, "<tr><th scope=\"row\">{}</th>", escape(from));
        for to in &names {
            match pairs.get(&(*from, *to)) {
                Some(pair) => heat_cell(page, pair),
                None => page.push_str(if from == to { "<td class=\"self\"></td>" } else { "<td class=\"self\">·</td>" }),
            }
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</tbody></table></div>\n</section>\n");
}

fn heat_cell(page: &mut String, pair: &Pair) {
    let broken: Vec<&str> = [("TCP", pair.tcp), ("UDP", pair.udp), ("MTU", pair.mtu)]
        .into_iter()
        .filter(|(_, ok)| *ok == Some(false))
        .map(|(name, _)| name)
        .collect();
    let loss = pair.loss.unwrap_or(0.0) * 100.0;
    let speed = pair.bits_per_second.map_or(String::new(), |b| format!(", {:.0} Mbit/s", b / 1e6));
    let title = format!("{} → {}: {loss:.0} % lost{speed}", pair.from, pair.to);
    let (heat, text) = match (broken.is_empty(), pair.rtt_ms) {
        (false, _) => ("broken".to_owned(), format!("✗ {}", broken.join(" "))),
        (true, Some(ms)) => {
            let step = [0.5, 1.0, 2.0, 5.0, 10.0, 50.0].iter().position(|limit| ms < *limit).unwrap_or(6);
            (format!("h{step}"), format!("{ms:.1} ms"))
        }
        (true, None) => ("self".to_owned(), "?".to_owned()),
    };
    let _ = write!(page, "<td class=\"{heat}\" title=\"{}\">{text}</td>", escape(&title));
}

fn certificates(page: &mut String, report: &Report) {
    if report.certificates.is_empty() {
        return;
    }
    const DAY: i64 = 86_400;
    let left = |c: &crate::verify::Certificate| (c.not_after.as_second() - report.at.as_second()) / DAY;
    // A CA lives ten years: the scale is a year, so that what ends first can be told apart.
    page.push_str("<section>\n<h2>Certificates</h2>\n<div class=\"wide\"><table class=\"timeline\">\n<thead><tr><th>machine</th><th>where</th><th>days left</th><th>a year</th></tr></thead>\n<tbody>\n");
    for c in report.certificates.iter().take(400) {
        let days = left(c);
        let class = if days < 0 || c.not_before > report.at {
            "failed"
        } else if days < 30 {
            "warning"
        } else {
            "passed"
        };
        let width = days.clamp(0, 365) * 100 / 365;
        let title = format!("{}\nissued by {}\n{} to {}", c.subject, c.issuer, c.not_before, c.not_after);
        let _ = writeln!(
            page,
            "<tr><td>{}</td><td><code>{}</code></td><td class=\"number\">{days}</td><td title=\"{}\"><i class=\"bar {class}\" style=\"width:{width}%\"></i></td></tr>",
            escape(&c.host),
            escape(&c.place),
            escape(&title)
        );
    }
    page.push_str("</tbody></table></div>\n</section>\n");
}

fn everything(page: &mut String, report: &Report) {
    page.push_str("<section class=\"all\">\n<h2>Everything that was checked</h2>\n");
    let mut groups: IndexMap<&str, Vec<&CheckResult>> = IndexMap::new();
    for c in &report.checks {
        groups.entry(&c.group).or_default().push(c);
    }
    groups.sort_keys();
    for (group, mut all) in groups {
        all.sort_by(|a, b| (&a.id, &a.subject).cmp(&(&b.id, &b.subject)));
        let green = all.iter().filter(|c| c.status == Status::Passed).count();
        let _ = writeln!(page, "<details><summary><b>{}</b> {green} of {} green</summary>", escape(group), all.len());
        all.into_iter().for_each(|c| card(page, c, false));
        page.push_str("</details>\n");
    }
    if !report.not_applicable.is_empty() {
        let _ = writeln!(page, "<p>Not applicable here: {}</p>", escape(&report.not_applicable.join(", ")));
    }
    page.push_str("</section>\n");
}

fn class(status: Status) -> &'static str {
    match status {
        Status::Passed => "passed",
        Status::Warning => "warning",
        Status::Unknown => "unknown",
        Status::Failed => "failed",
    }
}

fn symbol(status: Status) -> &'static str {
    match status {
        Status::Passed => "✓",
        Status::Warning => "!",
        Status::Unknown => "?",
        Status::Failed => "✗",
    }
}

fn mark(status: Status) -> String {
    format!("<i class=\"mark {}\">{}</i> ", class(status), symbol(status))
}

/// Text as HTML text or as a quoted attribute's value.
fn escape(text: &str) -> String {
    crate::report::clean(text).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}
