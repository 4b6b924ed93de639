//! Provisioning at a hundredth of EC2's usual times: a call 2 ms (200 ms), an instance 300 ms (30 s), a NAT gateway 900 ms (90 s).
//! Nothing waits for what it does not need.

use crate::{impatient, on_model, spec::default_cluster};
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
    let spec = default_cluster(home.path());
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
    let mut rows: Vec<_> = steps.iter().collect();
    rows.sort_by_key(|(_, s)| **s);
    for (id, (from, to)) in &rows {
        let bar = "█".repeat(usize::try_from((to - from) / 20 + 1).unwrap());
        println!("{:>7.1} s {}{bar} {id}", *from as f64 / 10.0, " ".repeat(usize::try_from(from / 20).unwrap()));
    }
    let position = |id: &str| finished.iter().position(|f| f == id).unwrap_or_else(|| panic!("{id} is no step"));
    assert_eq!(finished.last().unwrap(), "aws/route-table/private/default-route", "the last step is the one that needs the gateway");
    assert_eq!(position("aws/route-table/private/default-route"), finished.len() - 1);
    let (nat, _) = steps["aws/nat-gateway/main"];
    let (route, end) = steps["aws/route-table/private/default-route"];
    // The gateway's own chain is short: vpc, subnet, attachment, then itself; each a call or two of 2 ms.
    for instance in ["control-plane-1", "worker-1", "worker-2", "worker-3"] {
        let (from, to) = steps[&format!("aws/instance/{instance}")];
        assert!(from < nat + 300 && to < end, "{instance} begins at {from}, the gateway at {nat}");
    }
    assert!(route < nat + 300, "the route's step waits for the gateway from early on: {route}");
}
