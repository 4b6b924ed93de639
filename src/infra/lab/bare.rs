//! The nodes' image by itself, for tests that need bare machines and no cluster.

use super::{cache, docker::Engine, image};
use crate::{event::Events, infra::InfraError, spec::LabSettings};

/// Name of the nodes' image in the engine, built if it is missing.
///
/// # Errors
/// What is missing for it: an engine, a registry and mmdebstrap.
pub async fn node_image(settings: &LabSettings, events: &Events) -> Result<String, InfraError> {
    image::node(&Engine::new(settings)?, settings, &cache::directory()?, events).await
}
