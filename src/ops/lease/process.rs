//! Which process this is, in a form that its own machine can check later: so the lock of a run that was killed here is taken
//! over at once, without waiting until it expires.

use sha2::{Digest as _, Sha256};

/// This process as `MACHINE:NAMESPACE:PID:START`; empty where /proc does not say.
///
/// MACHINE is a hash of the machine's id and of its boot, NAMESPACE that of process ids (a container has its own), START the
/// process's start in clock ticks after the boot (proc(5)): pids are used again.
pub(super) fn this() -> String {
    let pid = std::process::id();
    match (place(), start(pid)) {
        (Some(place), Some(start)) => format!("{place}:{pid}:{start}"),
        _ => String::new(),
    }
}

/// Whether a process of [`this`] form is certainly dead: it ran here, in this boot, and it does no longer.
pub(super) fn is_dead(process: &str) -> bool {
    let parts: Vec<&str> = process.split(':').collect();
    let [machine, namespace, pid, begun] = parts.as_slice() else { return false };
    let here = place().is_some_and(|p| p == format!("{machine}:{namespace}"));
    match (here, pid.parse().ok()) {
        (true, Some(pid)) => start(pid).is_none_or(|s| s.to_string() != *begun),
        _ => false,
    }
}

fn place() -> Option<String> {
    let read = |path: &str| std::fs::read_to_string(path).ok();
    let boot = read("/proc/sys/kernel/random/boot_id")?;
    let id = read("/etc/machine-id").unwrap_or_default();
    let digest = Sha256::digest(format!("{id}{boot}"));
    let machine: String = digest.iter().take(8).map(|b| format!("{b:02x}")).collect();
    let namespace = std::fs::read_link("/proc/self/ns/pid").ok()?;
    let namespace: String = namespace.to_string_lossy().chars().filter(char::is_ascii_digit).collect();
    Some(format!("{machine}:{namespace}"))
}

/// Field 22 of /proc/PID/stat; `None`: there is no such process, or only its remains (state Z or X).
fn start(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in field 2 may hold anything, spaces and brackets too.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let alive = !matches!(fields.first(), Some(&("Z" | "X")));
    alive.then(|| fields.get(19)?.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::{is_dead, this};

    #[test]
    fn only_a_process_of_this_machine_can_be_known_to_be_dead() {
        let me = this();
        assert!(!me.is_empty() && !is_dead(&me), "{me}");
        let mut child = std::process::Command::new("sleep").arg("100").spawn().unwrap();
        let (head, _) = me.rsplit_once(':').unwrap();
        let place = head.rsplit_once(':').unwrap().0;
        let other = format!("{place}:{}:{}", child.id(), super::start(child.id()).unwrap());
        assert!(!is_dead(&other));
        child.kill().unwrap();
        // Not waited for yet: what remains of it is no process any more.
        while super::start(child.id()).is_some() {
            std::thread::yield_now();
        }
        assert!(is_dead(&other));
        child.wait().unwrap();
        assert!(is_dead(&other));
        assert!(is_dead(&format!("{head}:1")), "the pid was used again");
        assert!(!is_dead("0011:4026531836:1:1"), "another machine's");
        assert!(!is_dead("") && !is_dead("nonsense"));
    }
}
