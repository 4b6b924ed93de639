//! A shell or a command on one machine, with OpenSSH where there is a terminal to give it.

use super::{Cluster, OpsError};
use crate::{
    connection::{Connection, Endpoint, HostKeys, Identity, Process},
    text::{Problem, nearest},
};
use std::{fmt::Write as _, io::Write as _, sync::Arc};
use tokio::io::{AsyncWriteExt as _, copy};

/// Runs OpenSSH with the known host keys and the jump host; returns its exit code. `command` empty: a login shell.
pub async fn run(cluster: &Cluster, host: &str, command: &[String]) -> Result<u8, OpsError> {
    let provision = cluster.discover().await?;
    let endpoints = super::hosts::endpoints(&cluster.spec, &provision.machines, super::hosts::Patience::Up);
    let Some(endpoint) = endpoints.get(host) else {
        let mut problem = Problem::new(format!("cluster {} has no machine {host}", cluster.spec.name));
        if let Some(near) = nearest(host, endpoints.keys().map(String::as_str)) {
            problem = problem.hint(format!("did you mean {near}?"));
        }
        return Err(OpsError::Invalid(problem.into()));
    };
    if !command.is_empty() {
        let connector = cluster.connector(&provision);
        let connection = connector.connect(host).await?;
        return stream(connection.as_ref(), &command.join(" ")).await;
    }
    let local = |source| OpsError::Local { what: "cannot prepare ssh".into(), source };
    let dir = tempfile::tempdir().map_err(local)?;
    let config = dir.path().join("config");
    let mut text = String::new();
    let connector = cluster.connector(&provision);
    let mut next = Some(Arc::clone(endpoint));
    while let Some(e) = next {
        // OpenSSH takes one jump host: the first that can be reached.
        let mut jump = e.via.first().cloned();
        for other in e.via.iter().filter(|_| e.via.len() > 1) {
            if connector.connect(&other.name).await.is_ok() {
                jump = Some(Arc::clone(other));
                break;
            }
        }
        entry(&e, jump.as_deref(), dir.path(), &mut text).map_err(local)?;
        next = jump;
    }
    std::fs::write(&config, text).map_err(local)?;
    let status = tokio::process::Command::new("ssh").arg("-F").arg(&config).arg(host).status().await;
    let status = status.map_err(|source| OpsError::Local { what: "cannot run ssh".into(), source })?;
    Ok(u8::try_from(status.code().unwrap_or(255)).unwrap_or(255))
}

/// One `Host` of an ssh_config, and its line of known_hosts.
fn entry(endpoint: &Endpoint, jump: Option<&Endpoint>, dir: &std::path::Path, text: &mut String) -> std::io::Result<()> {
    let known = dir.join("known_hosts");
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(&known)?;
    if let HostKeys::Pinned(keys) = &endpoint.host_keys {
        for key in keys.get() {
            writeln!(file, "{} {key}", endpoint.name)?;
        }
    }
    // Writing to a String cannot fail.
    let _ = write!(
        text,
        "Host {}\n  HostName {}\n  Port {}\n  User {}\n  HostKeyAlias {}\n  UserKnownHostsFile {}\n  StrictHostKeyChecking yes\n",
        endpoint.name,
        endpoint.address,
        endpoint.port,
        endpoint.user,
        endpoint.name,
        known.display()
    );
    for identity in &endpoint.identities {
        if let Identity::KeyFile { path, .. } = identity {
            let _ = write!(text, "  IdentityFile {}\n  IdentitiesOnly yes\n", path.display());
        }
    }
    if let Some(jump) = jump {
        let _ = writeln!(text, "  ProxyJump {}", jump.name);
    }
    Ok(())
}

/// Runs a command there with its output streamed to ours; returns its exit code.
pub async fn stream(connection: &dyn Connection, command: &str) -> Result<u8, OpsError> {
    let Process { mut stdin, mut stdout, mut stderr, exit } = connection.exec(command).await?;
    // No input is forwarded: a command that reads finds the end of file.
    let _ = stdin.shutdown().await;
    let (mut out, mut err) = (tokio::io::stdout(), tokio::io::stderr());
    let (rc, ..) = tokio::join!(exit, copy(&mut stdout, &mut out), copy(&mut stderr, &mut err));
    let _ = (out.flush().await, err.flush().await);
    Ok(u8::try_from(rc?).unwrap_or(255))
}
