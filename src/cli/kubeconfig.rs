//! `kubewright kubeconfig`

use super::{ClusterArgs, Exit, Failure};
use crate::{cluster::Person, ops, text::Problem};
use std::{io::Write as _, path::PathBuf, time::Duration};

/// Print a kubeconfig with a client certificate of your own, or write it to a file (0600)
///
/// Its server is the API's name on port 6443. While that is closed to you, use `kubewright kubectl` or `kubewright proxy`. With
/// --user it is for somebody else: a certificate that the cluster signs for that name and group, and that ends by itself. What it may
/// do is for RBAC to say; it cannot be revoked, so keep it short.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    cluster: ClusterArgs,
    /// Write it here instead of printing it
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// For this user
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// In this group
    #[arg(long, value_name = "NAME", requires = "user")]
    group: Option<String>,
    /// How long it is valid
    #[arg(long, value_parser = humantime::parse_duration, default_value = "8h", value_name = "TIME", requires = "user")]
    ttl: Duration,
}

pub(super) async fn run(args: Args) -> Result<Exit, Failure> {
    let person = args.user.map(|user| Person { user, group: args.group, ttl: args.ttl });
    if let Some(why) = person.as_ref().and_then(Person::refused) {
        return Err(Problem::new(why).into());
    }
    let cluster = ops::Cluster::open(&args.cluster.directory()?).await?;
    let text = match &person {
        Some(person) => ops::kubectl::kubeconfig_for(&cluster, person).await?,
        None => ops::kubectl::kubeconfig(&cluster).await?,
    };
    match &args.output {
        Some(path) => ops::state::write_private(path, text.expose().as_bytes())?,
        None => std::io::stdout().lock().write_all(text.expose().as_bytes())?,
    }
    Ok(Exit::Done)
}
