//! `verify`: ways to everything that is to be looked at, then the checks.

use super::{Cluster, OpsError, plan};
use crate::{
    event::Events,
    infra::{Machine, Provision},
    spec::Provider,
    verify::{Drift, HostInput, Input, Report, Selection, Settings, over, registry, verify},
};
use futures::{FutureExt as _, future::join_all};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How to look.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Which checks.
    pub selection: Selection,
    /// Write nothing, not even probe pods.
    pub read_only: bool,
}

/// For one machine's connection: a healthy one takes well below a second.
const PATIENCE: Duration = Duration::from_secs(10);

/// Looks at the cluster as it is.
pub async fn run(cluster: &Cluster, options: &Options, events: &Events) -> Result<Report, OpsError> {
    let provision = cluster.discover().await?;
    run_on(cluster, &provision, options, events).await
}

/// Looks at these machines.
pub async fn run_on(cluster: &Cluster, provision: &Provision, options: &Options, events: &Events) -> Result<Report, OpsError> {
    let connector = cluster.connector(provision);
    let root = cluster.spec.access.user == "root";
    let reach = async |machine: &Machine| {
        let access = tokio::time::timeout(PATIENCE, connector.connect(&machine.name)).await;
        let late = || format!("no connection within {} s: is it running, is the way free?", PATIENCE.as_secs());
        HostInput {
            name: super::hosts::node_name(&cluster.spec, machine),
            pool: machine.pool.clone(),
            address: machine.private_address.to_string(),
            access: match access {
                Ok(access) => access.map(|connection| over(connection, !root)).map_err(|e| e.to_string()),
                Err(_) => Err(late()),
            },
            dial: machine.jump.is_none().then(|| machine.dial_address.clone().map(|a| (a, machine.ssh_port))).flatten(),
        }
    };
    let api = async {
        match tokio::time::timeout(PATIENCE, cluster.api(provision, &connector)).await {
            Ok(api) => api.map_err(|e| e.to_string()),
            Err(_) => Err(format!("no connection to the first control plane within {} s", PATIENCE.as_secs())),
        }
    };
    let (hosts, api) = tokio::join!(join_all(provision.machines.iter().map(reach)), api);
    let mut settings = Settings {
        selection: options.selection.clone(),
        read_only: options.read_only,
        api_name: Some(super::hosts::api_endpoint(&cluster.spec)),
        ..Settings::of(&cluster.spec)
    };
    // What a lab, or a cluster with mirrors of its own, can reach of the world depends on where it runs: the place that its
    // packages come from, surely.
    let elsewhere = matches!(cluster.spec.provider, Provider::Lab(_)) || cluster.spec.kubernetes.image_registry.is_some();
    if let (true, Ok((_, connection))) = (elsewhere, cluster.control_plane(provision, &connector).await) {
        let sources = "cat /etc/apt/sources.list /etc/apt/sources.list.d/*.sources /etc/apt/sources.list.d/*.list 2>/dev/null";
        if let Ok(done) = connection.run(sources, b"").await
            && let Some(name) = package_host(&String::from_utf8_lossy(&done.stdout))
        {
            settings.egress = format!("{name}:80");
            settings.external_name = name;
        }
    }
    // What nobody selected is not looked at.
    let wanted = |prefix: &str| registry().any(|c| c.id.starts_with(prefix) && options.selection.has(c));
    // Who cannot be reached is said already; no need to try again.
    let reached: Vec<&str> =
        provision.machines.iter().zip(&hosts).filter(|(_, h)| h.access.is_ok()).map(|(m, _)| m.name.as_str()).collect();
    let limit = reached.join(",");
    let drift = async {
        // One quiet run in check mode: what bootstrap would change on hosts is drift.
        let quiet = Events::none();
        let look = Box::pin(plan::on_hosts(cluster, provision, Some(&limit), &quiet, CancellationToken::new()));
        let plan = look.await.map_err(|e| e.to_string())?;
        let drift = |unseen| move |c: plan::HostChange| Drift { host: c.host, what: c.task, diff: c.message.unwrap_or_default(), unseen };
        Ok(plan.hosts.into_iter().map(drift(false)).chain(plan.unseen.into_iter().map(drift(true))).collect())
    };
    let provided = !matches!(cluster.spec.provider, Provider::Static(_));
    let health = async { cluster.provider.health(&cluster.spec).await.map_err(|e| e.to_string()) };
    let cloud = async { cluster.provider.plan(&cluster.spec).await.map_err(|e| e.to_string()) };
    let input = Input {
        spec: &cluster.spec,
        hosts,
        client: api.map(|a| a.client),
        drift: wanted("machine-drift").then(|| drift.boxed()),
        cloud: (provided && wanted("cloud-")).then(|| cloud.boxed()),
        health: (provided && wanted("cloud-")).then(|| health.boxed()),
        registry: cluster.spec.kubernetes.image_registry.clone().or_else(|| provision.image_registry.clone()),
        settings,
    };
    Ok(Box::pin(verify(input, events)).await)
}

/// The first host that packages come from, over plain HTTP, and that has a name: not the lab's own mirror.
fn package_host(sources: &str) -> Option<String> {
    let urls = sources.split_whitespace().filter_map(|word| word.strip_prefix("http://"));
    let mut hosts = urls.filter_map(|url| url.split('/').next());
    hosts.find(|host| host.contains('.') && host.parse::<std::net::Ipv4Addr>().is_err() && !host.contains(':')).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_world_is_where_packages_come_from() {
        let sources = "deb [signed-by=/x] http://10.0.0.5/apt ./\nURIs: http://packages.example.org/debian\n";
        assert_eq!(super::package_host(sources).as_deref(), Some("packages.example.org"));
        assert_eq!(super::package_host("deb http://10.0.0.5/apt ./"), None);
    }
}
