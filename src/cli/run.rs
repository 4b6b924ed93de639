//! `kubewright run`

use super::{Exit, Failure, OutputArgs, playbook::Connect};
use crate::{engine::RunOptions, ops};

/// Run a command on hosts, in parallel: `kubewright run workers -- uptime`
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    connect: Connect,
    #[command(flatten)]
    output: OutputArgs,
    /// Which hosts, as in Ansible: `all`, `workers:!worker-2`, `~^w`
    pattern: String,
    /// Run it as root
    #[arg(short, long = "become")]
    become_: bool,
    /// The command, for the host's sh
    #[arg(last = true, required = true)]
    command: Vec<String>,
}

pub(super) async fn run(args: Args) -> Result<Exit, Failure> {
    let text = args.command.join(" ");
    let playbook = ops::playbooks::ad_hoc(&args.pattern, "shell", &text, args.become_);
    let load = ops::playbooks::load_options();
    super::playbook::execute(&args.connect, vec![playbook], &load, RunOptions::default(), &args.output).await
}
