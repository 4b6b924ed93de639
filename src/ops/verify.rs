//! `verify`: ways to everything that is to be looked at, then the checks.

use super::{Cluster, OpsError, plan};
use crate::{
    event::Events,
    infra::{Machine, Provision},
    spec::Provider,
    verify::{Drift, HostInput, Input, Report, Selection, Settings, over, verify},
};
use futures::{FutureExt as _, future::join_all};
use tokio_util::sync::CancellationToken;

/// How to look.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Which checks.
    pub selection: Selection,
    /// Write nothing, not even probe pods.
    pub read_only: bool,
}

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
        let access = connector.connect(&machine.name).await;
        HostInput {
            name: super::hosts::node_name(&cluster.spec, machine),
            pool: machine.pool.clone(),
            address: machine.private_address.to_string(),
            access: access.map(|connection| over(connection, !root)).map_err(|e| e.to_string()),
        }
    };
    let (hosts, api) = tokio::join!(join_all(provision.machines.iter().map(reach)), cluster.api(provision, &connector));
    let mut settings = Settings { selection: options.selection.clone(), read_only: options.read_only, ..Settings::of(&cluster.spec) };
    if let (Provider::Lab(_), Ok((_, connection))) = (&cluster.spec.provider, cluster.control_plane(provision, &connector).await) {
        // What a lab can reach of the world depends on where it runs: the place that its own packages come from, surely.
        let sources = "cat /etc/apt/sources.list /etc/apt/sources.list.d/*.sources /etc/apt/sources.list.d/*.list 2>/dev/null";
        if let Ok(done) = connection.run(sources, b"").await
            && let Some(name) = package_host(&String::from_utf8_lossy(&done.stdout))
        {
            settings.egress = format!("{name}:80");
            settings.external_name = name;
        }
    }
    let drift = async {
        // One quiet run in check mode: what bootstrap would change on hosts is drift.
        let quiet = Events::none();
        let look = Box::pin(plan::on_hosts(cluster, provision, None, &quiet, CancellationToken::new()));
        let plan = look.await.map_err(|e| e.to_string())?;
        let drift = |c: plan::HostChange| Drift { host: c.host, what: c.task, diff: c.message.unwrap_or_default() };
        Ok(plan.hosts.into_iter().map(drift).collect())
    };
    let cloud = async { cluster.provider.plan(&cluster.spec).await.map_err(|e| e.to_string()) };
    let input = Input {
        spec: &cluster.spec,
        hosts,
        client: api.map(|a| a.client).map_err(|e| e.to_string()),
        drift: Some(drift.boxed()),
        cloud: Some(cloud.boxed()),
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
