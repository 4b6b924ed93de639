//! `kubewright run`

use super::{Exit, Failure, Format, OutputArgs, connect::Connect};
use crate::{
    engine::RunOptions,
    event::{Event, Events, Kind, Output},
    ops, report,
};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio_util::sync::CancellationToken;

/// Run a command on hosts, in parallel: `kubewright run workers -- uptime`
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    connect: Connect,
    #[command(flatten)]
    output: OutputArgs,
    /// Which hosts, as in Ansible: `all`, `workers:!worker-2`, `~^w`
    pattern: String,
    /// The command, for the host's sh
    #[arg(last = true, required = true)]
    command: Vec<String>,
}

pub(super) async fn run(args: Args) -> Result<Exit, Failure> {
    let text = args.command.join(" ");
    let playbook = ops::playbooks::ad_hoc(&args.pattern, "shell", &text);
    let controller = args.connect.controller()?;
    let load = controller.load_options();
    if args.output.format != Format::Auto {
        return super::playbook::execute((&args.connect, &controller), vec![playbook], &load, RunOptions::default(), &args.output, None)
            .await;
    }
    let (hosts, _) = args.connect.hosts(&controller, None).await?;
    let options = args.connect.options(&controller, &args.output)?;
    let (events, received) = Events::channel();
    let shown = tokio::spawn(show(received));
    let result = ops::playbooks::run(&[playbook], &load, hosts, &options, &events, CancellationToken::new()).await;
    events.close();
    let _ = shown.await;
    Ok(if result?.is_ok() { Exit::Done } else { Exit::HostsFailed })
}

/// What each host said, in the order in which they were done: as `ansible` prints it.
async fn show(mut events: UnboundedReceiver<Event>) {
    while let Some(event) = events.recv().await {
        match event.kind {
            Kind::TaskFinished { host, output: Some(Output { rc, stdout, stderr }), .. } => {
                report::out(&format!("{} | rc={rc} >>\n{}\n", report::clean_line(&host), report::clean(stdout.trim_end())));
                if !stderr.trim().is_empty() {
                    report::err(&format!("{}\n", report::clean(stderr.trim_end())));
                }
            }
            Kind::TaskFinished { host, message: Some(message), .. } | Kind::HostLost { host, reason: message } => {
                report::err(&format!("{} | {}\n", report::clean_line(&host), report::clean(&message)));
            }
            _ => {}
        }
    }
}
