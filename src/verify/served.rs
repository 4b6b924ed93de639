//! What a host's ports show, over streams from the host itself: certificates, kubelet's health, etcd's metrics, the registry.

use super::{
    access::Access,
    cluster::Asked,
    probe::{over_stream, successful},
};
use crate::connection::Stream;
use rustls::{
    ClientConfig, DigitallySignedStruct, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Served {
    /// `served on ADDRESS:PORT` and the certificate's DER.
    pub(super) certificates: Vec<(String, Asked<Vec<u8>>)>,
    pub(super) kubelet_health: Asked<String>,
    pub(super) etcd_health: Asked<String>,
    pub(super) etcd_metrics: Asked<String>,
    pub(super) registry: Asked<String>,
}

impl Served {
    pub(super) fn unreachable(why: &str) -> Self {
        let no = || Err(why.to_owned());
        Self { certificates: Vec::new(), kubelet_health: no(), etcd_health: no(), etcd_metrics: no(), registry: no() }
    }
}

/// Looks at the ports of one host. `registry`: `host:port` of a plain-HTTP mirror, or of a registry with TLS.
pub(super) async fn look(
    access: &dyn Access,
    address: &str,
    control_plane: bool,
    registry: &str,
    mirror: bool,
    deadline: Duration,
) -> Served {
    let ports: &[u16] = if control_plane { &[6443, 10250, 2379] } else { &[10250] };
    let certificates = ports
        .iter()
        .map(|port| async move { (format!("served on {address}:{port}"), in_time(deadline, certificate(access, address, *port)).await) });
    let get = |port, path| in_time(deadline, get(access, "127.0.0.1", port, path));
    let etcd = async {
        if control_plane { futures::join!(get(2381, "/health"), get(2381, "/metrics")) } else { (Err(String::new()), Err(String::new())) }
    };
    let (certificates, kubelet_health, (etcd_health, etcd_metrics), registry) = futures::join!(
        futures::future::join_all(certificates),
        get(10248, "/healthz"),
        etcd,
        in_time(deadline, reach(access, registry, mirror))
    );
    // Of the metrics only what checks look at: the rest is a hundred kilobytes.
    let etcd_metrics = etcd_metrics.map(|text| {
        let ours = ["etcd_server_", "etcd_mvcc_db_total", "etcd_disk_wal_fsync", "etcd_disk_backend_commit", "etcd_network_peer_round"];
        text.lines().filter(|l| ours.iter().any(|p| l.starts_with(p))).fold(String::new(), |all, l| all + l + "\n")
    });
    Served { certificates, kubelet_health, etcd_health, etcd_metrics, registry }
}

async fn in_time<T>(deadline: Duration, ask: impl Future<Output = Asked<T>>) -> Asked<T> {
    tokio::time::timeout(deadline, ask).await.unwrap_or_else(|_| Err(format!("no answer within {} s", deadline.as_secs())))
}

async fn stream(access: &dyn Access, address: &str, port: u16) -> Asked<Box<dyn Stream>> {
    access.stream(address, port).await.map_err(|e| format!("{address}:{port}: {e}"))
}

async fn get(access: &dyn Access, address: &str, port: u16, path: &str) -> Asked<String> {
    let answer = over_stream(stream(access, address, port).await?, address, "GET", path, Vec::new()).await;
    // Who is not well says so with 503, and why in the body.
    let body = answer
        .and_then(|(status, body)| if status == http::StatusCode::SERVICE_UNAVAILABLE { Ok(body) } else { successful((status, body)) });
    body.map(|b| String::from_utf8_lossy(&b).into_owned()).map_err(|e| format!("{address}:{port}{path}: {e}"))
}

async fn reach(access: &dyn Access, registry: &str, mirror: bool) -> Asked<String> {
    let (host, port) = registry.rsplit_once(':').and_then(|(h, p)| Some((h, p.parse().ok()?))).unwrap_or((registry, 443));
    if mirror {
        get(access, host, port, "/v2/").await?;
        return Ok(format!("{registry} answers"));
    }
    stream(access, host, port).await.map(|_| format!("{registry} can be reached"))
}

/// The first certificate that a TLS port shows, whoever it trusts: it is looked at, not used.
async fn certificate(access: &dyn Access, address: &str, port: u16) -> Asked<Vec<u8>> {
    let shown = Arc::new(Shown::default());
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|e| e.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(shown.clone())
        .with_no_client_auth();
    let name = ServerName::try_from(address.to_owned()).map_err(|e| e.to_string())?;
    let stream = stream(access, address, port).await?;
    // The handshake always fails: by our verifier, once it has seen the certificate.
    let failed = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream).await.err();
    let seen = shown.0.lock().map_err(|e| e.to_string())?.clone();
    seen.ok_or_else(|| format!("{address}:{port} showed no certificate: {}", failed.map(|e| e.to_string()).unwrap_or_default()))
}

/// Keeps the certificate and refuses it, so that nothing can ever be sent over such a session.
#[derive(Debug, Default)]
struct Shown(Mutex<Option<Vec<u8>>>);

impl ServerCertVerifier for Shown {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if let Ok(mut seen) = self.0.lock() {
            *seen = Some(end_entity.to_vec());
        }
        Err(rustls::Error::General("seen".to_owned()))
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("not used".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("not used".to_owned()))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        rustls::crypto::ring::default_provider().signature_verification_algorithms.supported_schemes()
    }
}
