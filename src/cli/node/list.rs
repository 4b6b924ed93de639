//! `kubewright node list`

use super::{ClusterArgs, Exit, Failure};
use crate::{
    ops::{
        Cluster,
        node::{self, Row},
    },
    report,
};
use clap::ValueEnum;

/// Show machines and nodes: address, role, version, age, state, pool, and what differs from cluster.yaml
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    cluster: ClusterArgs,
    /// `wide` shows more columns, `json` all that is known
    #[arg(short, long, value_enum, default_value = "table", value_name = "FORM")]
    output: Form,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    /// The usual columns
    Table,
    /// Also type, id, zone, operating system, kernel, runtime
    Wide,
    /// Everything, for programs
    Json,
}

pub(super) async fn run(args: Args) -> Result<Exit, Failure> {
    let cluster = Cluster::open(&args.cluster.directory()?).await?;
    let (rows, notes) = node::list(&cluster).await?;
    report::err(&notes.iter().map(|n| format!("note: {}\n", report::clean_line(n))).collect::<String>());
    if args.output == Form::Json {
        let json = serde_json::to_string_pretty(&rows).map_err(|e| Failure::Internal(e.to_string()))?;
        report::out(&format!("{json}\n"));
    } else {
        report::out(&table(&rows, args.output == Form::Wide));
    }
    Ok(Exit::Done)
}

/// Columns as wide as what is in them.
fn table(rows: &[Row], wide: bool) -> String {
    let mut head = vec!["NAME", "ADDRESS", "ROLE", "VERSION", "AGE", "STATUS", "POOL"];
    if wide {
        head.extend(["NODE", "TYPE", "ID", "ZONE", "MACHINE", "OS", "KERNEL", "RUNTIME"]);
    }
    head.push("DIFFERS");
    let mut lines: Vec<Vec<String>> = vec![head.iter().map(|h| (*h).to_owned()).collect()];
    for row in rows {
        let age = row.age.map(age).unwrap_or_default();
        let mut line: Vec<String> =
            [&row.name, &row.address, &row.role, &row.version, &age, &row.status, &row.pool].map(ToString::to_string).to_vec();
        if wide {
            let id = row.id.get(..19).unwrap_or(&row.id).to_owned();
            let more = [&row.node, &row.instance_type, &id, &row.zone, &row.machine, &row.os, &row.kernel, &row.runtime];
            line.extend(more.map(ToString::to_string));
        }
        line.push(row.differs.join("; "));
        lines.push(line.into_iter().map(|cell| if cell.is_empty() { "-".to_owned() } else { report::clean_line(&cell) }).collect());
    }
    let columns = head.len();
    let width = |i: usize| lines.iter().filter_map(|l| l.get(i)).map(|c| c.chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let text = |line: &Vec<String>| {
        let cells: Vec<String> = line.iter().zip(&widths).map(|(cell, w)| format!("{cell:w$}", w = *w)).collect();
        format!("{}\n", cells.join("  ").trim_end())
    };
    lines.iter().map(text).collect()
}

/// As kubectl shows it: `45s`, `12m`, `3h`, `4d`.
fn age(seconds: i64) -> String {
    match seconds.max(0) {
        s @ 0..120 => format!("{s}s"),
        s @ 120..7_200 => format!("{}m", s / 60),
        s @ 7_200..172_800 => format!("{}h", s / 3_600),
        s => format!("{}d", s / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_what_is_in_them() {
        let row = |name: &str, differs: &[&str]| Row {
            name: name.into(),
            age: Some(90),
            status: "Ready".into(),
            differs: differs.iter().map(|d| (*d).to_owned()).collect(),
            ..Row::default()
        };
        let text = table(&[row("control-plane-1", &[]), row("w", &["a", "b"])], false);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "NAME             ADDRESS  ROLE  VERSION  AGE  STATUS  POOL  DIFFERS");
        assert_eq!(lines[2], "w                -        -     -        90s  Ready   -     a; b");
        assert!(table(&[row("w", &[])], true).contains("KERNEL"));
        assert_eq!([age(5), age(150), age(9000), age(200_000)], ["5s", "2m", "2h", "2d"]);
    }
}
