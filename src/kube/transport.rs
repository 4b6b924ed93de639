//! HTTP/1.1 and TLS (rustls with ring) over a stream from anywhere.

use super::{Credentials, KubeError};
use crate::connection::{Connection, Stream};
use ::kube::client::Body;
use futures::future::BoxFuture;
use http::{Request, Response, Uri};
use hyper_util::{
    client::legacy::{
        Client as Http,
        connect::{Connected, Connection as Link},
    },
    rt::{TokioExecutor, TokioIo},
};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};
use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::{TlsConnector, client::TlsStream};

/// How long a stream and its TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(15);
/// Ends sooner than a request that nobody answers would be noticed by a person.
const REQUEST: Duration = Duration::from_secs(40);

/// Opens one stream to the API server.
pub type Dial = Arc<dyn Fn() -> BoxFuture<'static, io::Result<Box<dyn Stream>>> + Send + Sync>;

/// Where the API is, and by which name it proves itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Api {
    /// Address as seen from the other end of the tunnel.
    pub address: String,
    /// TCP port, 6443.
    pub port: u16,
    /// A name or address in the server's certificate.
    pub server_name: String,
}

/// Streams through a connected host (direct-tcpip).
pub fn through(connection: Arc<dyn Connection>, address: &str, port: u16) -> Dial {
    let address = address.to_owned();
    Arc::new(move || {
        let (connection, address) = (connection.clone(), address.clone());
        Box::pin(async move { connection.open_stream(&address, port).await.map_err(io::Error::other) })
    })
}

/// Streams from this machine, where the API is open to it.
pub fn direct(address: &str, port: u16) -> Dial {
    let address = (address.to_owned(), port);
    Arc::new(move || {
        let address = address.clone();
        Box::pin(async move {
            let stream = tokio::net::TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            Ok(Box::new(stream) as Box<dyn Stream>)
        })
    })
}

/// A client of the API at `api` over streams of `dial`. Dials nothing yet; connections are pooled and reopened.
pub fn client(dial: Dial, api: &Api, credentials: &Credentials) -> Result<::kube::Client, KubeError> {
    let http = http(dial, api, credentials)?;
    Ok(::kube::Client::new(Service { http, authority: format!("{}:{}", bracketed(&api.address), api.port) }, "default"))
}

/// HTTP over TLS over streams of `dial`, to a server that proves itself with the CA, as a client with a certificate.
fn http(dial: Dial, api: &Api, credentials: &Credentials) -> Result<Http<Connector, Body>, KubeError> {
    let bad = |what: &str| {
        let what = what.to_owned();
        move |why: &dyn std::fmt::Display| KubeError::Credentials { what, why: why.to_string() }
    };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&credentials.ca) {
        let certificate = certificate.map_err(|e| bad("cluster CA")(&e))?;
        roots.add(certificate).map_err(|e| bad("cluster CA")(&e))?;
    }
    let chain = CertificateDer::pem_slice_iter(&credentials.certificate).collect::<Result<Vec<_>, _>>();
    let chain = chain.map_err(|e| bad("client certificate")(&e))?;
    let key = PrivateKeyDer::from_pem_slice(credentials.key.expose()).map_err(|e| bad("client key")(&e))?;
    let name = ServerName::try_from(api.server_name.clone()).map_err(|e| bad("server name")(&e))?;
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|e| bad("TLS")(&e))?
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key)
        .map_err(|e| bad("client certificate")(&e))?;
    let connector = Connector { dial, tls: TlsConnector::from(Arc::new(config)), name };
    Ok(Http::builder(TokioExecutor::new()).pool_idle_timeout(Duration::from_secs(60)).pool_max_idle_per_host(16).build(connector))
}

/// The same way in, for servers that are asked in JSON and are no Kubernetes API (etcd's gateway).
#[derive(Clone)]
pub struct Https {
    http: Http<Connector, Body>,
    authority: String,
}

impl Https {
    /// Dials nothing yet.
    pub fn new(dial: Dial, api: &Api, credentials: &Credentials) -> Result<Self, KubeError> {
        Ok(Self { http: http(dial, api, credentials)?, authority: format!("{}:{}", bracketed(&api.address), api.port) })
    }

    /// Posts JSON; returns the status code and the answer. The caller has a deadline.
    pub async fn post(&self, path: &str, body: &serde_json::Value) -> Result<(u16, Vec<u8>), tower::BoxError> {
        let uri = Uri::builder().scheme("https").authority(self.authority.as_str()).path_and_query(path).build()?;
        let request =
            Request::post(uri).header(http::header::CONTENT_TYPE, "application/json").body(Body::from(body.to_string().into_bytes()))?;
        let answer = self.http.request(request).await?;
        let code = answer.status().as_u16();
        Ok((code, http_body_util::BodyExt::collect(answer.into_body()).await?.to_bytes().to_vec()))
    }
}

fn bracketed(address: &str) -> String {
    if address.contains(':') { format!("[{address}]") } else { address.to_owned() }
}

/// Gives kube's path-only requests a host and a deadline. Watches are not used over it.
#[derive(Clone)]
struct Service {
    http: Http<Connector, Body>,
    authority: String,
}

impl tower::Service<Request<Body>> for Service {
    type Response = Response<hyper::body::Incoming>;
    type Error = tower::BoxError;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let path = request.uri().path_and_query().map_or("/", |p| p.as_str());
        let uri = Uri::builder().scheme("https").authority(self.authority.as_str()).path_and_query(path).build();
        let http = self.http.clone();
        Box::pin(async move {
            *request.uri_mut() = uri?;
            match tokio::time::timeout(REQUEST, http.request(request)).await {
                Ok(answer) => Ok(answer?),
                Err(_) => Err(format!("no answer from the API server within {} s", REQUEST.as_secs()).into()),
            }
        })
    }
}

#[derive(Clone)]
struct Connector {
    dial: Dial,
    tls: TlsConnector,
    name: ServerName<'static>,
}

impl tower::Service<Uri> for Connector {
    type Response = TokioIo<Tls>;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<TokioIo<Tls>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let this = self.clone();
        Box::pin(async move {
            let open = async { this.tls.connect(this.name, (this.dial)().await?).await };
            let late = |_| io::Error::new(io::ErrorKind::TimedOut, format!("no TLS session within {} s", HANDSHAKE.as_secs()));
            Ok(TokioIo::new(Tls(tokio::time::timeout(HANDSHAKE, open).await.map_err(late)??)))
        })
    }
}

/// The TLS session as hyper wants it.
struct Tls(TlsStream<Box<dyn Stream>>);

impl Link for Tls {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl AsyncRead for Tls {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Tls {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
