//! Options that many commands share.

use crate::{
    report,
    text::{Problem, Problems},
};
use clap::{Args, ValueEnum};
use std::{io::IsTerminal as _, path::PathBuf};

/// How what happens is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// `live` on a terminal, `plain` in a pipe.
    Auto,
    /// Live progress per host.
    Live,
    /// A line per thing that matters.
    Plain,
    /// One JSON event a line on stdout.
    Json,
    /// PLAY, TASK and PLAY RECAP as ansible-playbook prints them.
    Ansible,
}

/// How a command shows what it does.
#[derive(Args, Clone, Debug)]
pub struct OutputArgs {
    /// How what happens is shown
    #[arg(long, value_enum, default_value = "auto", help_heading = "Output")]
    pub format: Format,
    /// Show more; may be given several times
    #[arg(short, long, action = clap::ArgAction::Count, help_heading = "Output")]
    pub verbose: u8,
}

/// Which cluster.
#[derive(Args, Clone, Debug)]
pub struct ClusterArgs {
    /// Directory of the cluster's inventory, the one with cluster.yaml in it
    #[arg(short, long, value_name = "DIR", env = "KUBEWRIGHT_INVENTORY")]
    pub inventory: Option<PathBuf>,
}

impl ClusterArgs {
    /// The directory; without `-i`, the current directory if it has a cluster.yaml.
    pub fn directory(&self) -> Result<PathBuf, Problems> {
        match &self.inventory {
            Some(path) => Ok(path.clone()),
            None if std::path::Path::new("cluster.yaml").exists() => Ok(PathBuf::from(".")),
            None => Err(Problem::new("which cluster? there is no cluster.yaml in this directory")
                .hint("name the inventory: -i inventories/lab, or set KUBEWRIGHT_INVENTORY")
                .into()),
        }
    }
}

/// Asks a question on stderr and reads the answer.
pub fn ask(question: &str) -> std::io::Result<String> {
    use std::io::Write as _;
    let mut stderr = std::io::stderr();
    stderr.write_all(question.as_bytes())?;
    stderr.flush()?;
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    Ok(line.trim().to_owned())
}

/// A yes-or-no question; anything but yes is no.
pub fn confirm(question: &str) -> std::io::Result<bool> {
    Ok(matches!(ask(&format!("{question} [y/N] "))?.as_str(), "y" | "Y" | "yes"))
}

impl OutputArgs {
    /// Options of the display.
    pub fn display(&self, log_dir: Option<PathBuf>, diff: bool) -> report::Options {
        let format = match self.format {
            Format::Auto => report::Format::detect(),
            Format::Live => report::Format::Live,
            Format::Plain => report::Format::Plain,
            Format::Json => report::Format::Json,
            Format::Ansible => report::Format::Ansible,
        };
        report::Options { log_dir, verbosity: self.verbose, diff, colour: colour(), ..report::Options::new(format) }
    }

    /// Progress on a terminal, nothing in a pipe worth a line.
    pub fn quiet() -> Self {
        Self { format: Format::Auto, verbose: 0 }
    }

    /// Whether data should be JSON.
    pub fn json(&self) -> bool {
        self.format == Format::Json
    }
}

/// Whether stderr is a terminal that wants colour (<https://no-color.org>).
pub fn colour() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
}

/// Asks for a secret on the terminal, without echo.
pub fn ask_secret(question: &str) -> std::io::Result<String> {
    let term = console::Term::stderr();
    term.write_str(question)?;
    term.read_secure_line()
}
