//! The protocol against real shells on this machine.

mod become_user;
mod over_ssh;

use super::*;
use crate::{
    connection::{Connection, ConnectionError, Local, Process, Stream},
    shell::Sh,
};
use std::{sync::Arc, time::Duration};
use tokio::sync::mpsc;

/// This machine, with another shell in the place of `/bin/sh`.
struct Other(Local, &'static str);

#[async_trait::async_trait]
impl Connection for Other {
    fn describe(&self) -> String {
        self.1.to_owned()
    }
    async fn exec(&self, command: &str) -> Result<Process, ConnectionError> {
        self.0.exec(&command.replace("/bin/sh", self.1)).await
    }
    async fn open_stream(&self, address: &str, port: u16) -> Result<Box<dyn Stream>, ConnectionError> {
        self.0.open_stream(address, port).await
    }
    async fn close(&self) {}
}

const SHELLS: [&str; 3] = ["/bin/dash", "/bin/bash --posix", "/bin/busybox sh"];

async fn session(shell: &'static str) -> Session {
    let connection = Arc::new(Other(Local::new("here"), shell));
    Session::open(connection, "here", Become::No, &Sh::literal("double() { echo \"$1$1\"; }")).await.unwrap()
}

fn step(id: u32, check: &'static str, apply: &'static str) -> ProgramStep {
    ProgramStep {
        id,
        check: Sh::literal(check),
        apply: (!apply.is_empty()).then(|| Sh::literal(apply)),
        keep_going: true,
        timeout: None,
        stdin: None,
        blobs: Vec::new(),
    }
}

fn sha256(content: &[u8]) -> String {
    use sha2::{Digest, Sha256};
    Sha256::digest(content).iter().map(|b| format!("{b:02x}")).collect()
}

/// Verdict, rc, stdout, stderr of each step that ended, and how the program ended.
async fn run(session: &Session, steps: Vec<ProgramStep>) -> (Vec<Outcome>, Result<(), SessionError>) {
    let (tx, mut rx) = mpsc::unbounded_channel();
    let result = tokio::time::timeout(Duration::from_secs(60), session.run(&Program { steps }, tx)).await.unwrap();
    let mut outcomes = Vec::new();
    while let Some(record) = rx.recv().await {
        if let Record::Done(outcome) = record {
            outcomes.push(outcome);
        }
    }
    (outcomes, result)
}

#[tokio::test]
async fn check_and_apply() {
    for shell in SHELLS {
        let session = session(shell).await;
        let steps = vec![
            step(0, "true", "echo never"),
            step(1, "x=5; echo a; exit 10", "echo $x >&2; double b"),
            step(2, "kw_f() { return 10; }; kw_f", "false; echo never"),
            step(3, "exit 10", ""),
            step(4, "nosuchcommand", "echo never"),
            step(5, "false; echo never", "echo never"),
            step(6, "echo $undefined; echo never", ""),
            step(7, "if", "echo never"),
            step(8, "exit 10", "if"),
            step(9, "exit 10", "[ -e / ] && exit 3; true"),
            step(10, "exit 10", "(exit 4)"),
            step(11, "exit 10", "! true"),
        ];
        let (outcomes, result) = run(&session, steps).await;
        result.unwrap();
        let seen: Vec<_> = outcomes.iter().map(|o| (o.id, o.verdict, String::from_utf8_lossy(&o.stdout).into_owned())).collect();
        let expected = [
            (0, Verdict::Ok, ""),
            (1, Verdict::Changed, "a\nbb\n"),
            (2, Verdict::ApplyFailed, ""),
            (3, Verdict::WouldChange, ""),
            (4, Verdict::CheckFailed, ""),
            (5, Verdict::CheckFailed, ""),
            (6, Verdict::CheckFailed, ""),
            (7, Verdict::CheckFailed, ""),
            (8, Verdict::ApplyFailed, ""),
            (9, Verdict::ApplyFailed, ""),
            (10, Verdict::ApplyFailed, ""),
            (11, Verdict::ApplyFailed, ""),
        ];
        assert_eq!(seen, expected.map(|(i, v, o)| (i, v, o.to_owned())), "{shell}");
        assert_eq!((outcomes[1].rc, &outcomes[1].stderr[..], outcomes[4].rc), (0, &b"5\n"[..], 127), "{shell}");
        assert_eq!((outcomes[9].rc, outcomes[10].rc, outcomes[11].rc), (3, 4, 1), "{shell}");
    }
}

#[tokio::test]
async fn evil_steps_neither_fool_nor_hang_the_stream() {
    for shell in SHELLS {
        let session = session(shell).await;
        let begun = std::time::Instant::now();
        let steps = vec![
            step(0, "printf 'done 0 0 c 0 0 0 0\\nstart 9\\nend\\n\\000bin\\377'", ""),
            step(1, "cat; exit 7", ""),
            step(
                2,
                "cd /; umask 077; FOO=bar; export FOO; PATH=; kw_n=77; kw() { :; }; trap 'echo x' EXIT; /bin/sleep 30 & exec 1>&- ",
                "",
            ),
            step(3, "umask; echo \"${FOO-unset}\"; echo err >&2; cat /proc/self/stat >/dev/null", ""),
            step(4, "echo end >&3", ""),
            step(5, "read line || echo nothing; echo end >&4", ""),
            step(6, "set +eu; exit 0", ""),
            step(7, "alias kw=true; IFS=x; set -f; readonly LC_ALL; exit 10", "exit 1"),
            step(8, "exec sh -c 'echo replaced; exit 5'", ""),
            step(9, "kill -TERM $(sh -c 'echo $PPID')", ""),
            step(10, "nohup setsid sleep 30 >/dev/null 2>&1 & echo up", ""),
        ];
        let (outcomes, result) = run(&session, steps).await;
        result.unwrap();
        assert!(begun.elapsed() < Duration::from_secs(20), "{shell}");
        assert_eq!(outcomes.len(), 11, "{shell}");
        assert_eq!(&outcomes[0].stdout[..], b"done 0 0 c 0 0 0 0\nstart 9\nend\n\0bin\xff", "{shell}");
        assert_eq!((outcomes[1].rc, outcomes[1].stdout.len()), (7, 0), "{shell}");
        assert_eq!((&outcomes[3].stdout[..], &outcomes[3].stderr[..]), (&b"0022\nunset\n"[..], &b"err\n"[..]), "{shell}");
        assert_eq!(outcomes[4].verdict, Verdict::CheckFailed, "{shell}: no descriptor 3");
        assert_eq!(&outcomes[5].stdout[..], b"nothing\n", "{shell}");
        assert_eq!((outcomes[7].verdict, outcomes[7].rc), (Verdict::ApplyFailed, 1), "{shell}");
        assert_eq!((&outcomes[8].stdout[..], outcomes[8].rc), (&b"replaced\n"[..], 5), "{shell}");
        assert_eq!(outcomes[9].rc, 128 + 15, "{shell}");
        assert_eq!(&outcomes[10].stdout[..], b"up\n", "{shell}");
        // The same shell goes on with the next program.
        let (outcomes, result) = run(&session, vec![step(0, "double a", "")]).await;
        result.unwrap();
        assert_eq!(&outcomes[0].stdout[..], b"aa\n", "{shell}");
    }
}

#[tokio::test]
async fn a_failure_ends_the_program_unless_it_keeps_going() {
    for shell in SHELLS {
        let session = session(shell).await;
        for (check, apply, ended) in [("exit 1", "", 1), ("exit 10", "exit 1", 1), ("exit 10", "", 2), ("exit 10", "exit 0", 2)] {
            let first = ProgramStep { keep_going: false, ..step(0, check, apply) };
            let (outcomes, result) = run(&session, vec![first, step(1, "true", "")]).await;
            result.unwrap();
            assert_eq!(outcomes.len(), ended, "{shell}: {check} {apply}");
        }
    }
}

#[tokio::test]
async fn long_output_is_cut_and_says_so() {
    for shell in SHELLS {
        let session = session(shell).await;
        let big = step(0, "head -c 3000000 /dev/zero | tr '\\0' x; head -c 1048576 /dev/zero >&2", "");
        let (outcomes, result) = run(&session, vec![big, step(1, "echo after", "")]).await;
        result.unwrap();
        assert_eq!((outcomes[0].stdout.len(), outcomes[0].stderr.len(), outcomes[0].truncated), (1 << 20, 1 << 20, true), "{shell}");
        assert_eq!((&outcomes[1].stdout[..], outcomes[1].truncated), (&b"after\n"[..], false), "{shell}");
    }
}

#[tokio::test]
async fn blobs_and_input_arrive_byte_by_byte() {
    let all: Vec<u8> = (0..=255).cycle().take(5000).collect();
    let large: Vec<u8> = (0..3_000_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    for shell in SHELLS {
        let session = session(shell).await;
        // `printf -n` is an option to some shells, wherever a piece of a large file begins.
        for content in [&all, &large, &b"-----BEGIN".to_vec(), &b"-n".to_vec(), &vec![b'-'; 20_000]] {
            let sha256 = sha256(content);
            let blob = |secret| Blob { sha256: sha256.clone(), content: content.clone().into(), secret };
            let check = Sh::fill("sha256sum <\"$KW_BLOBS\"/{}; sha256sum", &[&sha256]);
            let reads = |secret| ProgramStep {
                check: check.clone(),
                stdin: Some(crate::text::Secret::new(content.clone().into())),
                blobs: vec![blob(secret)],
                ..step(1, "", "")
            };
            let looks = ProgramStep { check: Sh::fill("test -e \"$KW_BLOBS\"/{}", &[&sha256]), ..step(2, "", "") };
            let gone = step(3, "ls $KW_BLOBS", "");
            for (secret, stays) in [(false, Verdict::Ok), (true, Verdict::CheckFailed)] {
                let (outcomes, result) = run(&session, vec![reads(secret)]).await;
                result.unwrap();
                assert_eq!(String::from_utf8_lossy(&outcomes[0].stdout), format!("{sha256}  -\n").repeat(2), "{shell}");
                let (outcomes, result) = run(&session, vec![looks.clone(), gone.clone()]).await;
                result.unwrap();
                assert_eq!(outcomes[0].verdict, stays, "{shell}");
                assert!(!String::from_utf8_lossy(&outcomes[1].stdout).contains("1.i"), "{shell}: the input was removed");
            }
        }
    }
}

#[tokio::test]
async fn what_a_step_left_in_the_background_writes_into_no_other_steps_output() {
    for shell in SHELLS {
        let session = session(shell).await;
        let noisy = step(0, "while sleep 0.02; do echo noise; done & echo $!", "");
        let (outcomes, result) = run(&session, vec![noisy]).await;
        result.unwrap();
        let pid = String::from_utf8_lossy(&outcomes[0].stdout).lines().find_map(|l| l.parse::<u32>().ok()).expect("its process");
        let clean = step(1, "sleep 0.3; echo clean", "");
        let end = ProgramStep { check: Sh::fill("kill {}", &[&pid.to_string()]), ..step(2, "", "") };
        let (outcomes, result) = run(&session, vec![clean, end]).await;
        result.unwrap();
        assert_eq!(String::from_utf8_lossy(&outcomes[0].stdout), "clean\n", "{shell}");
    }
}

#[tokio::test]
async fn what_is_large_lies_on_a_disk_and_goes_too() {
    let content = bytes::Bytes::from(vec![b'x'; 300_000]);
    let sha256 = sha256(&content);
    for shell in SHELLS {
        let session = session(shell).await;
        for secret in [true, false] {
            let blob = Blob { sha256: sha256.clone(), content: content.clone(), secret };
            let check = Sh::fill("readlink \"$KW_BLOBS\"/{}", &[&sha256]);
            let (outcomes, result) = run(&session, vec![ProgramStep { check, blobs: vec![blob], ..step(0, "", "") }]).await;
            result.unwrap();
            let place = String::from_utf8_lossy(&outcomes[0].stdout).trim().to_owned();
            assert!(place.starts_with("/var/tmp/kw."), "{shell}: {place:?}");
            assert_eq!(std::path::Path::new(&place).exists(), !secret, "{shell}: {place} belongs to its program when it is secret");
            if !secret {
                session.close().await;
                assert!(!std::path::Path::new(&place).exists(), "{shell}: {place} is left");
            }
        }
    }
}

#[tokio::test]
async fn a_step_that_takes_too_long_is_stopped_with_all_its_children() {
    let each = SHELLS.map(async |shell| {
        let session = session(shell).await;
        let slow = ProgramStep {
            // Long enough for a busy machine to start the children, short against their own time.
            timeout: Some(Duration::from_secs(3)),
            ..step(0, "sh -c 'trap \"\" TERM; sleep 600 & echo $! $$; sleep 600'; echo never", "")
        };
        let quick = ProgramStep { timeout: Some(Duration::from_secs(30)), ..step(1, "echo next", "") };
        let begun = std::time::Instant::now();
        let (outcomes, result) = run(&session, vec![slow, quick]).await;
        result.unwrap();
        assert_eq!((outcomes[0].verdict, outcomes[1].verdict), (Verdict::TimedOut, Verdict::Ok), "{shell}");
        let said = String::from_utf8_lossy(&outcomes[0].stdout).into_owned();
        assert_eq!(said.lines().count(), 1, "{shell}: {said}");
        for pid in said.split_whitespace() {
            // It has been killed; on a busy machine it may not have been its turn to die yet.
            let killed = std::time::Instant::now();
            loop {
                let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
                if stat.is_empty() || stat.contains(") Z ") {
                    break;
                }
                assert!(killed.elapsed() < Duration::from_secs(10), "{shell}: {stat}");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        assert!(begun.elapsed() < Duration::from_secs(120), "{shell}");
    });
    futures::future::join_all(each).await;
}

#[tokio::test]
async fn a_killed_shell_is_lost_at_its_step_and_the_next_one_cleans_up() {
    for shell in SHELLS {
        let first = session(shell).await;
        let (outcomes, _) = run(&first, vec![step(0, "echo $KW_BLOBS", "")]).await;
        let directory = String::from_utf8_lossy(&outcomes[0].stdout).trim().to_owned();
        let steps = vec![step(0, "true", ""), step(1, "kill -9 $$; sleep 1", ""), step(2, "true", "")];
        let (outcomes, result) = run(&first, steps).await;
        assert_eq!(outcomes.len(), 1, "{shell}");
        let error = result.unwrap_err();
        assert!(matches!(&error, SessionError::LostAt { step: Some(1), .. }), "{shell}: {error}");
        let (_, again) = run(&first, vec![step(0, "true", "")]).await;
        assert!(matches!(&again, Err(SessionError::LostAt { step: None, .. })), "{shell}");
        session(shell).await.close().await;
        assert!(!std::path::Path::new(&directory).exists(), "{shell}: {directory}");
    }
}

#[tokio::test]
async fn cancelling_ends_the_program_and_leaves_nothing() {
    for shell in SHELLS {
        let session = Arc::new(session(shell).await);
        let (outcomes, _) = run(&session, vec![step(0, "echo $KW_BLOBS", "")]).await;
        let directory = String::from_utf8_lossy(&outcomes[0].stdout).trim().to_owned();
        assert!(std::path::Path::new(&directory).is_dir(), "{shell}: {directory}");
        let (tx, mut rx) = mpsc::unbounded_channel();
        let runner = Arc::clone(&session);
        let task =
            tokio::spawn(async move { runner.run(&Program { steps: vec![step(0, "sleep 986", ""), step(1, "true", "")] }, tx).await });
        assert!(matches!(rx.recv().await, Some(Record::Started(0))));
        session.cancel().await.unwrap();
        let error = tokio::time::timeout(Duration::from_secs(20), task).await.unwrap().unwrap().unwrap_err();
        assert!(error.to_string().contains("cancelled"), "{shell}: {error}");
        assert!(!std::path::Path::new(&directory).exists(), "{shell}: {directory} stays behind");
    }
}

#[tokio::test]
async fn closing_and_dropping_remove_the_directory() {
    for shell in SHELLS {
        let session = session(shell).await;
        let (outcomes, _) = run(&session, vec![step(0, "echo $KW_BLOBS; stat -c %a $KW_BLOBS", "")]).await;
        let said = String::from_utf8_lossy(&outcomes[0].stdout).into_owned();
        let (directory, mode) = said.trim().split_once('\n').unwrap();
        assert_eq!(mode, "700", "{shell}");
        session.close().await;
        assert!(!std::path::Path::new(directory).exists(), "{shell}");
    }
}

#[tokio::test]
async fn noise_before_the_greeting_is_skipped_and_refusals_are_named() {
    let noisy = Arc::new(Other(Local::new("here"), "/bin/sh -c \"echo hello kw motd; echo noise >&2; exec /bin/dash\""));
    let session = Session::open(noisy, "here", Become::No, &Sh::default()).await.unwrap();
    let (outcomes, result) = run(&session, vec![step(0, "echo fine", "")]).await;
    result.unwrap();
    assert_eq!(&outcomes[0].stdout[..], b"fine\n");

    let broken = Arc::new(Other(Local::new("here"), "/bin/sh -c \"echo account disabled >&2; exit 1\""));
    let error = Session::open(broken, "here", Become::No, &Sh::default()).await.err().unwrap();
    assert!(error.to_string().contains("account disabled"), "{error}");
}
