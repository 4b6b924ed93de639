//! `kubewright inventory`

use super::{Exit, Failure};
use crate::{inventory::Inventory, ops, report, text::Problem};
use std::path::PathBuf;

/// Show an inventory as Ansible does: `--list` and `--host` as JSON, `--graph` as a tree
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub struct Show {
    /// All hosts, groups and variables
    #[arg(long)]
    list: bool,
    /// Groups and hosts as a tree
    #[arg(long)]
    graph: bool,
    /// Variables of one host
    #[arg(long, value_name = "NAME")]
    host: Option<String>,
}

/// Show an inventory as Ansible does: `--list` and `--host` as JSON, `--graph` as a tree
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Inventory file, directory or cluster directory; several allowed
    #[arg(short, long, value_name = "INVENTORY", env = "KUBEWRIGHT_INVENTORY")]
    inventory: Vec<PathBuf>,
    #[command(flatten)]
    show: Show,
    /// Directory of the playbook, whose group_vars and host_vars count too
    #[arg(long, value_name = "DIR")]
    playbook_dir: Option<PathBuf>,
    #[command(flatten)]
    vault: super::vault::VaultArgs,
}

pub(super) async fn run(args: Args) -> Result<Exit, Failure> {
    let cfg = ops::ansible_cfg::AnsibleCfg::read()?;
    let sources = if args.inventory.is_empty() { cfg.inventory.clone() } else { args.inventory };
    let inventory = match sources.as_slice() {
        [] => return Err(Problem::new("which inventory?").hint("name it: -i hosts.ini, or inventory= in ansible.cfg").into()),
        [only] if crate::inventory::is_cluster_dir(only) => {
            let cluster = ops::Cluster::open(only).await?;
            ops::hosts::inventory(&cluster.spec, &cluster.discover().await?, &ops::survey::Survey::default())?
        }
        sources => Inventory::load_with(sources, args.playbook_dir.as_deref(), &args.vault.open(&cfg)?)?,
    };
    report::out(&match &args.show.host {
        Some(host) => inventory.to_json_host(host)?,
        None if args.show.graph => inventory.to_graph("all")?,
        None => inventory.to_json_list()?,
    });
    Ok(Exit::Done)
}
