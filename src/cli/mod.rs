//! The command line: one short file per command, whose doc comments are the help text. Parses, calls `ops`, and turns
//! what comes back into text and an exit code. Nothing is decided here.

mod bootstrap;
mod changes;
mod completions;
mod connect;
mod cost;
mod destroy;
mod etcd;
mod exit;
mod fix;
mod global;
mod host_keys;
mod inventory;
mod kubeconfig;
mod kubectl;
mod list;
mod lock;
mod node;
mod plan;
mod playbook;
mod proxy;
mod reset;
mod run;
mod shown;
mod ssh;
mod support_bundle;
mod vault;
mod verify;

pub use exit::{Exit, Failure};
pub use global::{ClusterArgs, Format, OutputArgs};
pub use lock::LockArgs;

use clap::{CommandFactory as _, Parser, Subcommand};
use std::process::ExitCode;

/// From bare machines to a verified Kubernetes cluster, over SSH and with nothing but sh on the hosts.
#[derive(Debug, Parser)]
#[command(name = "kubewright", version, max_term_width = 110, after_help = AFTER_HELP)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "Exit codes: 0 done, 1 internal error, 2 usage or invalid input (nothing was touched), 3 `plan` found changes, \
4 some hosts failed or were unreachable, 5 unhealthy, 6 another operator holds the lock.";

#[derive(Debug, Subcommand)]
enum Command {
    Bootstrap(bootstrap::Args),
    Plan(plan::Args),
    Verify(verify::Args),
    Node(node::Args),
    Playbook(playbook::Args),
    Run(run::Args),
    Inventory(inventory::Args),
    Vault(vault::Args),
    Kubeconfig(kubeconfig::Args),
    Kubectl(kubectl::Args),
    Proxy(proxy::Args),
    Ssh(ssh::Args),
    SupportBundle(support_bundle::Args),
    HostKeys(host_keys::Args),
    Etcd(etcd::Args),
    Reset(reset::Args),
    Destroy(destroy::Args),
    Cost(cost::Args),
    List(list::Args),
    Completions(completions::Args),
}

/// Parses the command line, runs the command and says how it ended.
pub fn main() -> ExitCode {
    // One TLS and crypto provider in the whole program.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return exit::show(&Failure::Internal(format!("cannot start the async runtime: {error}"))),
    };
    let result = runtime.block_on(dispatch(cli));
    // Background tasks (tunnels, closing connections) do not delay the end.
    runtime.shutdown_background();
    match result {
        Ok(exit) => exit.into(),
        Err(failure) => exit::show(&failure),
    }
}

async fn dispatch(cli: Cli) -> Result<Exit, Failure> {
    match cli.command {
        Command::Bootstrap(args) => bootstrap::run(args).await,
        Command::Plan(args) => plan::run(args).await,
        Command::Verify(args) => verify::run(args).await,
        Command::Node(args) => node::run(args).await,
        Command::Playbook(args) => playbook::run(args).await,
        Command::Run(args) => run::run(args).await,
        Command::Inventory(args) => inventory::run(args).await,
        Command::Vault(args) => vault::run(args),
        Command::Kubeconfig(args) => kubeconfig::run(args).await,
        Command::Kubectl(args) => kubectl::run(args).await,
        Command::Proxy(args) => proxy::run(args).await,
        Command::Ssh(args) => ssh::run(args).await,
        Command::SupportBundle(args) => support_bundle::run(args).await,
        Command::HostKeys(args) => host_keys::run(args).await,
        Command::Etcd(args) => etcd::run(args).await,
        Command::Reset(args) => reset::run(args).await,
        Command::Destroy(args) => destroy::run(args).await,
        Command::Cost(args) => cost::run(args).await,
        Command::List(args) => list::run(args).await,
        Command::Completions(args) => completions::run(&args),
    }
}

/// The whole command as clap sees it: for completions and the generated reference.
pub fn command() -> clap::Command {
    Cli::command()
}

#[cfg(test)]
mod tests {
    #[test]
    fn options_do_not_contradict_each_other() {
        super::command().debug_assert();
    }
}
