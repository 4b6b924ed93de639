//! Versions that go together, and where Kubernetes comes from.

use crate::{
    spec::{ClusterSpec, MATRIX_DATE, Release, place::Places, release, releases, scalars::is_dns_name},
    text::{Problem, Problems, nearest},
};
use std::{net::IpAddr, time::Duration};

pub(super) fn check(spec: &ClusterSpec, places: &Places<'_>, problems: &mut Problems) {
    let kubernetes = &spec.kubernetes;
    let at = |field: &str| places.at(&format!("kubernetes.{field}"));
    let known = release(&kubernetes.version).filter(|r| r.known.contains(&kubernetes.version.as_str()));
    if known.is_none() {
        problems.push(unknown(&kubernetes.version, &at("version")));
    }
    match (known, kubernetes.containerd) {
        (_, 0 | 3..) => {
            problems.push(Problem::at(&at("containerd"), format!("there is no containerd {}", kubernetes.containerd)).hint("1 or 2"));
        }
        (Some(release), have) if have < release.containerd_min => {
            let problem = Problem::at(
                &at("containerd"),
                format!("Kubernetes {} needs containerd {} or later", release.minor, release.containerd_min),
            );
            problems.push(problem.hint("remove `containerd: 1`, or take Kubernetes 1.35, the last one for it"));
        }
        _ => {}
    }
    if let Some(repository) = &kubernetes.package_repository {
        for (field, url) in [("url", &repository.url), ("key_url", &repository.key_url)] {
            if !is_url(url) {
                problems.push(
                    Problem::at(&at(&format!("package_repository.{field}")), format!("`{url}` is not a URL")).hint("http://… or https://…"),
                );
            }
        }
    }
    if let Some(registry) = kubernetes.image_registry.as_deref().filter(|r| !is_registry(r)) {
        let problem = Problem::at(&at("image_registry"), format!("`{registry}` is not host:port"));
        problems.push(problem.hint("without a scheme and without a path: registry.example:5000"));
    }
    for (i, san) in kubernetes.api_sans.iter().enumerate() {
        let name = san.strip_prefix("*.").unwrap_or(san);
        if !is_dns_name(name) && san.parse::<IpAddr>().is_err() {
            problems.push(Problem::at(&at(&format!("api_sans.{i}")), format!("`{san}` is neither a DNS name nor an address")));
        }
    }
    if !(Duration::from_mins(5)..=Duration::from_hours(24)).contains(&kubernetes.token_ttl) {
        let problem = Problem::at(&at("token_ttl"), "a join token lives between 5 minutes and 24 hours");
        problems.push(problem.hint("it is revoked after the joins; 15m is the default"));
    }
    for (i, server) in spec.dns.servers.iter().enumerate() {
        if server.is_loopback() || server.is_unspecified() {
            let problem = Problem::at(&places.at(&format!("dns.servers.{i}")), format!("{server} is the machine itself"));
            problems.push(problem.hint("CoreDNS forwards to it from inside a pod and would ask itself"));
        }
    }
}

fn unknown(version: &str, place: &crate::text::Span) -> Problem {
    let problem = Problem::at(place, format!("Kubernetes `{version}` is not known"));
    let plain = version.trim_start_matches('v');
    let all = || releases().iter().flat_map(|r| r.known.iter().copied());
    let newest = |r: &Release| r.known.last().copied();
    if all().any(|known| known == plain) {
        return problem.hint(format!("without the v: {plain}"));
    }
    let minor_only = releases().iter().find(|r| r.minor == plain).and_then(newest);
    match minor_only.or_else(|| release(plain).and_then(newest)).or_else(|| nearest(plain, all())) {
        Some(known) => problem.hint(format!("the nearest of {MATRIX_DATE} is {known}")),
        None => problem.hint(format!("supported on {MATRIX_DATE}: {}", releases().iter().map(|r| r.minor).collect::<Vec<_>>().join(", "))),
    }
}

fn is_url(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    rest.is_some_and(|r| !r.is_empty() && !r.starts_with('/') && !text.contains(char::is_whitespace))
}

fn is_registry(text: &str) -> bool {
    let (host, port) = text.split_once(':').map_or((text, None), |(h, p)| (h, Some(p)));
    (is_dns_name(host) || host.parse::<IpAddr>().is_ok()) && port.is_none_or(|p| p.parse::<u16>().is_ok_and(|p| p > 0))
}
