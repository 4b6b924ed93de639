//! Certificates: on disk and as served.

use super::{Ctx, Findings, HostView};
use crate::verify::{
    finding::Finding,
    registry::{Check, Group::Kubernetes},
    types::{
        Certificate,
        Severity::{Critical, Major},
    },
};
use jiff::Timestamp;
use x509_parser::pem::Pem;

const DAY: i64 = 86_400;
/// kubeadm renews at upgrades; this leaves a month to make one.
const SOON: i64 = 30 * DAY;

pub(in crate::verify) const CHECKS: &[Check] = &[
    Check {
        id: "kubernetes-certificates",
        group: Kubernetes,
        severity: Critical,
        tag: None,
        probes: false,
        eval: on_disk,
        title: "Certificates on disk are valid",
        expected: "valid now, and for 30 days more",
        proves: "components still trust each other after their next restart",
        causes: "kubeadm's certificates live a year and are renewed by `kubeadm upgrade` or `certs renew` alone; a notBefore in the future means a wrong clock",
        fix: "`kubeadm certs renew all` on the control plane, then restart its static pods",
    },
    Check {
        id: "kubernetes-served-certificates",
        group: Kubernetes,
        severity: Critical,
        tag: None,
        probes: false,
        eval: served,
        title: "Certificates that ports really show are valid",
        expected: "6443, 10250 and 2379 show a certificate that is valid now and for 30 days more",
        proves: "the running processes use the renewed certificates",
        causes: "a process that was not restarted after its certificate was renewed",
        fix: "restart the static pod (move its manifest away and back) or kubelet",
    },
    Check {
        id: "kubernetes-certificate-stale",
        group: Kubernetes,
        severity: Major,
        tag: None,
        probes: false,
        eval: stale,
        title: "The API server shows the certificate that lies on its disk",
        expected: "the same certificate on port 6443 as in /etc/kubernetes/pki/apiserver.crt",
        proves: "a renewal took effect",
        causes: "the certificate was renewed and the API server, which reloads it within a minute, did not take it up",
        fix: "restart kube-apiserver: move its manifest out of /etc/kubernetes/manifests and back",
    },
];

/// The certificates of a host: those on its disk, then those that it serves.
pub(in crate::verify) fn of(host: &HostView) -> Vec<Certificate> {
    let mut all = disk(host);
    all.extend(host.served.certificates.iter().filter_map(|(place, der)| read(&host.name, place, der.as_ref().ok()?)));
    all
}

fn disk(host: &HostView) -> Vec<Certificate> {
    let text = host.seen.as_ref().ok().and_then(|s| s.section("certificates")).unwrap_or("");
    let mut out = Vec::new();
    for part in text.split("file /").skip(1) {
        let (path, pem) = part.split_once('\n').unwrap_or((part, ""));
        // The first of a chain is the one that counts.
        if let Some(Ok(pem)) = Pem::iter_from_buffer(pem.as_bytes()).next() {
            out.extend(read(&host.name, &format!("/{path}"), &pem.contents));
        }
    }
    out
}

fn read(host: &str, place: &str, der: &[u8]) -> Option<Certificate> {
    let (_, certificate) = x509_parser::parse_x509_certificate(der).ok()?;
    let at = |t: x509_parser::time::ASN1Time| Timestamp::from_second(t.timestamp()).ok();
    Some(Certificate {
        host: host.to_owned(),
        place: place.to_owned(),
        subject: certificate.subject().to_string(),
        issuer: certificate.issuer().to_string(),
        not_before: at(certificate.validity().not_before)?,
        not_after: at(certificate.validity().not_after)?,
    })
}

fn judge(now: Timestamp, certificate: &Certificate) -> Finding {
    let left = certificate.not_after.as_second() - now.as_second();
    let subject = format!("{} {}", certificate.host, certificate.place);
    let days = left / DAY;
    if left < 0 {
        Finding::bad(subject, format!("expired {} days ago", -days))
    } else if certificate.not_before > now {
        Finding::bad(subject, format!("not valid before {}", certificate.not_before))
            .cause("it was issued by a machine whose clock is ahead")
    } else if left < SOON {
        Finding::poor(subject, format!("{days} days left"))
    } else {
        Finding::good(subject, format!("{days} days left"))
    }
    .evidence(
        certificate.place.clone(),
        format!("subject {}\nissuer {}\n{} to {}", certificate.subject, certificate.issuer, certificate.not_before, certificate.not_after),
    )
}

fn on_disk(ctx: &Ctx<'_>) -> Findings {
    let mut out = Vec::new();
    for host in &ctx.hosts {
        let all = disk(host);
        match &host.seen {
            Err(why) => out.push(Finding::unseen(&host.name, why)),
            // A node that has joined has at least kubelet's client certificate.
            Ok(_) if all.is_empty() => out.push(Finding::unseen(&host.name, "no certificate was found")),
            Ok(_) => out.extend(super::all_or(
                all.iter().map(|c| judge(ctx.now, c)).filter(|f| f.verdict != crate::verify::finding::Verdict::Good).collect(),
                || {
                    let least = all.iter().map(|c| (c.not_after.as_second() - ctx.now.as_second()) / DAY).min().unwrap_or(0);
                    Finding::good(&host.name, format!("{} certificates, {least} days left on the first", all.len()))
                },
            )),
        }
    }
    Some(out)
}

fn served(ctx: &Ctx<'_>) -> Findings {
    let mut out = Vec::new();
    for host in &ctx.hosts {
        if host.served.certificates.is_empty() {
            out.push(Finding::unseen(&host.name, "no port could be asked"));
        }
        for (place, der) in &host.served.certificates {
            out.push(match der {
                Err(why) => Finding::unseen(format!("{} {place}", host.name), why),
                Ok(der) => match read(&host.name, place, der) {
                    Some(certificate) => judge(ctx.now, &certificate),
                    None => Finding::bad(format!("{} {place}", host.name), "it cannot be read"),
                },
            });
        }
    }
    Some(out)
}

fn stale(ctx: &Ctx<'_>) -> Findings {
    let control_planes = ctx.hosts.iter().filter(|h| h.is_control_plane());
    Some(
        control_planes
            .map(|host| {
                let shown = host
                    .served
                    .certificates
                    .iter()
                    .find(|(p, _)| p.ends_with(":6443"))
                    .and_then(|(p, der)| read(&host.name, p, der.as_ref().ok()?));
                let lies = disk(host).into_iter().find(|c| c.place.ends_with("/pki/apiserver.crt"));
                match (shown, lies) {
                    (Some(shown), Some(lies)) => {
                        let same = (shown.not_before, shown.not_after, &shown.subject) == (lies.not_before, lies.not_after, &lies.subject);
                        let observed = if same {
                            "the same".to_owned()
                        } else {
                            format!("shown until {}, on disk until {}", shown.not_after, lies.not_after)
                        };
                        Finding::of(same, &host.name, observed)
                    }
                    _ => Finding::unseen(&host.name, "one of the two was not seen"),
                }
            })
            .collect(),
    )
}
