//! The lab's lock: a container that is created and never started. Docker lets only one have the name, its id names this very
//! lock, its label says who holds it, and a file in it changes as long as the holder lives.

use super::{
    archive::Archive,
    docker::{Engine, failed, status},
    labels,
};
use crate::infra::{
    InfraError,
    lock::{Holder, Lock, LockStore},
};
use async_trait::async_trait;
use bollard::{
    models::{ContainerCreateBody, HostConfig},
    query_parameters::{CreateContainerOptions, CreateImageOptions, DownloadFromContainerOptions},
};
use futures::StreamExt as _;
use jiff::Timestamp;
use std::{collections::HashMap, io::Read as _, time::Duration};

/// An image of nothing: a container needs one.
const IMAGE: &str = "kubewright-lab/lock:1";
/// What the holder writes, and when by the engine's clock.
const BEAT: &str = "beat";

/// See the module.
pub(super) struct ContainerLock {
    pub(super) engine: Engine,
    pub(super) cluster: String,
}

impl ContainerLock {
    fn name(&self) -> String {
        format!("kubewright-{}-lock", self.cluster)
    }

    /// The engine's clock: all operators compare with the same one.
    async fn now(&self) -> Result<Timestamp, InfraError> {
        let said = self.engine.info().await?.system_time.unwrap_or_default();
        said.parse().map_err(|e| failed("reading the engine's clock", &e))
    }

    async fn image(&self) -> Result<(), InfraError> {
        if self.engine.api.inspect_image(IMAGE).await.is_ok() {
            return Ok(());
        }
        let options = CreateImageOptions { from_src: Some("-".to_owned()), repo: Some(IMAGE.to_owned()), ..Default::default() };
        let body = bollard::body_full(Archive::new().finish().into());
        let mut stream = std::pin::pin!(self.engine.api.create_image(Some(options), Some(body), None));
        while let Some(part) = stream.next().await {
            part.map_err(|e| failed("importing the lock's image", &e))?;
        }
        Ok(())
    }

    /// When the holder last said that it lives; `None`: not since it made the lock.
    async fn beat(&self, id: &str) -> Result<Option<String>, InfraError> {
        let options = DownloadFromContainerOptions { path: format!("/{BEAT}") };
        let mut stream = std::pin::pin!(self.engine.api.download_from_container(id, Some(options)));
        let mut bytes = Vec::new();
        while let Some(part) = stream.next().await {
            match part {
                Ok(part) => bytes.extend_from_slice(&part),
                Err(e) if status(&e) == Some(404) => return Ok(None),
                Err(e) => return Err(failed("reading the lock", &e)),
            }
        }
        let mut text = String::new();
        let mut archive = tar::Archive::new(bytes.as_slice());
        let entry = archive.entries().ok().and_then(|mut entries| entries.next()).and_then(Result::ok);
        entry.and_then(|mut e| e.read_to_string(&mut text).ok());
        Ok((!text.is_empty()).then_some(text))
    }
}

#[async_trait]
impl LockStore for ContainerLock {
    async fn read(&self) -> Result<Option<Lock>, InfraError> {
        let Some(found) = self.engine.containers(&self.cluster, labels::ROLE_LOCK).await?.into_iter().next() else { return Ok(None) };
        let label = found.labels.as_ref().and_then(|l| l.get(labels::HOLDER));
        let (Some(id), Some(label)) = (found.id, label) else { return Ok(None) };
        let holder: Holder = serde_json::from_str(label).map_err(|e| failed("reading the lock's label", &e))?;
        let created = found.created.and_then(|seconds| Timestamp::from_second(seconds).ok());
        let beat = self.beat(&id).await?;
        let last = beat.as_deref().and_then(|b| b.parse().ok()).or(created).unwrap_or(holder.since);
        let age = Duration::try_from(self.now().await?.duration_since(last)).unwrap_or_default();
        Ok(Some(Lock { id, holder, beat: beat.unwrap_or_default(), age }))
    }

    async fn create(&self, holder: &Holder) -> Result<Option<String>, InfraError> {
        self.image().await?;
        let body = ContainerCreateBody {
            image: Some(IMAGE.to_owned()),
            cmd: Some(vec!["never started".to_owned()]),
            labels: Some(HashMap::from(
                [
                    (labels::CLUSTER, self.cluster.clone()),
                    (labels::ROLE, labels::ROLE_LOCK.to_owned()),
                    (labels::HOLDER, serde_json::to_string(holder).map_err(|e| failed("writing the lock's label", &e))?),
                ]
                .map(|(k, v)| (k.to_owned(), v)),
            )),
            host_config: Some(HostConfig { network_mode: Some("none".to_owned()), ..Default::default() }),
            ..Default::default()
        };
        let options = CreateContainerOptions { name: Some(self.name()), ..Default::default() };
        match self.engine.api.create_container(Some(options), body).await {
            Ok(made) => Ok(Some(made.id)),
            Err(e) if status(&e) == Some(409) => Ok(None),
            Err(e) => Err(failed(&format!("creating container {}", self.name()), &e)),
        }
    }

    async fn renew(&self, id: &str) -> Result<bool, InfraError> {
        let beat = self.now().await?.to_string();
        let options = bollard::query_parameters::UploadToContainerOptions { path: "/".to_owned(), ..Default::default() };
        let body = bollard::body_full(Archive::new().file(BEAT, 0o644, &beat).finish().into());
        match self.engine.api.upload_to_container(id, Some(options), body).await {
            Ok(()) => Ok(true),
            Err(e) if status(&e) == Some(404) => Ok(false),
            Err(e) => Err(failed("renewing the lock", &e)),
        }
    }

    async fn remove(&self, id: &str) -> Result<(), InfraError> {
        self.engine.remove(id, &self.name()).await
    }
}
