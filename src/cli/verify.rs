//! `kubewright verify`

use super::{ClusterArgs, Exit, Failure, LockArgs, OutputArgs, fix, shown::Shown};
use crate::{
    ops::{
        self,
        replace::{Readers, replace},
    },
    report::{self, health},
    text::{Problem, Problems},
    verify::{Report, Selection, Severity, compare, exit_code, find, registry},
};
use clap::ValueEnum;
use std::path::PathBuf;

/// Test the cluster and report its health; exit code 5 when it is not healthy
///
/// Not only "Ready": packets between every pair of nodes, names, services, certificates, drift of everything that is managed. Writes
/// nothing but its own probe pods, which it deletes again.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Args {
    #[command(subcommand)]
    explain: Option<Explain>,
    #[command(flatten)]
    cluster: ClusterArgs,
    /// The report's form
    #[arg(long, value_enum, default_value = "text")]
    format: Form,
    /// Show every check, not only what is not green
    #[arg(short, long, action = clap::ArgAction::Count)]
    verbose: u8,
    /// Write the report here instead of printing it
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Besides, write the report for node_exporter's textfile collector here
    #[arg(long, value_name = "FILE")]
    textfile: Option<PathBuf>,
    /// Only these checks: ids, groups, or prefixes that end in `*`
    #[arg(long, value_delimiter = ',', value_name = "CHECKS")]
    only: Vec<String>,
    /// Not these checks
    #[arg(long, value_delimiter = ',', value_name = "CHECKS")]
    skip: Vec<String>,
    /// Nothing less severe
    #[arg(long, value_parser = severity, value_name = "SEVERITY")]
    severity: Option<Severity>,
    /// Write nothing at all: no probe pods, so network checks are unknown
    #[arg(long)]
    read_only: bool,
    /// List the checks
    #[arg(long)]
    list: bool,
    /// Mend what is red and safe to mend (a sysctl, a module, a held package, a leftover token) by the tasks that bootstrap runs; shows
    /// first what they would change, and looks again afterwards
    #[arg(long, conflicts_with_all = ["read_only", "list"])]
    fix: bool,
    /// With `--fix`: do not ask
    #[arg(short, long, requires = "fix")]
    yes: bool,
    #[command(flatten)]
    lock: LockArgs,
    /// Show what changed since an earlier report (`--format json`)
    #[arg(long, value_name = "FILE")]
    compare: Option<PathBuf>,
}

#[derive(Debug, clap::Subcommand)]
enum Explain {
    /// What a check proves, what makes it fail, what to do
    Explain {
        /// Its id
        id: String,
    },
}

/// Forms of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    /// For people
    Text,
    /// The data
    Json,
    /// For CI
    Junit,
    /// For node_exporter's textfile collector
    Prometheus,
    /// One self-contained page
    Html,
}

fn severity(text: &str) -> Result<Severity, String> {
    let quoted = serde_json::Value::from(text);
    serde_json::from_value(quoted).map_err(|e| e.to_string())
}

pub(super) async fn run(args: Args) -> Result<Exit, Failure> {
    if let Some(Explain::Explain { id }) = &args.explain {
        let Some(check) = find(id) else { return Err(unknown(id, crate::text::nearest(id, registry().map(|c| c.id))).into()) };
        report::out(&health::explain(check));
        return Ok(Exit::Done);
    }
    if args.list {
        report::out(&health::list());
        return Ok(Exit::Done);
    }
    let selection = Selection { only: args.only, skip: args.skip, severity: args.severity };
    let wrong: Vec<Problem> = selection.unknown_words().iter().map(|(word, near)| unknown(word, *near)).collect();
    if !wrong.is_empty() {
        return Err(Problems(wrong).into());
    }
    if args.fix {
        fix::may_run(args.yes)?;
    }
    let old = args.compare.as_ref().map(|path| read(path)).transpose()?;
    let cluster = ops::Cluster::open(&args.cluster.directory()?).await?;
    let options = ops::verify::Options { selection, read_only: args.read_only };
    let mut found = look(&cluster, &options).await?;
    let mut finished = true;
    if args.fix {
        // What was red and what will be done about it are for people, whatever form the report has.
        report::err(&health::text(&found, 0, super::global::colour()));
        if let Some(mended) = fix::run(&cluster, &found, args.lock, args.yes).await? {
            finished = mended;
            let after = look(&cluster, &options).await?;
            report::err(&health::differences(&compare(&found, &after)));
            found = after;
        }
    }
    let text = match args.format {
        Form::Text => health::text(&found, args.verbose, args.output.is_none() && super::global::colour()),
        Form::Json => health::json(&found),
        Form::Junit => health::junit(&found),
        Form::Prometheus => health::prometheus(&found),
        Form::Html => health::html(&found),
    };
    match &args.output {
        Some(path) => replace(path, text.as_bytes(), Readers::All)?,
        None => report::out(&text),
    }
    if let Some(path) = &args.textfile {
        replace(path, health::prometheus(&found).as_bytes(), Readers::All)?;
    }
    if let Some(old) = old {
        report::out(&health::differences(&compare(&old, &found)));
    }
    Ok(if finished { exit(&found) } else { Exit::HostsFailed })
}

async fn look(cluster: &ops::Cluster, options: &ops::verify::Options) -> Result<Report, Failure> {
    let shown = Shown::start(OutputArgs::quiet().display(None, false));
    let result = ops::verify::run(cluster, options, &shown.events).await;
    shown.finish().await;
    Ok(result?)
}

/// The report after a bootstrap; among JSON events it is the last line.
pub(super) fn show(found: &Report, output: &OutputArgs) {
    if output.json() {
        report::out(&format!("{}\n", serde_json::json!({"event": "health_report", "report": found})));
    } else {
        report::out(&health::text(found, output.verbose, super::global::colour()));
    }
}

pub(super) fn exit(found: &Report) -> Exit {
    match exit_code(found) {
        0 => Exit::Done,
        4 => Exit::HostsFailed,
        _ => Exit::Unhealthy,
    }
}

fn unknown(word: &str, near: Option<&str>) -> Problem {
    let hint = near.map_or_else(|| "see verify --list".to_owned(), |n| format!("did you mean {n}?"));
    Problem::new(format!("there is no check {word}")).hint(hint)
}

fn read(path: &std::path::Path) -> Result<Report, Failure> {
    let text = std::fs::read_to_string(path).map_err(|e| Problem::new(format!("{}: {e}", path.display())))?;
    Ok(serde_json::from_str(&text).map_err(|e| Problem::new(format!("{} is no report: {e}", path.display())))?)
}
