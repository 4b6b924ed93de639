//! `kubewright inventory`

use super::{Exit, Failure};
use crate::{inventory::Inventory, ops, report};
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
    #[arg(short, long, value_name = "INVENTORY", env = "KUBEWRIGHT_INVENTORY", required = true)]
    inventory: Vec<PathBuf>,
    #[command(flatten)]
    show: Show,
}

pub(super) async fn run(args: Args) -> Result<Exit, Failure> {
    let inventory = match args.inventory.as_slice() {
        [only] if crate::inventory::is_cluster_dir(only) => {
            let cluster = ops::Cluster::open(only).await?;
            ops::hosts::inventory(&cluster.spec, &cluster.discover().await?, &ops::survey::Survey::default())?
        }
        sources => Inventory::load(sources, None)?,
    };
    report::out(&match &args.show.host {
        Some(host) => inventory.to_json_host(host)?,
        None if args.show.graph => inventory.to_graph("all")?,
        None => inventory.to_json_list()?,
    });
    Ok(Exit::Done)
}
