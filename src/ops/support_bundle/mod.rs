//! `support-bundle`: what somebody else needs to see why a cluster is not well, redacted, in one archive with an index.

mod archive;
mod objects;
mod redact;

use super::{Cluster, OpsError, verify};
use crate::{
    engine::Network,
    event::Events,
    infra::{Machine, Provision},
    report::{clean_line, health},
    verify::{Cause, Report, collect, in_message, over, ranked},
};
use archive::Archive;
use futures::future::join_all;
use redact::Redactor;
use std::{fmt::Write as _, path::Path, sync::Arc, time::Duration};

/// For one machine's connection.
const PATIENCE: Duration = Duration::from_secs(10);
/// Runs whose logs go into the bundle: the newest.
const RUNS: usize = 5;
/// More of one log explains nothing; bytes.
const MOST: u64 = 5_000_000;

/// How to collect.
#[derive(Clone, Debug)]
pub struct Options {
    /// How far logs go back.
    pub since: Duration,
    /// Write nothing in the cluster, not even probe pods.
    pub read_only: bool,
}

/// A bundle, in memory.
pub struct Bundle {
    /// The .tar.gz.
    pub bytes: Vec<u8>,
    /// The index, as it stands in the archive.
    pub index: String,
    /// Machines that could not be looked at, and why.
    pub missing: Vec<(String, String)>,
}

/// Collects. What cannot be reached is named in the index; the rest is there.
pub async fn run(cluster: &Cluster, options: &Options, events: &Events) -> Result<Bundle, OpsError> {
    let provision = cluster.discover().await?;
    let connector = cluster.connector(&provision);
    let check = verify::Options { read_only: options.read_only, ..verify::Options::default() };
    let (report, hosts, objects) = tokio::join!(
        Box::pin(verify::run_on(cluster, &provision, &check, events)),
        join_all(provision.machines.iter().map(|machine| host(cluster, &connector, machine, options.since))),
        objects_of(cluster, &provision, &connector)
    );
    let mut redactor = Redactor::new(known_secrets(cluster));
    let at = jiff::Timestamp::now();
    let mut archive = Archive::new(&format!("kubewright-{}-{}", cluster.spec.name, at.strftime("%Y%m%dT%H%M%SZ")));
    let mut causes = Vec::new();
    let mut missing = Vec::new();
    let report = report?;
    reports(&mut archive, &mut redactor, &report);
    match objects {
        Ok(all) => all.into_iter().for_each(|asked| object(&mut archive, &mut redactor, asked)),
        Err(why) => missing.push(("the Kubernetes API".to_owned(), why)),
    }
    for (machine, files) in provision.machines.iter().zip(hosts) {
        match files {
            Ok(files) => {
                for (name, text) in files {
                    if name.starts_with("logs/") {
                        causes.extend(in_message(&machine.name, &text).into_iter().map(|c| Cause { source: name.clone(), ..c }));
                    }
                    archive.add(&format!("hosts/{}/{name}", machine.name), machine.name.clone(), redactor.text(&text));
                }
            }
            Err(why) => missing.push((machine.name.clone(), why)),
        }
    }
    local(&mut archive, &mut redactor, cluster);
    let index = index(&archive, &redactor, cluster, &report, &ranked(causes), &missing, at);
    let index = redactor.text(&index);
    archive.add("index.md", "this page", index.clone());
    let local = |source| OpsError::Local { what: "cannot write the archive".into(), source };
    let bytes = archive.write(u64::try_from(at.as_second()).unwrap_or_default()).map_err(local)?;
    Ok(Bundle { bytes, index, missing })
}

async fn host(cluster: &Cluster, connector: &Arc<Network>, machine: &Machine, since: Duration) -> Result<Vec<(String, String)>, String> {
    let connection = match tokio::time::timeout(PATIENCE, connector.connect(&machine.name)).await {
        Ok(connection) => connection.map_err(|e| e.to_string())?,
        Err(_) => return Err(format!("no connection within {} s", PATIENCE.as_secs())),
    };
    collect(&*over(connection, cluster.spec.access.user != "root"), since).await
}

async fn objects_of(cluster: &Cluster, provision: &Provision, connector: &Arc<Network>) -> Result<Vec<objects::Asked>, String> {
    match tokio::time::timeout(PATIENCE, cluster.api(provision, connector)).await {
        Ok(api) => Ok(objects::ask(&api.map_err(|e| e.to_string())?.client).await),
        Err(_) => Err(format!("no connection to a control plane within {} s", PATIENCE.as_secs())),
    }
}

