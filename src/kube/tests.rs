//! The client against a small TLS server in this process, over a stream that a fake connection opens.

use super::{Api, Credentials, apply, client, documents, listen, through};
use crate::{
    connection::{Connection, ConnectionError, Process, Stream},
    text::Secret,
};
use async_trait::async_trait;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
    server::WebPkiClientVerifier,
};
use serde_json::{Value, json};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsAcceptor;

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn issue(ca: &Authority, name: &str, usage: ExtendedKeyUsagePurpose) -> (rcgen::Certificate, KeyPair) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.extended_key_usages = vec![usage];
    (params.signed_by(&key, ca).unwrap(), key)
}

/// An API server with a handful of objects by path, behind a connection.
struct Server {
    acceptor: TlsAcceptor,
    objects: Arc<Mutex<HashMap<String, Value>>>,
    log: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn start() -> (Arc<Self>, Credentials) {
        let ca = authority();
        let (certificate, key) = issue(&ca, "lab.internal", ExtendedKeyUsagePurpose::ServerAuth);
        let mut roots = RootCertStore::empty();
        roots.add(ca.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build().unwrap();
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier)
            .with_single_cert(vec![certificate.der().clone()], PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())))
            .unwrap();
        let (certificate, key) = issue(&ca, "admin", ExtendedKeyUsagePurpose::ClientAuth);
        let credentials = Credentials {
            ca: ca.pem().into_bytes(),
            certificate: certificate.pem().into_bytes(),
            key: Secret::new(key.serialize_pem().into_bytes()),
        };
        let acceptor = TlsAcceptor::from(Arc::new(config));
        (Arc::new(Self { acceptor, objects: Arc::default(), log: Arc::default() }), credentials)
    }

    /// Server-side apply as far as a test needs it: what is sent replaces what is there.
    fn answer(objects: &Mutex<HashMap<String, Value>>, method: &str, path: &str, query: &str, body: &[u8]) -> (u16, Value) {
        let mut objects = objects.lock().unwrap();
        let resource = |kind: &str, name: &str, namespaced: bool| {
            let verbs = json!(["get", "patch"]);
            json!({"name": name, "singularName": "", "kind": kind, "namespaced": namespaced, "verbs": verbs})
        };
        match (method, path) {
            ("GET", "/version") => (
                200,
                json!({"major": "1", "minor": "36", "gitVersion": "v1.36.3", "gitCommit": "", "gitTreeState": "", "buildDate": "", "goVersion": "", "compiler": "", "platform": ""}),
            ),
            ("GET", "/api/v1") => {
                let resources = [resource("Namespace", "namespaces", false), resource("ConfigMap", "configmaps", true)];
                (200, json!({"kind": "APIResourceList", "groupVersion": "v1", "resources": resources}))
            }
            ("GET", path) => match objects.get(path) {
                Some(object) => (200, object.clone()),
                None => (404, json!({"kind": "Status", "status": "Failure", "reason": "NotFound", "message": "not found", "code": 404})),
            },
            ("PATCH", path) => {
                let mut sent: Value = serde_json::from_slice(body).unwrap();
                let old = objects.get(path);
                let mut bare = old.cloned().unwrap_or_default();
                let version = bare["metadata"]["resourceVersion"].as_str().map_or(0, |v| v.parse::<u64>().unwrap());
                if let Some(metadata) = bare["metadata"].as_object_mut() {
                    metadata.remove("resourceVersion");
                }
                let version = if bare == sent { version } else { version + 1 };
                sent["metadata"]["resourceVersion"] = version.to_string().into();
                if !query.contains("dryRun=All") {
                    objects.insert(path.to_owned(), sent.clone());
                }
                (200, sent)
            }
            _ => (405, json!({})),
        }
    }

    async fn serve(self: Arc<Self>, stream: tokio::io::DuplexStream) {
        let Ok(mut tls) = self.acceptor.accept(stream).await else { return };
        let mut data = Vec::new();
        loop {
            let head = loop {
                if let Some(end) = data.windows(4).position(|w| w == b"\r\n\r\n") {
                    break end;
                }
                let mut chunk = [0; 4096];
                match tls.read(&mut chunk).await {
                    Ok(n) if n > 0 => data.extend_from_slice(&chunk[..n]),
                    _ => return,
                }
            };
            let text = String::from_utf8_lossy(&data[..head]).to_string();
            let length = text.lines().find_map(|l| l.to_ascii_lowercase().strip_prefix("content-length: ").map(str::to_owned));
            let length: usize = length.map_or(0, |l| l.parse().unwrap());
            while data.len() < head + 4 + length {
                let mut chunk = [0; 4096];
                let n = tls.read(&mut chunk).await.unwrap();
                data.extend_from_slice(&chunk[..n]);
            }
            let body = data[head + 4..head + 4 + length].to_vec();
            data.drain(..head + 4 + length);
            let mut words = text.split_whitespace();
            let (method, target) = (words.next().unwrap(), words.next().unwrap());
            self.log.lock().unwrap().push(format!("{method} {target}"));
            let (path, query) = target.split_once('?').unwrap_or((target, ""));
            let (status, value) = Self::answer(&self.objects, method, path, query, &body);
            let body = value.to_string();
            let head = format!("HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", body.len());
            tls.write_all((head + &body).as_bytes()).await.unwrap();
        }
    }
}

