//! `proxy`: k9s, helm and plain kubectl through the SSH tunnel.
//!
//! The port takes connections from this machine only, and copies TLS as it is: whoever opens it needs a client certificate of the
//! cluster, which stands in a kubeconfig that only its owner can read.

use super::{Cluster, OpsError, api::Access, kubectl, state::write_private};
use crate::kube::Listener;
use std::path::{Path, PathBuf};

/// A proxy that runs as long as this value lives.
pub struct Proxy {
    /// The kubeconfig that leads through it.
    pub kubeconfig: PathBuf,
    listener: Listener,
}

impl Proxy {
    /// `127.0.0.1:PORT`.
    pub fn address(&self) -> std::net::SocketAddr {
        self.listener.address
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // Without its port it leads nowhere. If it cannot be deleted, it is only of no use.
        let _ = std::fs::remove_file(&self.kubeconfig);
    }
}

/// Opens the port (0: any free one) and writes the kubeconfig: to `file`, else beside the cluster's other local files.
pub async fn open(cluster: &Cluster, port: u16, file: Option<&Path>) -> Result<Proxy, OpsError> {
    let access: Access = kubectl::open(cluster).await?;
    let listener = crate::kube::listen(access.dial.clone(), port).await?;
    let kubeconfig = match file {
        Some(file) => file.to_owned(),
        None => cluster.state.root().join(format!("proxy-{}.kubeconfig", std::process::id())),
    };
    let server = format!("https://{}", listener.address);
    let name = super::hosts::api_endpoint(&cluster.spec);
    let text = crate::kube::kubeconfig(&cluster.spec.name, super::OPERATOR, &server, Some(&name), &access.credentials);
    let what = || format!("cannot write {}", kubeconfig.display());
    write_private(&kubeconfig, text.expose().as_bytes()).map_err(|source| OpsError::Local { what: what(), source })?;
    Ok(Proxy { kubeconfig, listener })
}

/// Runs a command that finds the cluster through the proxy (`KUBECONFIG`). Returns its exit code.
pub async fn run(proxy: &Proxy, command: &[String]) -> Result<u8, OpsError> {
    let Some((program, arguments)) = command.split_first() else { return Ok(0) };
    let status = tokio::process::Command::new(program).args(arguments).env("KUBECONFIG", &proxy.kubeconfig).status().await;
    let status = status.map_err(|source| OpsError::Local { what: format!("cannot run {program}"), source })?;
    Ok(u8::try_from(status.code().unwrap_or(1)).unwrap_or(1))
}
