//! A hundred machines: what each is asked stays bounded, one that says nothing does not hold up the others, and checks are quick.

use super::{
    super::{
        HostInput, Input, Settings,
        access::Access,
        plan,
        probe::{Services, Site},
        verify,
    },
    healthy::HOSTS,
};
use crate::{connection::Stream, event::Events, shell::Sh, spec::load_str};
use async_trait::async_trait;
use std::{
    collections::BTreeMap,
    io,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

const MACHINES: usize = 100;

/// A machine that answers as a recorded one did, or never.
struct Recorded(Option<&'static str>);

#[async_trait]
impl Access for Recorded {
    async fn read(&self, program: &Sh) -> Result<String, String> {
        let Some(text) = self.0 else { return std::future::pending().await };
        tokio::time::sleep(Duration::from_millis(200)).await;
        let nonce = program.as_str().lines().find_map(|l| l.strip_prefix("KW_NONCE=")).ok_or("no nonce")?;
        Ok(text.replace("@@n1 ", &format!("@@{} ", nonce.trim_matches('\''))))
    }

    async fn stream(&self, _: &str, _: u16) -> io::Result<Box<dyn Stream>> {
        Err(io::ErrorKind::ConnectionRefused.into())
    }
}

fn name(i: usize) -> String {
    if i == 0 { "control-plane-1".to_owned() } else { format!("worker-{i}") }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_machine_among_a_hundred_costs_its_deadline_and_no_more() {
    let yaml = format!("cluster: lab\nprovider: lab\npools: [{{name: worker, count: {}}}]\n", MACHINES - 1);
    let spec = load_str("cluster.yaml", &yaml, Path::new(".")).unwrap();
    let settings = Settings::of(&spec);
    assert!(settings.deadline + Duration::from_secs(10) < Duration::from_secs(60), "with the time to connect: {:?}", settings.deadline);
    let hosts = (0..MACHINES).map(|i| HostInput {
        name: name(i),
        pool: if i == 0 { "control-plane" } else { "worker" }.to_owned(),
        address: format!("10.0.{}.{}", i / 50, 10 + i % 50),
        access: Ok(Arc::new(Recorded((i != 7).then_some(HOSTS[usize::from(i != 0)].2))) as Arc<dyn Access>),
        dial: None,
    });
    let deadline = Duration::from_secs(2);
    let input = Input {
        spec: &spec,
        hosts: hosts.collect(),
        client: Err("no API in this test".into()),
        drift: None,
        cloud: None,
        health: None,
        registry: None,
        settings: Settings { deadline, ..settings },
    };
    let begun = Instant::now();
    let report = Box::pin(verify(input, &Events::none())).await;
    let took = begun.elapsed();
    let of = |host: &str, id: &str| report.checks.iter().find(|c| c.id == id && c.subject == host).map(|c| c.status);
    assert_eq!(of("worker-7", "machine-swap"), Some(super::Status::Unknown));
    let seen = (1..MACHINES).filter(|i| of(&name(*i), "machine-swap") == Some(super::Status::Passed)).count();
    assert_eq!(seen, MACHINES - 2, "all but the control plane and the silent one");
    // Generous: machines that run tests are busy.
    assert!(took < deadline * 10, "{took:?}");
}

#[tokio::test]
async fn a_pod_among_a_hundred_is_asked_some_hundred_questions() {
    let pods: BTreeMap<String, String> = (0..MACHINES).map(|i| (name(i), format!("10.244.{i}.9"))).collect();
    let client = kube::Client::new(tower::service_fn(|_| async { Err::<http::Response<String>, _>("not used") }), "x");
    let site = Site {
        client: &client,
        image: "",
        nodes: pods.keys().map(|n| (n.clone(), "10.0.0.1".to_owned(), None)).collect(),
        control_planes: vec![name(0)],
        external_name: "packages.example.org",
        egress: "packages.example.org:80",
        dns_pods: vec!["10.244.1.2".into(), "10.244.2.2".into()],
        deadline: Duration::from_secs(1),
    };
    let services = Services { vip: "10.96.1.1".into(), own: "10.96.1.2".into(), node_port: 30100 };
    let asked = plan::questions(&site, &pods, &services);
    let count = |node: &String| asked[node].iter().map(Vec::len).sum::<usize>();
    assert_eq!(asked.len(), MACHINES);
    assert!(
        pods.keys().filter(|n| **n != name(0)).all(|n| count(n) <= 8 * 7 + 13),
        "each node: its peers on the rings, the control plane, itself"
    );
    assert!(count(&name(0)) <= 99 * 7 + 13, "the control plane asks everybody");
}