struct Tunnel(Arc<Server>);

#[async_trait]
impl Connection for Tunnel {
    fn describe(&self) -> String {
        "control-plane-1".to_owned()
    }
    async fn exec(&self, _: &str) -> Result<Process, ConnectionError> {
        Err(ConnectionError::Local { host: self.describe(), why: "no commands here".to_owned() })
    }
    async fn open_stream(&self, address: &str, port: u16) -> Result<Box<dyn Stream>, ConnectionError> {
        assert_eq!((address, port), ("10.0.0.10", 6443));
        let (near, far) = tokio::io::duplex(4096);
        tokio::spawn(self.0.clone().serve(far));
        Ok(Box::new(near))
    }
    async fn close(&self) {}
}

fn api(server_name: &str) -> Api {
    Api { address: "10.0.0.10".to_owned(), port: 6443, server_name: server_name.to_owned() }
}

#[tokio::test]
async fn a_request_travels_through_the_tunnel_with_our_certificate() {
    let (server, credentials) = Server::start();
    let client = client(through(Arc::new(Tunnel(server)), "10.0.0.10", 6443), &api("lab.internal"), &credentials).unwrap();
    assert_eq!(client.apiserver_version().await.unwrap().git_version, "v1.36.3");
}

#[tokio::test]
async fn another_name_or_another_authority_is_refused() {
    let (server, credentials) = Server::start();
    let dial = through(Arc::new(Tunnel(server)), "10.0.0.10", 6443);
    let other_name = client(dial.clone(), &api("evil.example"), &credentials).unwrap();
    let error = super::chain(&other_name.apiserver_version().await.unwrap_err());
    assert!(error.contains("not valid for name"), "{error}");
    let other_ca = Credentials { ca: authority().pem().into_bytes(), ..credentials };
    let error = super::chain(&client(dial, &api("lab.internal"), &other_ca).unwrap().apiserver_version().await.unwrap_err());
    assert!(error.contains("UnknownIssuer") || error.contains("BadSignature"), "{error}");
}

#[tokio::test]
async fn apply_reports_what_changed_and_a_dry_run_stores_nothing() {
    let (server, credentials) = Server::start();
    let (objects, log) = (server.objects.clone(), server.log.clone());
    let client = client(through(Arc::new(Tunnel(server)), "10.0.0.10", 6443), &api("lab.internal"), &credentials).unwrap();
    // The namespace stands last on purpose: it must still go first.
    let manifest = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: n}\ndata: {k: one}\n---\n\
                    apiVersion: v1\nkind: Namespace\nmetadata: {name: n}\n";
    let run = |text: String, dry| {
        let client = client.clone();
        async move {
            let applied = apply(&client, &documents(&text).unwrap(), "kubewright", dry).await.unwrap();
            applied.iter().map(|a| (a.subject(), a.changed)).collect::<Vec<_>>()
        }
    };
    let both = |a, b| vec![("ConfigMap n/a".to_owned(), a), ("Namespace n".to_owned(), b)];
    assert_eq!(run(manifest.into(), true).await, both(true, true));
    assert!(objects.lock().unwrap().is_empty(), "a dry run stored something");
    assert_eq!(run(manifest.into(), false).await, both(true, true));
    assert_eq!(run(manifest.into(), false).await, both(false, false));
    assert_eq!(run(manifest.replace("one", "two"), true).await, both(true, false));
    assert_eq!(run(manifest.replace("one", "two"), false).await, both(true, false));
    let log = log.lock().unwrap();
    let patches: Vec<_> = log.iter().filter(|l| l.starts_with("PATCH") && !l.contains("dryRun")).take(2).collect();
    assert!(patches[0].contains("/namespaces/n?"), "{patches:?}");
    assert!(patches.iter().all(|p| p.contains("fieldManager=kubewright") && p.contains("force=true")), "{patches:?}");
}

#[tokio::test]
async fn the_listener_copies_bytes_both_ways_and_closes_with_its_handle() {
    let dial: super::Dial = Arc::new(|| {
        Box::pin(async {
            let (near, mut far) = tokio::io::duplex(64);
            tokio::spawn(async move {
                let mut word = [0; 4];
                far.read_exact(&mut word).await.unwrap();
                far.write_all(&word).await.unwrap();
            });
            Ok(Box::new(near) as Box<dyn Stream>)
        })
    });
    let listener = listen(dial, 0).await.unwrap();
    let address = listener.address;
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    stream.write_all(b"ping").await.unwrap();
    let mut back = String::new();
    stream.read_to_string(&mut back).await.unwrap();
    assert_eq!(back, "ping");
    drop(listener);
    // The port closes as soon as the aborted task is dropped.
    while tokio::net::TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
}
