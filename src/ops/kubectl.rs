//! kubectl and kubeconfig: the operator's way to the API while 6443 is closed to the world.

use super::{Cluster, OpsError, api};
use crate::{cluster::Person, kube::Credentials, text::Secret};
use std::io::Write as _;

/// The operator's kubeconfig as text; its server is the API's name.
pub async fn kubeconfig(cluster: &Cluster) -> Result<Secret<String>, OpsError> {
    let access = open(cluster).await?;
    let server = format!("https://{}:{}", super::hosts::api_endpoint(&cluster.spec), api::API_PORT);
    Ok(crate::kube::kubeconfig(&cluster.spec.name, super::OPERATOR, &server, None, &access.credentials))
}

/// A kubeconfig for somebody else, with a certificate that the cluster signs.
pub async fn kubeconfig_for(cluster: &Cluster, person: &Person) -> Result<Secret<String>, OpsError> {
    let access = open(cluster).await?;
    let signed = crate::cluster::user_certificate(&access.client, person).await?;
    let server = format!("https://{}:{}", super::hosts::api_endpoint(&cluster.spec), api::API_PORT);
    let credentials = Credentials { ca: access.credentials.ca, certificate: signed.certificate, key: signed.key };
    Ok(crate::kube::kubeconfig(&cluster.spec.name, &person.user, &server, None, &credentials))
}

/// Runs this machine's kubectl through a tunnel, with a kubeconfig that lives as long as it does. Returns its exit code.
pub async fn run(cluster: &Cluster, arguments: &[String]) -> Result<u8, OpsError> {
    let access = open(cluster).await?;
    let listener = crate::kube::listen(access.dial.clone(), 0).await?;
    let server = format!("https://{}", listener.address);
    let name = super::hosts::api_endpoint(&cluster.spec);
    let text = crate::kube::kubeconfig(&cluster.spec.name, super::OPERATOR, &server, Some(&name), &access.credentials);
    let local = |what: &str| {
        let what = what.to_owned();
        move |source| OpsError::Local { what, source }
    };
    let mut file = tempfile::NamedTempFile::new().map_err(local("cannot make a temporary kubeconfig"))?;
    file.write_all(text.expose().as_bytes()).map_err(local("cannot write a temporary kubeconfig"))?;
    let status = tokio::process::Command::new("kubectl").env("KUBECONFIG", file.path()).args(arguments).status().await;
    match status {
        Ok(status) => Ok(u8::try_from(status.code().unwrap_or(1)).unwrap_or(1)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => on_the_control_plane(cluster, arguments).await,
        Err(e) => Err(local("cannot run kubectl")(e)),
    }
}

/// Without a kubectl here: the control plane's own, with its output streamed back.
async fn on_the_control_plane(cluster: &Cluster, arguments: &[String]) -> Result<u8, OpsError> {
    let provision = cluster.discover().await?;
    let connector = cluster.connector(&provision);
    let (_, connection) = cluster.control_plane(&provision, &connector).await?;
    let words: Vec<String> = arguments.iter().map(|a| crate::shell::quote(a)).collect();
    let command = format!("exec sudo -n kubectl --kubeconfig /etc/kubernetes/admin.conf {}", words.join(" "));
    super::ssh::stream(connection.as_ref(), &command).await
}

/// The API as the operator.
pub(super) async fn open(cluster: &Cluster) -> Result<api::Access, OpsError> {
    let provision = cluster.discover().await?;
    let connector = cluster.connector(&provision);
    cluster.api(&provision, &connector).await
}