/// Passwords that stand in files of the inventory: found wherever a log repeats them.
fn known_secrets(cluster: &Cluster) -> Vec<String> {
    let files = cluster.spec.registries.iter().filter_map(|r| r.login.as_ref()).map(|l| &l.password_file);
    files.filter_map(|file| std::fs::read_to_string(file).ok()).collect()
}

fn reports(archive: &mut Archive, redactor: &mut Redactor, report: &Report) {
    archive.add("report.txt", "verify", redactor.text(&health::text(report, 1, false)));
    archive.add("report.json", "verify --format json", redactor.text(&health::json(report)));
    archive.add("report.html", "verify --format html", redactor.text(&health::html(report)));
}

fn object(archive: &mut Archive, redactor: &mut Redactor, asked: objects::Asked) {
    let source = format!("GET {}", asked.path);
    let text = match asked.answer {
        Ok(serde_json::Value::String(text)) => redactor.text(&text),
        Ok(value) => redactor.object(value),
        Err(why) => format!("not there: {}\n", redactor.text(&why)),
    };
    archive.add(&format!("cluster/{}", asked.file), source, text);
}

/// What was wanted, and the logs of the last runs on this machine.
fn local(archive: &mut Archive, redactor: &mut Redactor, cluster: &Cluster) {
    let wanted = cluster.spec.directory.join("cluster.yaml");
    if let Ok(text) = std::fs::read_to_string(&wanted) {
        archive.add("inventory/cluster.yaml", "the inventory", redactor.text(&text));
    }
    let resolved = serde_json::to_value(&*cluster.spec).unwrap_or_default();
    archive.add("inventory/resolved.json", "the inventory, with every default", redactor.object(resolved));
    let logs = cluster.state.root().join("logs");
    let mut runs: Vec<_> = std::fs::read_dir(&logs).into_iter().flatten().flatten().map(|e| e.path()).collect();
    runs.sort();
    for run in runs.iter().rev().take(RUNS) {
        let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        for file in std::fs::read_dir(run).into_iter().flatten().flatten() {
            let fits = file.metadata().is_ok_and(|m| m.is_file() && m.len() <= MOST);
            if let (true, Ok(text)) = (fits, std::fs::read(file.path())) {
                let path = format!("runs/{}/{}", name(run), name(&file.path()));
                archive.add(&path, "this machine", redactor.text(&String::from_utf8_lossy(&text)));
            }
        }
    }
}

fn index(
    archive: &Archive,
    redactor: &Redactor,
    cluster: &Cluster,
    report: &Report,
    causes: &[Cause],
    missing: &[(String, String)],
    at: jiff::Timestamp,
) -> String {
    let s = report.summary;
    let mut out = format!(
        "# Support bundle of cluster {}\n\nMade {} by kubewright {}. Kubernetes {} is wanted, on {} machines.\n\n\
         Health: {} failed, {} unknown, {} warnings, {} passed: see [report.txt](report.txt) or [report.html](report.html).\n",
        cluster.spec.name,
        at.strftime("%Y-%m-%d %H:%M:%S UTC"),
        env!("CARGO_PKG_VERSION"),
        report.version,
        report.hosts.len(),
        s.failed,
        s.unknown,
        s.warnings,
        s.passed
    );
    // Writing to a String cannot fail.
    if !causes.is_empty() {
        out.push_str("\n## Known causes in the logs, the likeliest first\n\n");
        for cause in causes.iter().take(5) {
            let line: String = cause.line.chars().take(300).collect();
            let _ = writeln!(
                out,
                "- {} ({}): {}\n  `{}`\n  {}",
                clean_line(&cause.host),
                clean_line(&cause.source),
                cause.signature.cause,
                clean_line(&line).replace('`', "'"),
                cause.signature.fix
            );
        }
    }
    if !missing.is_empty() {
        out.push_str("\n## What is missing\n\n");
        for (what, why) in missing {
            let _ = writeln!(out, "- {}: {}", clean_line(what), clean_line(why));
        }
    }
    out.push_str(
        "\n## What was taken out\n\nNo private key, kubeconfig, Secret or environment of a process was read. Besides, by their form:",
    );
    let counts = redactor.counts.iter().map(|(kind, count)| format!(" {kind} ({count})")).collect::<Vec<_>>();
    let _ = writeln!(out, "{}.\n\n## Files\n", if counts.is_empty() { " nothing".to_owned() } else { counts.join(",") });
    out + &archive.table()
}
