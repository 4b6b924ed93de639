//! How the operator gets at the Kubernetes API: an own client certificate, and a stream through SSH to 6443.
//!
//! The certificate is made on the control plane (`kubeadm kubeconfig user`), so that admin.conf and super-admin.conf never
//! leave it. What is kept on the laptop is a cache: when it is missing, expired or of another cluster, it is made again.

use super::{
    control_planes::ControlPlanes,
    state::{State, write_private},
};
use crate::{
    connection::{Connection, ConnectionError},
    kube::{Api, Credentials, Dial, KubeError},
    shell::quote,
    spec::ClusterSpec,
    text::Secret,
};
use std::{sync::Arc, time::Duration};

/// Life of an operator's certificate: a year, as kubeadm's own.
const VALIDITY: &str = "8760h";
/// kube-apiserver's port on a control plane.
pub const API_PORT: u16 = 6443;
/// A certificate is made anew this long before it ends.
const RENEW_BEFORE: Duration = Duration::from_secs(30 * 24 * 3600);

/// Why there is no way to the API.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The control plane has no cluster.
    #[error("{host} is not initialised: there is no /etc/kubernetes/pki/ca.crt on it")]
    NotInitialised {
        /// The control plane.
        host: String,
    },
    /// SSH.
    #[error(transparent)]
    Connection(#[from] ConnectionError),
    /// kubeadm could not make the certificate.
    #[error("{host}: cannot make a client certificate: {why}")]
    Certificate {
        /// The control plane.
        host: String,
        /// kubeadm's words.
        why: String,
    },
    /// The API client.
    #[error(transparent)]
    Kube(#[from] KubeError),
    /// Writing the cache.
    #[error("cannot write {path}: {source}")]
    Write {
        /// File.
        path: String,
        /// Reason.
        source: std::io::Error,
    },
}

/// An operator's way in.
#[derive(Clone)]
pub struct Access {
    /// The client certificate, and the CA that it belongs to.
    pub credentials: Credentials,
    /// Streams to the API through a control plane that has it.
    pub dial: Dial,
    /// Client over the tunnel.
    pub client: ::kube::Client,
    /// Whether the certificate was made just now.
    pub made: bool,
}

/// Gets (or makes) the operator's kubeconfig and a client, through the first control plane that has the cluster.
pub async fn access(
    spec: &ClusterSpec,
    state: &State,
    control_planes: &ControlPlanes,
    client_name: &str,
    group: &str,
) -> Result<Access, ApiError> {
    // One round trip: the CA says which cluster this is.
    let look = |host: String, connection: Arc<dyn Connection>| async move {
        let read = connection.run("exec sudo -n cat /etc/kubernetes/pki/ca.crt", b"").await?;
        if read.rc != 0 || read.stdout.is_empty() {
            return Err(ApiError::NotInitialised { host });
        }
        Ok((host, connection, read.stdout))
    };
    let none = || ApiError::NotInitialised { host: spec.name.clone() };
    let (host, connection, ca) =
        control_planes.first(look).await.map_err(|errors: Vec<ApiError>| errors.into_iter().next().unwrap_or_else(none))?;
    let cached = std::fs::read_to_string(state.kubeconfig())
        .ok()
        .and_then(|text| Credentials::from_kubeconfig(&text).ok())
        .filter(|(cached, _)| same_pem(&cached.ca, &ca) && valid_for(&cached.certificate, RENEW_BEFORE));
    let (credentials, made) = match cached {
        Some((credentials, _)) => (credentials, false),
        None => (make(spec, state, &host, &connection, client_name, group).await?, true),
    };
    let dial = control_planes.api();
    let api = Api { address: "127.0.0.1".into(), port: API_PORT, server_name: super::hosts::api_endpoint(spec) };
    let client = crate::kube::client(dial.clone(), &api, &credentials)?;
    Ok(Access { credentials, dial, client, made })
}

async fn make(
    spec: &ClusterSpec,
    state: &State,
    host: &str,
    control_plane: &Arc<dyn Connection>,
    client_name: &str,
    group: &str,
) -> Result<Credentials, ApiError> {
    let config = format!(
        "apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\nclusterName: {}\nkubernetesVersion: v{}\ncontrolPlaneEndpoint: {}:6443\n",
        spec.name,
        spec.kubernetes.version,
        super::hosts::api_endpoint(spec)
    );
    let command = format!(
        "exec sudo -n kubeadm kubeconfig user --config /dev/stdin --client-name {} --org {} --validity-period {VALIDITY}",
        quote(client_name),
        quote(group)
    );
    let made = control_plane.run(&command, config.as_bytes()).await?;
    let refused = |why: String| ApiError::Certificate { host: host.to_owned(), why };
    if made.rc != 0 {
        return Err(refused(String::from_utf8_lossy(&made.stderr).trim().to_owned()));
    }
    let text = Secret::new(String::from_utf8_lossy(&made.stdout).into_owned());
    let (credentials, server) = Credentials::from_kubeconfig(text.expose()).map_err(|e| refused(e.to_string()))?;
    let text = crate::kube::kubeconfig(&spec.name, client_name, &server, None, &credentials);
    let path = state.kubeconfig();
    write_private(&path, text.expose().as_bytes()).map_err(|source| ApiError::Write { path: path.display().to_string(), source })?;
    Ok(credentials)
}

/// Whether a certificate (PEM) is valid now and for `margin` longer.
fn valid_for(pem: &[u8], margin: Duration) -> bool {
    let Ok((_, pem)) = x509_parser::pem::parse_x509_pem(pem) else { return false };
    let Ok(certificate) = pem.parse_x509() else { return false };
    let left = certificate.validity().time_to_expiration().and_then(|d| u64::try_from(d.whole_seconds()).ok());
    left.is_some_and(|s| s > margin.as_secs())
}

fn same_pem(a: &[u8], b: &[u8]) -> bool {
    let lines = |pem: &[u8]| pem.iter().copied().filter(|c| !c.is_ascii_whitespace()).collect::<Vec<u8>>();
    lines(a) == lines(b)
}
