//! Sessions over a real SSH connection, and what a cut leaves behind.

use super::*;
use crate::connection::{
    ssh,
    testing::{Behaviour, TestServer},
};

async fn over_ssh(server: &TestServer) -> Session {
    let connection = ssh::connect(&server.endpoint("a")).await.unwrap();
    Session::open(connection, "a", Become::No, &Sh::default()).await.unwrap()
}

/// Waits until something is so.
async fn until(what: &str, mut so: impl FnMut() -> bool) {
    for _ in 0..400 {
        if so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("never: {what}");
}

#[tokio::test]
async fn programs_large_files_and_timeouts_work_over_ssh() {
    let server = TestServer::start(Behaviour::default()).await.unwrap();
    let session = over_ssh(&server).await;
    let content = vec![3; 4_000_000];
    let blob = Blob { sha256: sha256(&content), content: content.into(), secret: false };
    let check = Sh::fill("sha256sum <\"$KW_BLOBS\"/{}", &[&blob.sha256]);
    let slow = ProgramStep { timeout: Some(Duration::from_millis(200)), ..step(1, "sleep 60", "") };
    let steps = vec![ProgramStep { check, blobs: vec![blob.clone()], ..step(0, "", "") }, slow, step(2, "head -c 900000 /dev/zero", "")];
    let (outcomes, result) = run(&session, steps).await;
    result.unwrap();
    assert_eq!(String::from_utf8_lossy(&outcomes[0].stdout), format!("{}  -\n", blob.sha256));
    assert_eq!((outcomes[1].verdict, outcomes[2].stdout.len()), (Verdict::TimedOut, 900_000));
    assert_eq!(server.connections(), 1, "everything shares one connection");
}

#[tokio::test]
async fn a_cut_line_is_lost_at_its_step_and_the_host_stops_and_cleans_up() {
    let server = TestServer::start(Behaviour::default()).await.unwrap();
    let session = over_ssh(&server).await;
    let there = tempfile::tempdir().unwrap();
    let marks = |name: &str| there.path().join(name);
    let check = Sh::fill("echo \"$KW_BLOBS\" >{}; sleep 1", &[marks("begun").to_str().unwrap()]);
    let next = Sh::fill("touch {}", &[marks("next").to_str().unwrap()]);
    let steps = vec![ProgramStep { check, ..step(7, "", "") }, ProgramStep { check: next, ..step(8, "", "") }];
    let (tx, mut rx) = mpsc::unbounded_channel();
    let cut = async {
        assert!(matches!(rx.recv().await, Some(Record::Started(7))));
        until("the step has begun", || std::fs::read(marks("begun")).is_ok_and(|t| t.ends_with(b"\n"))).await;
        server.cut();
    };
    let program = Program { steps };
    let (result, ()) = tokio::join!(session.run(&program, tx), cut);
    let error = result.unwrap_err();
    assert!(matches!(&error, SessionError::LostAt { step: Some(7), .. }), "{error}");
    let directory = std::fs::read_to_string(marks("begun")).unwrap();
    until("the directory is removed", || !std::path::Path::new(directory.trim()).exists()).await;
    assert!(!marks("next").exists(), "at most the running step finishes");
}
