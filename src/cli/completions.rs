//! `kubewright completions`

use super::{Exit, Failure};
use clap_complete::Shell;

/// Print a completion script for a shell
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The shell
    shell: Shell,
}

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    clap_complete::generate(args.shell, &mut super::command(), "kubewright", &mut std::io::stdout());
    Ok(Exit::Done)
}
