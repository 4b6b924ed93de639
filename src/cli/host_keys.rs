//! `kubewright host-keys`

use super::{ClusterArgs, Exit, Failure, OutputArgs, lock::LockArgs, shown::Shown};
use crate::{ops, report};

/// Show the public SSH host keys of a cluster's machines as lines for known_hosts, or give machines new ones
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Print them, one line for each address that a machine is dialled at
    List {
        #[command(flatten)]
        cluster: ClusterArgs,
    },
    /// Make new ones: published first, then installed and proved by a new connection; may be interrupted and run again
    Rotate {
        #[command(flatten)]
        cluster: ClusterArgs,
        #[command(flatten)]
        output: OutputArgs,
        #[command(flatten)]
        lock: LockArgs,
        /// The machines; all without names
        hosts: Vec<String>,
    },
}

pub(super) async fn run(args: Args) -> Result<Exit, Failure> {
    match args.action {
        Action::List { cluster } => {
            let cluster = ops::Cluster::open(&cluster.directory()?).await?;
            for machine in cluster.discover().await?.machines {
                let address = machine.dial_address.unwrap_or_else(|| machine.private_address.to_string());
                let at = if machine.ssh_port == 22 { address } else { format!("[{address}]:{}", machine.ssh_port) };
                report::out(&machine.host_keys.iter().map(|key| format!("{at},{} {key}\n", machine.name)).collect::<Vec<_>>().concat());
            }
            Ok(Exit::Done)
        }
        Action::Rotate { cluster, output, lock, hosts } => {
            let cluster = ops::Cluster::open(&cluster.directory()?).await?;
            let lock = lock.take(&cluster, "host-keys rotate").await?;
            let shown = Shown::start(output.display(None, false));
            let outcome = ops::host_keys::rotate(&cluster, &hosts, &shown.events).await;
            shown.finish().await;
            let mut exit = Exit::Done;
            for (machine, key) in lock.release(outcome.map_err(Failure::from)).await? {
                match key {
                    Ok(key) if !output.json() => report::out(&format!("{machine}\t{key}\n")),
                    Ok(_) => {}
                    Err(error) => {
                        report::err(&format!("error: {}\n", report::clean(&error.to_string())));
                        exit = Exit::HostsFailed;
                    }
                }
            }
            Ok(exit)
        }
    }
}
