//! Host keys that change: the one-time key of a new machine on first contact, and any host's key on demand.
//!
//! A new machine boots with a key that its user data holds; user data can be read by whoever may describe the instance, so
//! that key proves the machine only until it has made one of its own. The steps of a rotation, with the keys that are
//! published and that the program trusts after each:
//!
//! 1. generate beside the old key: old;
//! 2. publish as pending: old and new;
//! 3. install, and let sshd read it: old and new, the host shows either;
//! 4. prove by a connection that trusts only the new one;
//! 5. publish the new one alone: new.
//!
//! A run that is killed between any two leaves keys published that the host shows, and the next run goes on.

mod rotate;
#[cfg(test)]
mod tests;

use super::{Cluster, OpsError, hosts, names};
use crate::{
    connection::{ConnectionError, Endpoint, Pool},
    engine::FirstContact,
    event::Events,
    infra::{Machine, Provider, Provision},
    spec::ClusterSpec,
};
use async_trait::async_trait;
use futures::future::join_all;
use rotate::{Rotation, Site};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

/// Replaces the keys of machines that are met for the first time in this run.
pub struct Renewal {
    spec: Arc<ClusterSpec>,
    provider: Arc<dyn Provider>,
    events: Events,
    machines: BTreeMap<String, Machine>,
    renewed: Mutex<BTreeMap<String, String>>,
}

impl Renewal {
    /// For the machines whose present key is a one-time key, or whose rotation was interrupted.
    pub fn of_new_machines(cluster: &Cluster, provision: &Provision, events: &Events) -> Self {
        let due = provision.machines.iter().filter(|m| m.one_time_key || m.host_keys.len() > 1);
        Self::new(cluster, due, events)
    }

    fn new<'m>(cluster: &Cluster, machines: impl Iterator<Item = &'m Machine>, events: &Events) -> Self {
        Self {
            spec: Arc::clone(&cluster.spec),
            provider: Arc::clone(&cluster.provider),
            events: events.clone(),
            machines: machines.map(|m| (m.name.clone(), m.clone())).collect(),
            renewed: Mutex::default(),
        }
    }

    /// The machines with the keys that they have now.
    pub fn update(&self, provision: &Provision) -> Provision {
        let renewed = self.renewed.lock().unwrap_or_else(PoisonError::into_inner);
        let mut provision = provision.clone();
        for machine in &mut provision.machines {
            if let Some(key) = renewed.get(&machine.name) {
                machine.host_keys = vec![key.clone()];
                machine.one_time_key = false;
            }
        }
        provision
    }
}

#[async_trait]
impl FirstContact for Renewal {
    async fn meet(&self, endpoint: &Endpoint, pool: &Pool) -> Result<(), ConnectionError> {
        let Some(machine) = self.machines.get(&endpoint.name) else { return Ok(()) };
        let site = Site::host(endpoint.user != "root");
        let rotation = Rotation { spec: &self.spec, provider: self.provider.as_ref(), machine, endpoint, pool, site: &site };
        let id = format!("host-key/{}", machine.name);
        let title = if machine.one_time_key { "replace the one-time host key" } else { "new host key" };
        let key = self.events.step(&id, title, Some(&machine.name), rotation.run(&id, &self.events)).await?;
        self.renewed.lock().unwrap_or_else(PoisonError::into_inner).insert(machine.name.clone(), key);
        Ok(())
    }
}

/// Gives machines new host keys; all of them where `names` is empty. Returns each machine's outcome: the new public key, or
/// why it has none. One that fails does not stop the others.
pub async fn rotate(
    cluster: &Cluster,
    names: &[String],
    events: &Events,
) -> Result<BTreeMap<String, Result<String, ConnectionError>>, OpsError> {
    let provision = cluster.discover().await?;
    let all: Vec<&str> = provision.machines.iter().map(|m| m.name.as_str()).collect();
    names::known(&cluster.spec.name, names, &all)?;
    let wanted = provision.machines.iter().filter(|m| names.is_empty() || names.contains(&m.name));
    let renewal = Renewal::new(cluster, wanted, events);
    let endpoints = hosts::endpoints(&cluster.spec, &provision.machines, hosts::Patience::Up);
    let pool = Pool::new();
    let met = join_all(renewal.machines.keys().filter_map(|name| endpoints.get(name)).map(|e| renewal.meet(e, &pool))).await;
    let renewed = renewal.renewed.into_inner().unwrap_or_else(PoisonError::into_inner);
    let outcome =
        |(name, met): (&String, Result<(), ConnectionError>)| (name.clone(), met.map(|()| renewed.get(name).cloned().unwrap_or_default()));
    Ok(renewal.machines.keys().zip(met).map(outcome).collect())
}
