//! sudo's ways to ask and to refuse, by a stand-in that speaks as sudo does.

use super::*;
use crate::text::Secret;
use std::os::unix::fs::PermissionsExt;

/// This machine, with a sudo of ours first in the path.
struct WithSudo {
    local: Local,
    directory: tempfile::TempDir,
}

impl WithSudo {
    fn new(sudo: &str) -> Arc<Self> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("sudo");
        std::fs::write(&path, format!("#!/bin/sh\n{sudo}")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        Arc::new(Self { local: Local::new("here"), directory })
    }
}

#[async_trait::async_trait]
impl Connection for WithSudo {
    fn describe(&self) -> String {
        "here".to_owned()
    }
    async fn exec(&self, command: &str) -> Result<Process, ConnectionError> {
        assert!(!command.contains("hunter2"), "a password on a command line: {command}");
        self.local.exec(&format!("PATH={}:$PATH; export PATH; {command}", self.directory.path().display())).await
    }
    async fn open_stream(&self, _: &str, _: u16) -> Result<Box<dyn Stream>, ConnectionError> {
        unreachable!("sessions open no streams")
    }
    async fn close(&self) {}
}

/// Takes `-n -S -H -p PROMPT -u USER COMMAND…`, asks for a password by `-S`, accepts hunter2 as the real one does: three tries.
const ASKS: &str = r#"
mode= prompt=
while [ $# -gt 0 ]; do
  case $1 in
    -n) mode=n; shift ;;
    -S) mode=S; shift ;;
    -H) shift ;;
    -p) prompt=$2; shift 2 ;;
    -u) shift 2 ;;
    *) break ;;
  esac
done
echo "We trust you have received the usual lecture." >&2
if [ "$mode" = n ]; then echo "sudo: a password is required" >&2; exit 1; fi
for try in 1 2 3; do
  printf %s "$prompt" >&2
  read -r line || exit 1
  if [ "$line" = hunter2 ]; then exec "$@"; fi
  echo "Sorry, try again." >&2
done
exit 1
"#;

const FREE: &str = r#"
while [ $# -gt 0 ]; do case $1 in -n | -S | -H) shift ;; -p | -u) shift 2 ;; *) break ;; esac; done
exec "$@"
"#;

fn root(password: Option<&str>) -> Become {
    Become::Sudo { user: "root".to_owned(), password: password.map(|p| Secret::new(p.to_owned())) }
}

async fn open(sudo: &str, user: Become) -> Result<Session, SessionError> {
    let prelude = Sh::default();
    let opened = Session::open(WithSudo::new(sudo), "here", user, &prelude);
    tokio::time::timeout(Duration::from_secs(20), opened).await.unwrap()
}

#[tokio::test]
async fn a_password_is_given_when_asked_for_and_only_then() {
    for sudo in [ASKS, FREE] {
        let session = open(sudo, root(Some("hunter2"))).await.unwrap();
        let blob = Blob { sha256: sha256(&[7; 200_000]), content: vec![7; 200_000].into(), secret: false };
        let check = Sh::fill("cat; sha256sum <\"$KW_BLOBS\"/{}", &[&blob.sha256]);
        let large = ProgramStep { check, blobs: vec![blob.clone()], ..step(0, "", "") };
        let (outcomes, result) = run(&session, vec![large]).await;
        result.unwrap();
        // The password is nowhere in the input of the steps, nor in front of a large file.
        assert_eq!(String::from_utf8_lossy(&outcomes[0].stdout), format!("{}  -\n", blob.sha256));
        session.close().await;
    }
}

#[tokio::test]
async fn refusals_say_what_to_do() {
    let cases = [
        (ASKS, root(None), "NOPASSWD"),
        (ASKS, root(Some("wrong")), "the password was not accepted"),
        ("echo 'sudo: sorry, you must have a tty to run sudo' >&2; exit 1", root(None), "requiretty"),
        ("echo 'sorry, user x is not allowed to execute /bin/sh as root on y.' >&2; exit 1", root(None), "sudoers must allow /bin/sh"),
        ("echo 'sudo: unknown user nemo' >&2; exit 1", root(None), "unknown user nemo"),
        ("echo 'sudo: interactive authentication is required' >&2; exit 1", root(None), "NOPASSWD"),
    ];
    for (sudo, user, expected) in cases {
        let error = open(sudo, user).await.err().unwrap();
        assert!(matches!(&error, SessionError::Become { .. }), "{error}");
        let text = error.to_string();
        assert!(text.contains(expected) && !text.contains("wrong"), "{text}");
    }
}
