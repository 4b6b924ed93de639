//! The chain of work that the whole run waited for, from its end backwards.

use jiff::{SignedDuration, Timestamp};
use std::time::Duration;

/// A task or step that ended.
#[derive(Clone, Debug)]
pub(super) struct Work {
    pub(super) begun: Timestamp,
    pub(super) ended: Timestamp,
    pub(super) host: String,
    pub(super) name: String,
}

/// A host that did nothing for so long waited for another one.
const GAP: SignedDuration = SignedDuration::from_millis(150);

/// What the run waited for, in order: before each piece of work stands what its host did just before, or, where the host had
/// to wait, whatever ended last by then on any host. Only pieces of a second or more are worth a line.
///
/// Events say when work began and ended, not what it waited for: inside a wait of one task for the whole cluster
/// (a rollout), what the others did meanwhile is not seen.
pub(super) fn critical_path(work: &[Work]) -> Vec<(Duration, String, String)> {
    let mut path: Vec<&Work> = Vec::new();
    let mut next = work.iter().max_by_key(|w| w.ended);
    while let Some(current) = next {
        path.push(current);
        let before = |w: &&Work| w.ended <= current.begun && w.begun < current.begun;
        let latest = work.iter().filter(before).max_by_key(|w| w.ended);
        let own = work.iter().filter(before).filter(|w| w.host == current.host).max_by_key(|w| w.ended);
        next = own.filter(|w| current.begun.duration_since(w.ended) < GAP).or(latest);
    }
    let elapsed = |w: &Work| Duration::try_from(w.ended.duration_since(w.begun)).unwrap_or_default();
    path.into_iter().rev().filter(|w| elapsed(w) >= Duration::from_secs(1)).map(|w| (elapsed(w), w.name.clone(), w.host.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_through_the_host_that_others_waited_for() {
        let zero: Timestamp = "2026-11-21T10:00:00Z".parse().unwrap();
        let at = |ms: i64| zero + SignedDuration::from_millis(ms);
        let work = |begun, ended, host: &str, name: &str| Work { begun: at(begun), ended: at(ended), host: host.into(), name: name.into() };
        let run = [
            work(0, 2_000, "", "machines"),
            work(2_000, 12_000, "cp", "packages"),
            work(2_000, 9_000, "worker", "packages"),
            work(9_000, 9_010, "worker", "look"),
            work(12_010, 20_000, "cp", "init"),
            work(20_000, 20_300, "cp", "network"),
            // It waited 11 s for the control plane.
            work(20_010, 25_000, "worker", "join"),
        ];
        let path: Vec<_> = critical_path(&run).into_iter().map(|(_, name, host)| format!("{host} {name}")).collect();
        assert_eq!(path, [" machines", "cp packages", "cp init", "worker join"]);
        assert!(critical_path(&[]).is_empty());
    }
}
