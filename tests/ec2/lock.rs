//! The lock on EC2: exactly one gets it, its id alone gives it back, and no plan or destroy takes it for a resource.

use crate::{impatient, moto::Moto, on_model, spec::default_cluster, wire::Wire};
use kubewright::{
    event::Events,
    infra::{
        Provider, Volumes,
        aws::Aws,
        lock::{Holder, LockStore},
    },
};
use std::sync::Arc;

fn holder(command: &str) -> Holder {
    Holder {
        owner: "alice@laptop".into(),
        pid: 7,
        command: command.into(),
        since: "2026-11-25T07:00:00Z".parse().unwrap(),
        process: "a:1:7:9".into(),
    }
}

async fn a_locks_life(store: &dyn LockStore) {
    assert_eq!(store.read().await.unwrap(), None);
    let (one, two) = (holder("bootstrap"), holder("destroy"));
    let (a, b) = tokio::join!(store.create(&one), store.create(&two));
    let (a, b) = (a.unwrap(), b.unwrap());
    assert!(a.is_some() != b.is_some(), "{a:?} {b:?}");
    let id = a.clone().or(b).unwrap();
    let lock = store.read().await.unwrap().expect("the lock");
    assert_eq!((&lock.id, &lock.holder), (&id, if a.is_some() { &one } else { &two }));
    assert!(store.renew(&id).await.unwrap());
    assert_ne!(store.read().await.unwrap().unwrap().beat, lock.beat, "a renewal shows");
    store.remove(&id).await.unwrap();
    let next = store.create(&two).await.unwrap().expect("it is free again");
    // Whoever still thinks that the old one is his: neither renews nor deletes the new one.
    assert!(!store.renew(&id).await.unwrap());
    store.remove(&id).await.unwrap();
    assert_eq!(store.read().await.unwrap().expect("the new one").id, next);
    store.remove(&next).await.unwrap();
}

#[tokio::test]
async fn one_of_two_gets_it() {
    let home = tempfile::tempdir().unwrap();
    let (_, _, aws) = on_model();
    a_locks_life(aws.lock(&default_cluster(home.path())).unwrap().as_ref()).await;
}

#[tokio::test]
async fn one_of_two_gets_it_on_moto() {
    let home = tempfile::tempdir().unwrap();
    let moto = Arc::new(Moto::start());
    let wire = Wire::new(moto.clone());
    let aws = Aws::with_config(&wire.config(&moto.url()), impatient());
    a_locks_life(aws.lock(&default_cluster(home.path())).unwrap().as_ref()).await;
}

#[tokio::test]
async fn plan_and_destroy_leave_it_alone() {
    let home = tempfile::tempdir().unwrap();
    let spec = default_cluster(home.path());
    let (_, _, aws) = on_model();
    let store = aws.lock(&spec).unwrap();
    let id = store.create(&holder("bootstrap")).await.unwrap().unwrap();
    aws.apply(&spec, &Events::none()).await.unwrap();
    assert!(aws.plan(&spec).await.unwrap().is_empty());
    aws.destroy(&spec, Volumes::Delete, &Events::none()).await.unwrap();
    assert!(store.renew(&id).await.unwrap());
}
