//! Running playbooks: the shipped ones on a cluster's machines, and people's own on whatever their inventory names.

use super::{
    Cluster, OpsError,
    ansible_cfg::AnsibleCfg,
    api_services::ApiServices,
    control_planes::ControlPlanes,
    embedded,
    hosts::{self, Patience},
    services::ClusterServices,
    survey,
};
use crate::{
    engine::{self, FirstContact, LoginDefaults, Network, RunOptions, RunSummary, Services},
    event::Events,
    infra::{Machine, Provision},
    inventory::Inventory,
    playbook::{Files, LoadOptions, Playbook, PlaybookSource, load},
    spec::ClusterSpec,
    template::Templar,
    text::Problems,
    vault::Vault,
};
use std::{path::Path, sync::Arc};
use tokio_util::sync::CancellationToken;

/// Everything that a run needs besides the playbook.
pub struct Hosts {
    /// The hosts.
    pub inventory: Inventory,
    /// Ways to them.
    pub connector: Arc<Network>,
    /// The cluster's API, where there is a cluster.
    pub services: Arc<dyn Services>,
}

/// The machines of a cluster as they are.
///
/// # Errors
/// When it cannot be told which control plane has the cluster, or a file of variables is wrong.
pub async fn cluster_hosts(cluster: &Cluster, provision: &Provision) -> Result<Hosts, OpsError> {
    through(cluster, provision, &provision.machines, cluster.connector(provision)).await
}

/// Machines that may just have been started, with what is to be done when they answer for the first time. `before`: those that
/// were there when this run began.
///
/// # Errors
/// As [`cluster_hosts`], and when a second cluster would be made.
pub async fn new_hosts(
    cluster: &Cluster,
    provision: &Provision,
    before: &[Machine],
    first_contact: Arc<dyn FirstContact>,
) -> Result<Hosts, OpsError> {
    let network = Network::new(hosts::dialled(&cluster.spec, provision, Patience::Changing(before)), LoginDefaults::default());
    through(cluster, provision, before, Arc::new(network.on_first_contact(first_contact))).await
}

async fn through(cluster: &Cluster, provision: &Provision, before: &[Machine], connector: Arc<Network>) -> Result<Hosts, OpsError> {
    let survey = survey::survey(&cluster.spec, &connector, before, &provision.machines).await?;
    let others = provision.machines.iter().filter(|m| m.pool == ClusterSpec::CONTROL_PLANE && Some(&m.name) != survey.lead.as_ref());
    let names: Vec<String> = survey.lead.iter().cloned().chain(others.map(|m| m.name.clone())).collect();
    surveyed(cluster, provision, connector, &survey, names)
}

/// Machines that are to leave the cluster, which is reached through these control planes only. A cluster that is broken is no
/// hindrance.
pub async fn leaving_hosts(cluster: &Cluster, provision: &Provision, staying: Vec<String>) -> Result<Hosts, OpsError> {
    let connector = cluster.connector(provision);
    let survey = survey::survey(&cluster.spec, &connector, &provision.machines, &provision.machines).await.unwrap_or_default();
    surveyed(cluster, provision, connector, &survey, staying)
}

/// The machines of a cluster that one control plane leads, whatever they look like: a restore decides, not a survey.
pub fn led_by(cluster: &Cluster, provision: &Provision, connector: Arc<Network>, lead: &str) -> Result<Hosts, OpsError> {
    let survey = survey::Survey { lead: Some(lead.to_owned()), initialised: std::iter::once(lead.to_owned()).collect() };
    surveyed(cluster, provision, connector, &survey, vec![lead.to_owned()])
}

fn surveyed(
    cluster: &Cluster,
    provision: &Provision,
    connector: Arc<Network>,
    survey: &survey::Survey,
    planes: Vec<String>,
) -> Result<Hosts, OpsError> {
    let services = ApiServices {
        services: ClusterServices::new(Arc::clone(&cluster.spec), cluster.state.clone()),
        control_planes: ControlPlanes::new(Arc::clone(&connector), planes),
    };
    Ok(Hosts { inventory: hosts::inventory(&cluster.spec, provision, survey)?, connector, services: Arc::new(services) })
}

/// Reads and checks playbooks; touches no host.
pub fn read(sources: &[PlaybookSource], load_options: &LoadOptions) -> Result<Playbook, Problems> {
    load(sources, load_options)
}

/// How files are found: on disk, and shipped ones in the binary.
pub fn load_options() -> LoadOptions {
    let templar = Arc::new(Templar::new());
    LoadOptions { files: Arc::new(Files::new(&embedded::directories())), ..LoadOptions::new(templar) }
}

/// As [`load_options`], with the roles of `ansible.cfg` and passwords for what is encrypted.
pub fn load_options_with(cfg: &AnsibleCfg, vault: Vault) -> LoadOptions {
    let open = move |text: &str| vault.decrypt_text(text).map(|s| s.expose().clone()).map_err(|e| e.to_string());
    LoadOptions { roles_path: cfg.roles_path.clone(), vault: Arc::new(open), ..load_options() }
}

/// A shipped playbook: the file on disk where there is one (a source tree, an edited copy), else the binary's.
pub fn shipped_source(path: &str) -> PlaybookSource {
    if Path::new(path).exists() && Path::new("templates").exists() {
        PlaybookSource::Path(path.into())
    } else {
        PlaybookSource::Embedded(path.to_owned())
    }
}

/// One module on a pattern of hosts, as `ansible` does it.
pub fn ad_hoc(pattern: &str, module: &str, arguments: &str) -> PlaybookSource {
    // JSON is YAML: quoting is right whatever the text holds.
    let task = serde_json::json!({"name": arguments, module: {"cmd": arguments}, "changed_when": false});
    let play = serde_json::json!([{"name": "run", "hosts": pattern, "gather_facts": false, "tasks": [task]}]);
    PlaybookSource::Text { name: "<run>".into(), text: play.to_string() }
}

/// Runs playbooks on hosts.
pub async fn run(
    sources: &[PlaybookSource],
    load_options: &LoadOptions,
    hosts: Hosts,
    options: &RunOptions,
    events: &Events,
    cancel: CancellationToken,
) -> Result<RunSummary, OpsError> {
    let playbook = read(sources, load_options)?;
    let context = engine::Context { connector: hosts.connector, services: hosts.services, load: load_options.clone() };
    Ok(Box::pin(engine::run(&playbook, hosts.inventory, context, options, events, cancel)).await)
}
