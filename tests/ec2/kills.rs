//! Killed after every single call that changes something, then run again: converges, no duplicate, no orphan.

use crate::{
    lines, on_model,
    spec::{default_cluster, three_control_planes},
    wire::{Fault, Wire, changes},
};
use kubewright::{
    event::Events,
    infra::{Provider, Volumes},
    spec::ClusterSpec,
};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// The `n`-th changing call from now on is the last thing that this process does.
fn kill_at(wire: &Wire, n: usize) {
    let count = Arc::new(AtomicUsize::new(0));
    wire.faults(move |form| if changes(form) && count.fetch_add(1, Ordering::SeqCst) + 1 == n { Fault::Kill } else { Fault::None });
}

/// Runs until it ends or is killed; `true`: it was killed.
async fn killed<T>(wire: &Wire, work: impl Future<Output = T>) -> bool {
    tokio::select! {
        biased;
        () = wire.killed.notified() => true,
        _ = work => false,
    }
}

#[tokio::test]
async fn killed_after_each_call_of_apply_and_of_destroy() {
    let home = tempfile::tempdir().unwrap();
    every_call(&default_cluster(home.path())).await;
}

#[tokio::test]
async fn killed_after_each_call_with_three_control_planes_and_their_balancer() {
    let home = tempfile::tempdir().unwrap();
    every_call(&three_control_planes(home.path())).await;
}

async fn every_call(spec: &ClusterSpec) {
    let machines = spec.nodes().len();
    let events = Events::none();
    let (model, _, aws) = on_model();
    aws.apply(spec, &events).await.unwrap();
    let whole = model.alive();

    // With things shown at once, and with things shown late.
    for late in [0, 25] {
        let mut kills = 0;
        for n in 1.. {
            let (model, wire, aws) = on_model();
            model.lock().late = late;
            kill_at(&wire, n);
            if !killed(&wire, aws.apply(spec, &events)).await {
                break;
            }
            kills += 1;
            wire.faults(|_| Fault::None);
            let made = aws.apply(spec, &events).await.unwrap_or_else(|e| panic!("after a kill at call {n}, late {late}: {e}"));
            assert_eq!(made.machines.len(), machines, "kill at {n}");
            assert_eq!(model.alive(), whole, "kill at {n}: neither duplicate nor orphan");
            assert_eq!(lines(&aws.plan(spec).await.unwrap()), Vec::<String>::new(), "kill at {n}");
            assert_eq!(model.lock().offences, Vec::<String>::new(), "kill at {n}");
        }
        assert!(kills > 40, "only {kills} calls were seen");

        let mut kills = 0;
        for n in 1.. {
            let (model, wire, aws) = on_model();
            aws.apply(spec, &events).await.unwrap();
            model.lock().late = late;
            kill_at(&wire, n);
            if !killed(&wire, aws.destroy(spec, Volumes::Delete, &events)).await {
                break;
            }
            kills += 1;
            wire.faults(|_| Fault::None);
            aws.destroy(spec, Volumes::Delete, &events).await.unwrap_or_else(|e| panic!("after a kill at call {n}: {e}"));
            assert_eq!(model.alive(), Vec::<String>::new(), "kill at {n}");
        }
        assert!(kills > 15, "only {kills} calls were seen");
    }
}

/// Killed in the middle of making it, then destroyed at once: what was made a moment ago may not be visible yet.
#[tokio::test]
async fn killed_while_it_is_made_then_destroyed() {
    let home = tempfile::tempdir().unwrap();
    let spec = three_control_planes(home.path());
    for n in 1.. {
        let (model, wire, aws) = on_model();
        model.lock().late = 10;
        kill_at(&wire, n);
        if !killed(&wire, aws.apply(&spec, &Events::none())).await {
            break;
        }
        wire.faults(|_| Fault::None);
        aws.destroy(&spec, Volumes::Delete, &Events::none()).await.unwrap_or_else(|e| panic!("after a kill at call {n}: {e}"));
        assert_eq!(model.alive(), Vec::<String>::new(), "kill at {n}");
    }
}
