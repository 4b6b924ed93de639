//! Provisioning at a hundredth of EC2's usual times: a call 2 ms (200 ms), an instance 300 ms (30 s), a NAT gateway and a load
//! balancer 900 ms (90 s). Nothing waits for what it does not need. `cargo test --features aws,testing --test ec2 gantt --
//! --nocapture` prints the chart that docs/aws.md shows.

use crate::{impatient, on_model, spec::three_control_planes};
use kubewright::{
    event::{Events, Kind},
    infra::{
        Provider,
        aws::{Aws, api::Patience},
    },
};
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

#[tokio::test]
async fn only_the_routes_wait_for_the_nat_gateway() {
    let home = tempfile::tempdir().unwrap();
    let spec = three_control_planes(home.path());
    let (model, wire, _) = on_model();
    let patience = Patience { poll: Duration::from_millis(30), ..impatient() };
    let aws = Aws::with_config(&wire.config("http://ec2.test"), patience);
    model.lock().clock = Some(Instant::now());
    model.lock().slow = 300;
    wire.latency(Duration::from_millis(2));
    let (events, mut heard) = Events::channel();
    let begun = jiff::Timestamp::now();
    aws.apply(&spec, &events).await.unwrap();
    drop(events);
    let mut steps: BTreeMap<String, (i64, i64)> = BTreeMap::new();
    let mut finished = Vec::new();
    while let Some(event) = heard.recv().await {
        let at = i64::try_from(event.at.duration_since(begun).as_millis()).unwrap();
        match event.kind {
            Kind::StepStarted { id, .. } => drop(steps.insert(id, (at, at))),
            Kind::StepFinished { id, .. } => {
                finished.push(id.clone());
                steps.entry(id).and_modify(|s| s.1 = at);
            }
            _ => {}
        }
    }
    println!("{}", chart(&steps));
    let position = |id: &str| finished.iter().position(|f| f == id).unwrap_or_else(|| panic!("{id} is no step"));
    assert_eq!(finished.last().unwrap(), "aws/route-table/private/default-route", "the last step is the one that needs the gateway");
    assert_eq!(position("aws/route-table/private/default-route"), finished.len() - 1);
    let (nat, _) = steps["aws/nat-gateway/main"];
    let (route, end) = steps["aws/route-table/private/default-route"];
    // The gateway's own chain is short: vpc, subnet, attachment, then itself; each a call or two of 2 ms.
    for machine in spec.nodes() {
        let instance = machine.name;
        let (from, to) = steps[&format!("aws/instance/{instance}")];
        assert!(from < nat + 300 && to < end, "{instance} begins at {from}, the gateway at {nat}");
    }
    // The load balancer is asked for and not waited for: its address is fixed, and the API answers minutes later.
    let (from, to) = steps["aws/load-balancer/api"];
    assert!(from < nat + 300 && to < from + 300, "the load balancer: {from} to {to}");
    assert!(steps["aws/instance/control-plane-3/target"].1 < end, "targets need no gateway");
    assert!(route < nat + 300, "the route's step waits for the gateway from early on: {route}");
}

/// One line a step, in EC2's time; the rules, which all look the same, as one.
fn chart(steps: &BTreeMap<String, (i64, i64)>) -> String {
    let mut rows: BTreeMap<String, (i64, i64, usize)> = BTreeMap::new();
    for (id, (from, to)) in steps {
        let id = id.trim_start_matches("aws/");
        let row = if id.starts_with("rule/") { "rule/…" } else { id };
        let entry = rows.entry(row.to_owned()).or_insert((*from, *to, 0));
        *entry = (entry.0.min(*from), entry.1.max(*to), entry.2 + 1);
    }
    let mut rows: Vec<_> = rows.into_iter().collect();
    rows.sort_by_key(|(_, row)| *row);
    let column = |at: i64| usize::try_from(at / 25).unwrap();
    rows.iter()
        .map(|(id, (from, to, count))| {
            let bar = format!("{}{}", " ".repeat(column(*from)), "█".repeat(column(*to) - column(*from) + 1));
            let many = if *count > 1 { format!(" × {count}") } else { String::new() };
            format!("{:>6.1} s {:>6.1} s  {bar:<44} {id}{many}\n", *from as f64 / 10.0, *to as f64 / 10.0)
        })
        .collect()
}
