//! The protocol against real shells on this machine.

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
