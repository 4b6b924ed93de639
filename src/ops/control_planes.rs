//! Ways to a cluster through whichever of its control planes works: none of them is special.

use super::api::API_PORT;
use crate::{
    connection::{Connection, ConnectionError, Stream, first},
    engine::Network,
    kube::Dial,
};
use futures::future::BoxFuture;
use std::{
    io,
    net::Ipv4Addr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

/// The control planes of a cluster by name, in the order in which they are tried.
#[derive(Clone)]
pub struct ControlPlanes {
    connector: Arc<Network>,
    names: Arc<[String]>,
    /// The one that worked last.
    good: Arc<AtomicUsize>,
}

impl ControlPlanes {
    /// Dials nothing yet.
    pub fn new(connector: Arc<Network>, names: impl IntoIterator<Item = String>) -> Self {
        Self { connector, names: names.into_iter().collect(), good: Arc::default() }
    }

    /// Their names.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Does something with the first of them with which it succeeds; the next one is tried when one fails or is silent.
    ///
    /// # Errors
    /// The errors of all, the preferred one's first; empty where there is no control plane.
    pub async fn first<T, E, F>(&self, work: impl Fn(String, Arc<dyn Connection>) -> F) -> Result<T, Vec<E>>
    where
        F: Future<Output = Result<T, E>>,
        E: From<ConnectionError>,
    {
        let good = self.good.load(Ordering::Relaxed).min(self.names.len().saturating_sub(1));
        let order = std::iter::once(good).chain((0..self.names.len()).filter(|i| *i != good)).take(self.names.len());
        let work = &work;
        let attempts = order.map(|i| async move {
            let name = self.names.get(i).cloned().unwrap_or_default();
            let connection = self.connector.connect(&name).await?;
            work(name, connection).await.map(|value| (i, value))
        });
        let (i, value) = first(attempts).await?;
        self.good.store(i, Ordering::Relaxed);
        Ok(value)
    }

    /// Streams to the API server of the first of them that takes one.
    pub fn api(&self) -> Dial {
        let this = self.clone();
        Arc::new(move || {
            let this = this.clone();
            Box::pin(async move { this.stream("127.0.0.1".to_owned(), API_PORT).await })
        })
    }

    /// Streams to an address as seen from the first of them that can reach it.
    pub fn at(&self) -> Arc<dyn Fn(Ipv4Addr, u16) -> BoxFuture<'static, io::Result<Box<dyn Stream>>> + Send + Sync> {
        let this = self.clone();
        Arc::new(move |address, port| {
            let this = this.clone();
            Box::pin(async move { this.stream(address.to_string(), port).await })
        })
    }

    async fn stream(&self, address: String, port: u16) -> io::Result<Box<dyn Stream>> {
        let open = |_, connection: Arc<dyn Connection>| {
            let address = address.clone();
            async move { connection.open_stream(&address, port).await }
        };
        self.first(open).await.map_err(|errors: Vec<ConnectionError>| {
            let all: Vec<String> = errors.iter().map(ToString::to_string).collect();
            io::Error::other(if all.is_empty() { "the cluster has no control plane".to_owned() } else { all.join("; ") })
        })
    }
}
