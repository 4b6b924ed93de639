//! Taking, keeping and losing the lock, at twenty times the pace.

use super::*;
use async_trait::async_trait;
use std::sync::Mutex;

/// A store in memory, whose clock is tokio's.
#[derive(Default)]
struct Memory {
    held: Mutex<Option<(u64, Holder, Instant)>>,
    next: Mutex<u64>,
}

#[async_trait]
impl LockStore for Memory {
    async fn read(&self) -> Result<Option<Lock>, InfraError> {
        let held = self.held.lock().unwrap();
        Ok(held.as_ref().map(|(id, holder, beat)| Lock {
            id: id.to_string(),
            holder: holder.clone(),
            beat: format!("{beat:?}"),
            age: beat.elapsed(),
        }))
    }

    async fn create(&self, holder: &Holder) -> Result<Option<String>, InfraError> {
        let mut held = self.held.lock().unwrap();
        if held.is_some() {
            return Ok(None);
        }
        let mut next = self.next.lock().unwrap();
        *next += 1;
        *held = Some((*next, holder.clone(), Instant::now()));
        Ok(Some(next.to_string()))
    }

    async fn renew(&self, id: &str) -> Result<bool, InfraError> {
        match self.held.lock().unwrap().as_mut().filter(|(i, ..)| i.to_string() == id) {
            Some((_, _, beat)) => *beat = Instant::now(),
            None => return Ok(false),
        }
        Ok(true)
    }

    async fn remove(&self, id: &str) -> Result<(), InfraError> {
        let mut held = self.held.lock().unwrap();
        if held.as_ref().is_some_and(|(i, ..)| i.to_string() == id) {
            *held = None;
        }
        Ok(())
    }
}

const FAST: Pace = Pace {
    renew: Duration::from_millis(250),
    give_up: Duration::from_millis(1750),
    silent: Duration::from_secs(2),
    watch: Duration::from_millis(750),
    look: Duration::from_millis(25),
};

fn request(command: &str) -> Request {
    Request { command: command.to_owned(), break_lock: false }
}

/// Somebody on another machine, whose process nobody here can look at.
async fn stranger(store: &Memory) -> String {
    let holder =
        Holder { owner: "bob@elsewhere".into(), pid: 1, command: "destroy".into(), since: Timestamp::UNIX_EPOCH, process: String::new() };
    store.create(&holder).await.unwrap().unwrap()
}

#[tokio::test]
async fn the_second_one_is_told_who_was_faster() {
    let store = Arc::new(Memory::default());
    let first = acquire(store.clone(), "lab", &request("bootstrap"), FAST).await.unwrap();
    let error = acquire(store.clone(), "lab", &request("destroy"), FAST).await.err().unwrap();
    assert_eq!(error.exit_code(), 6);
    let text = error.to_string();
    let pid = format!("pid {}", std::process::id());
    assert!(text.contains("cluster lab is locked by ") && text.contains("kubewright bootstrap") && text.contains(&pid), "{text}");
    first.release().await.unwrap();
    acquire(store, "lab", &request("destroy"), FAST).await.unwrap();
}

#[tokio::test]
async fn the_lock_of_a_dead_stranger_is_free_within_a_minute_and_not_before_it_is_silent() {
    let store = Arc::new(Memory::default());
    stranger(&store).await;
    let died = Instant::now();
    let mut refused = 0;
    let lease = loop {
        match acquire(store.clone(), "lab", &request("bootstrap"), FAST).await {
            Ok(lease) => break lease,
            Err(error) => assert_eq!(error.exit_code(), 6),
        }
        refused += 1;
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert!(refused > 0 && died.elapsed() >= FAST.silent + FAST.watch, "{refused}");
    assert!(died.elapsed() <= Duration::from_secs(60) / 20, "{:?}", died.elapsed());
    assert!(lease.taken.unwrap().contains("bob@elsewhere"));
}

#[tokio::test]
async fn a_stranger_whose_clock_is_wrong_keeps_its_lock_while_it_lives() {
    let store = Arc::new(Memory::default());
    let id = stranger(&store).await;
    // Its clock is behind: every sign of life looks old.
    let lives = store.clone();
    let beating = tokio::spawn(async move {
        loop {
            tokio::time::sleep(FAST.renew).await;
            if let Some((_, _, beat)) = lives.held.lock().unwrap().as_mut() {
                *beat = Instant::now().checked_sub(FAST.silent * 2).unwrap_or(*beat);
            }
        }
    });
    tokio::time::sleep(FAST.silent).await;
    assert_eq!(acquire(store.clone(), "lab", &request("bootstrap"), FAST).await.err().unwrap().exit_code(), 6);
    assert_eq!(store.read().await.unwrap().unwrap().id, id);
    beating.abort();
}

#[tokio::test]
async fn what_died_here_is_taken_over_at_once() {
    let store = Arc::new(Memory::default());
    let me = process::this();
    let process = format!("{}:1", me.rsplit_once(':').unwrap().0);
    let holder = Holder { owner: "me@here".into(), pid: 1, command: "bootstrap".into(), since: Timestamp::now(), process };
    store.create(&holder).await.unwrap().unwrap();
    let begun = Instant::now();
    let lease = acquire(store, "lab", &request("bootstrap"), FAST).await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(1));
    assert!(lease.taken.unwrap().contains("its process is dead"));
}

#[tokio::test]
async fn a_broken_lock_is_noticed_by_its_holder() {
    let store = Arc::new(Memory::default());
    let first = acquire(store.clone(), "lab", &request("bootstrap"), FAST).await.unwrap();
    let second = acquire(store.clone(), "lab", &Request { command: "destroy".into(), break_lock: true }, FAST).await.unwrap();
    tokio::time::timeout(FAST.renew * 8, first.lost().cancelled()).await.unwrap();
    assert!(!second.lost().is_cancelled());
    // What is not ours any more is not given back.
    first.release().await.unwrap();
    assert!(store.read().await.unwrap().is_some());
}

#[tokio::test]
async fn held_for_long_it_stays_ours() {
    let store = Arc::new(Memory::default());
    let lease = acquire(store.clone(), "lab", &request("bootstrap"), FAST).await.unwrap();
    for _ in 0..8 {
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert!(acquire(store.clone(), "lab", &request("destroy"), FAST).await.is_err());
    }
    assert!(!lease.lost().is_cancelled());
}
