//! `kubewright proxy`

use super::{ClusterArgs, Exit, Failure};
use crate::{ops, report};
use std::path::PathBuf;

/// Reach the API from this machine: for k9s, helm, plain kubectl, while 6443 is closed to you
///
/// A port on 127.0.0.1 leads through the SSH tunnel, and a kubeconfig (0600) leads to the port; both end with this command. The port
/// alone gives nobody access: whoever connects needs a client certificate. With a command, it runs with KUBECONFIG set:
/// `kubewright proxy -- k9s`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    cluster: ClusterArgs,
    /// Port on 127.0.0.1; 0: any free one
    #[arg(short, long, default_value_t = 0)]
    port: u16,
    /// Write the kubeconfig here
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// A command to run through it, instead of waiting for Ctrl-C
    #[arg(last = true)]
    command: Vec<String>,
}

pub(super) async fn run(args: Args) -> Result<Exit, Failure> {
    let cluster = ops::Cluster::open(&args.cluster.directory()?).await?;
    let proxy = ops::proxy::open(&cluster, args.port, args.kubeconfig.as_deref()).await?;
    if !args.command.is_empty() {
        return Ok(Exit::Code(ops::proxy::run(&proxy, &args.command).await?));
    }
    report::out(&format!("export KUBECONFIG={}\n", crate::shell::quote(&proxy.kubeconfig.display().to_string())));
    report::err(&format!("{} leads to the API of {} until Ctrl-C\n", proxy.address(), cluster.spec.name));
    let stopped = tokio::signal::ctrl_c().await;
    drop(proxy);
    stopped?;
    Ok(Exit::Done)
}
