//! Becoming another user: the command line, sudo's password prompt, and what sudo says when it refuses.

use super::{Become, SessionError};
use crate::{
    connection::{Connection, Process},
    shell::quote,
    text::Secret,
};
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    sync::Notify,
};
use tokio_util::sync::CancellationToken;

/// How long sudo and the first answer of a shell may take (a directory service may have to be asked).
pub(super) const PATIENCE: Duration = Duration::from_mins(1);

/// How much of standard error is kept.
const TAIL: usize = 4 << 10;

/// The end of what a process wrote to standard error.
#[derive(Clone, Default)]
pub(super) struct Tail(Arc<Kept>);

#[derive(Default)]
struct Kept {
    bytes: Mutex<Vec<u8>>,
    more: Notify,
    ended: CancellationToken,
}

impl Tail {
    /// Reads until the end, in a task of its own.
    fn follow(mut stderr: Box<dyn AsyncRead + Send + Unpin>) -> Self {
        let tail = Self::default();
        let shared = tail.clone();
        tokio::spawn(async move {
            let mut chunk = [0; 2048];
            while let Ok(n @ 1..) = stderr.read(&mut chunk).await {
                let mut kept = shared.0.bytes.lock().unwrap_or_else(PoisonError::into_inner);
                kept.extend_from_slice(&chunk[..n]);
                let surplus = kept.len().saturating_sub(TAIL);
                kept.drain(..surplus);
                drop(kept);
                shared.0.more.notify_one();
            }
            shared.0.ended.cancel();
        });
        tail
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.bytes.lock().unwrap_or_else(PoisonError::into_inner)).trim().to_owned()
    }

    /// Waits for the end of standard error, which may come after the end of the process; a daemon may hold it open.
    pub(super) async fn ended(&self) {
        let _ = tokio::time::timeout(Duration::from_millis(500), self.0.ended.cancelled()).await;
    }

    async fn more(&self) {
        self.0.more.notified().await;
    }
}

/// A process as the wanted user, its standard error followed.
pub(super) struct Elevated {
    pub(super) process: Process,
    pub(super) tail: Tail,
    /// What standard output said already while we waited for the password prompt.
    pub(super) read: Vec<u8>,
}

/// The command line for the login shell, which may be csh or fish: nothing but words and simple quotes.
/// `script` must hold no `'` and no `!`.
fn command_line(user: &Become, nonce: &str, script: Option<&str>) -> String {
    let sh = script.map_or("/bin/sh".to_owned(), |s| format!("/bin/sh -c '{s}'"));
    match user {
        Become::No => format!("exec {sh}"),
        Become::Sudo { user, password: None } => format!("exec sudo -n -H -u {} {sh}", quote(user)),
        Become::Sudo { user, password: Some(_) } => {
            // Whether sudo will ask is not known before: it asks by our nonce, or the command announces itself.
            let then = script.map_or_else(|| "exec /bin/sh".to_owned(), str::to_owned);
            format!("exec sudo -S -p {nonce} -H -u {} /bin/sh -c 'echo; echo up {nonce}; {then}'", quote(user))
        }
    }
}

/// Starts `/bin/sh`, or a one-line script, as the wanted user.
pub(super) async fn elevate(
    connection: &dyn Connection,
    host: &str,
    user: &Become,
    script: Option<&'static str>,
    arguments: &[(&str, &str)],
) -> Result<Elevated, SessionError> {
    let nonce = nonce();
    let script = script.map(|s| arguments.iter().fold(s.to_owned(), |s, (name, value)| s.replace(name, value)));
    let mut process = connection.exec(&command_line(user, &nonce, script.as_deref())).await?;
    let tail = Tail::follow(std::mem::replace(&mut process.stderr, Box::new(tokio::io::empty())));
    let mut elevated = Elevated { process, tail, read: Vec::new() };
    if let Become::Sudo { user, password: Some(password) } = user {
        let answered = answer_prompt(&mut elevated, &nonce, password);
        match tokio::time::timeout(PATIENCE, answered).await {
            Ok(Ok(())) => {}
            Ok(Err(why)) => return Err(refused(host, user, why.unwrap_or_else(|| sudo_said(&elevated.tail.text())))),
            Err(_) => {
                let why = format!("no answer from sudo for {} s: {}", PATIENCE.as_secs(), elevated.tail.text());
                return Err(refused(host, user, why));
            }
        }
    }
    Ok(elevated)
}

/// `Err(None)`: it ended, and standard error says why.
async fn answer_prompt(elevated: &mut Elevated, nonce: &str, password: &Secret<String>) -> Result<(), Option<String>> {
    let up = format!("\nup {nonce}\n");
    let mut sent = false;
    let mut chunk = [0; 4096];
    loop {
        let prompts = elevated.tail.text().matches(nonce).count();
        if prompts > 1 {
            return Err(Some("the password was not accepted".to_owned()));
        }
        if prompts == 1 && !sent {
            sent = true;
            let line = format!("{}\n", password.expose());
            elevated.process.stdin.write_all(line.as_bytes()).await.map_err(|_| None)?;
            elevated.process.stdin.flush().await.map_err(|_| None)?;
        }
        tokio::select! {
            () = elevated.tail.more() => {}
            read = elevated.process.stdout.read(&mut chunk) => match read {
                Ok(n @ 1..) => {
                    elevated.read.extend_from_slice(&chunk[..n]);
                    if let Some(at) = find(&elevated.read, up.as_bytes()) {
                        elevated.read.drain(..at + up.len());
                        return Ok(());
                    }
                }
                _ => {
                    elevated.tail.ended().await;
                    return Err(None);
                }
            },
        }
    }
}

pub(super) fn refused(host: &str, user: &str, why: String) -> SessionError {
    SessionError::Become { host: host.to_owned(), user: user.to_owned(), why }
}

/// sudo's message (sudo's and sudo-rs's), with what to do about it.
pub(super) fn sudo_said(stderr: &str) -> String {
    let last = stderr.lines().rfind(|l| !l.trim().is_empty()).unwrap_or("it ended without a word").trim();
    let has = |text: &str| stderr.contains(text);
    let advice = if has("password is required") || has("interactive authentication is required") {
        "give the password (-K), or allow NOPASSWD in sudoers"
    } else if has("must have a tty") {
        "sudoers has `requiretty`: add `Defaults:USER !requiretty` for this user"
    } else if has("incorrect password") || has("Sorry, try again") {
        "the password was not accepted"
    } else if has("sudo: not found") || has("sudo: command not found") {
        "sudo is not installed there; log in as that user instead"
    } else if has("is not allowed to") || has("not in the sudoers") {
        "sudoers must allow /bin/sh for this user"
    } else {
        return last.to_owned();
    };
    format!("{last}: {advice}")
}

/// Something that nobody there can know before.
pub(super) fn nonce() -> String {
    format!("kw{:032x}", rand::random::<u128>())
}

pub(super) fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len()).position(|w| w == wanted)
}
