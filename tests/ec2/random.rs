//! Seeded random schedules of everything that EC2 does to people.

use crate::{
    lines, on_model,
    spec::{default_cluster, three_control_planes},
    wire::{Fault, Form, Wire, changes},
};
use kubewright::{
    event::Events,
    infra::{Provider, Volumes},
    spec::ClusterSpec,
};
use std::sync::{Arc, Mutex};

/// splitmix64: small, seeded, the same everywhere.
#[derive(Clone)]
struct Dice(Arc<Mutex<u64>>);

impl Dice {
    fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(seed)))
    }

    fn roll(&self, sides: u64) -> u64 {
        let mut state = self.0.lock().unwrap();
        *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = *state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % sides
    }
}

fn weather(wire: &Wire, dice: &Dice, kills: bool) {
    let dice = dice.clone();
    wire.faults(move |form: &Form| match dice.roll(100) {
        0..5 => Fault::Refuse(503, "RequestLimitExceeded"),
        5..8 => Fault::Refuse(500, "InternalError"),
        8..12 => Fault::LoseAnswer,
        12..14 if kills && changes(form) => Fault::Kill,
        _ => Fault::None,
    });
}

/// Runs until it succeeds; a kill or a stop with a clear cause is followed by the same command.
async fn insist<T, E: std::fmt::Display, F: Future<Output = Result<T, E>>>(wire: &Wire, seed: u64, work: impl Fn() -> F) -> T {
    let mut causes = Vec::new();
    for _ in 0..60 {
        tokio::select! {
            biased;
            () = wire.killed.notified() => {}
            result = work() => match result {
                Ok(done) => return done,
                Err(cause) => causes.push(cause.to_string()),
            },
        }
    }
    panic!("seed {seed} never converges: {causes:#?}");
}

async fn one(seed: u64, spec: &ClusterSpec, whole: &[String]) {
    let events = Events::none();
    let dice = Dice::new(seed);
    let (model, wire, aws) = on_model();
    model.lock().late = dice.roll(30);
    model.lock().slow = 1 + dice.roll(12);
    if dice.roll(3) == 0 {
        model.lock().full_zones.insert(format!("eu-central-1{}", ["b", "c"][usize::try_from(dice.roll(2)).unwrap()]));
    }
    weather(&wire, &dice, seed.is_multiple_of(2));
    insist(&wire, seed, || aws.apply(spec, &events)).await;
    wire.faults(|_| Fault::None);
    let made = aws.apply(spec, &events).await.unwrap_or_else(|e| panic!("seed {seed}: {e}"));
    assert_eq!(made.machines.len(), spec.nodes().len(), "seed {seed}");
    assert_eq!(lines(&aws.plan(spec).await.unwrap()), Vec::<String>::new(), "seed {seed}");
    assert_eq!(model.alive(), whole, "seed {seed}: neither duplicate nor orphan");
    weather(&wire, &dice, seed.is_multiple_of(2));
    insist(&wire, seed, || aws.destroy(spec, Volumes::Delete, &events)).await;
    wire.faults(|_| Fault::None);
    aws.destroy(spec, Volumes::Delete, &events).await.unwrap_or_else(|e| panic!("seed {seed}: {e}"));
    assert_eq!(model.alive(), Vec::<String>::new(), "seed {seed}: nothing leaks");
    assert_eq!(model.lock().offences, Vec::<String>::new(), "seed {seed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_schedules_converge_and_leak_nothing() {
    let home = tempfile::tempdir().unwrap();
    // Most have one control plane; every third has three, and with them a load balancer.
    let mut kinds = Vec::new();
    for spec in [default_cluster(home.path()), default_cluster(home.path()), three_control_planes(home.path())] {
        let (model, _, aws) = on_model();
        aws.apply(&spec, &Events::none()).await.unwrap();
        kinds.push((spec, model.alive()));
    }
    let kinds = Arc::new(kinds);
    // One seed may be chosen to look at it; the number bounds the time of the whole.
    let chosen: Option<u64> = std::env::var("EC2_SEED").ok().map(|s| s.parse().unwrap());
    let seeds: Vec<u64> = chosen.map_or_else(|| (0..1000).collect(), |seed| vec![seed]);
    let workers = std::thread::available_parallelism().map_or(2, usize::from);
    let work = seeds.chunks(seeds.len().div_ceil(workers)).map(|part| {
        let (part, kinds) = (part.to_vec(), kinds.clone());
        tokio::spawn(async move {
            for seed in part {
                let (spec, whole) = &kinds[usize::try_from(seed % 3).unwrap()];
                one(seed, spec, whole).await;
            }
        })
    });
    for ended in futures::future::join_all(work).await {
        ended.unwrap();
    }
}
