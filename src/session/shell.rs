//! The remote shell's process: its greeting, its frames, and why it ended.

use super::{
    Become, SessionError,
    elevate::{Elevated, PATIENCE, Tail, elevate, find, nonce, refused, sudo_said},
    frames::{Decoder, Frame},
};
use crate::{
    connection::{Connection, ConnectionError},
    shell::Sh,
};
use futures::future::BoxFuture;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

const PRELUDE: &str = include_str!("prelude.sh");

/// motd, .bashrc and the like may say this much before the greeting.
const NOISE_CAP: usize = 1 << 20;

/// One running shell.
pub(super) struct Shell {
    pub(super) stdin: Box<dyn AsyncWrite + Send + Unpin>,
    pub(super) frames: Frames,
    exit: Option<BoxFuture<'static, Result<i32, ConnectionError>>>,
    tail: Tail,
    pub(super) hello: Hello,
}

/// What the shell said of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hello {
    pub(super) pid: u32,
    pub(super) directory: String,
}

impl Shell {
    /// Starts it, teaches it the prelude, and waits for its greeting.
    pub(super) async fn start(connection: &dyn Connection, host: &str, user: &Become, prelude: &Sh) -> Result<Self, SessionError> {
        let Elevated { process, tail, read } = elevate(connection, host, user, None, &[]).await?;
        let nonce = nonce();
        let mut decoder = Decoder::new(&nonce);
        decoder.buffer.extend_from_slice(&read);
        let mut shell = Self {
            stdin: process.stdin,
            frames: Frames { stdout: process.stdout, decoder },
            exit: Some(process.exit),
            tail,
            hello: Hello { pid: 0, directory: String::new() },
        };
        let text = greeting(&nonce, user, prelude);
        let greeted = async {
            // When it is gone already, reading says so, and why is known there.
            let _ = shell.stdin.write_all(text.as_bytes()).await;
            let _ = shell.stdin.flush().await;
            shell.frames.hello(&nonce).await
        };
        let protocol = |why: String| SessionError::Protocol { host: host.to_owned(), why };
        let line = match tokio::time::timeout(PATIENCE, greeted).await {
            Ok(Ok(Some(line))) => line,
            Ok(Ok(None)) => return Err(shell.no_greeting(host, user).await),
            Ok(Err(why)) => return Err(protocol(why)),
            Err(_) => return Err(protocol(format!("/bin/sh did not answer for {} s: {}", PATIENCE.as_secs(), shell.tail.text()))),
        };
        match line.split(' ').collect::<Vec<_>>()[..] {
            [_, "", _] => Err(protocol("no temporary directory can be made in /dev/shm, /run, /tmp, /var/tmp".to_owned())),
            [_, _, "log_input"] => {
                let why = "sudoers has log_input, which would write everything we send, secrets too, to sudo's log".to_owned();
                Err(refused(host, user.name(), why))
            }
            [pid, directory, _] if let Ok(pid) = pid.parse() => {
                shell.hello = Hello { pid, directory: directory.to_owned() };
                Ok(shell)
            }
            _ => Err(protocol(format!("strange greeting: {line:?}"))),
        }
    }

    async fn no_greeting(&mut self, host: &str, user: &Become) -> SessionError {
        let ended = self.ended().await;
        match user {
            Become::Sudo { user, .. } if ended.is_ok() => refused(host, user, sudo_said(&self.tail.text())),
            _ => SessionError::Protocol { host: host.to_owned(), why: format!("/bin/sh did not start: {}", self.why(&ended)) },
        }
    }

    /// Why the shell is gone, for people.
    pub(super) async fn epitaph(&mut self) -> String {
        let ended = self.ended().await;
        self.why(&ended)
    }

    fn why(&self, ended: &Result<i32, String>) -> String {
        let stderr = self.tail.text();
        let said = if stderr.is_empty() { String::new() } else { format!(" ({stderr})") };
        match ended {
            Ok(rc) => format!("the shell ended with exit code {rc}{said}"),
            Err(why) => format!("{why}{said}"),
        }
    }

    async fn ended(&mut self) -> Result<i32, String> {
        let Some(exit) = self.exit.take() else { return Err("the shell is gone".to_owned()) };
        let ended = tokio::time::timeout(Duration::from_secs(2), exit).await;
        self.tail.ended().await;
        match ended {
            Ok(Ok(rc)) => Ok(rc),
            Ok(Err(ConnectionError::Lost { why, .. })) => Err(why),
            Ok(Err(other)) => Err(other.to_string()),
            Err(_) => Err("the shell closed its output".to_owned()),
        }
    }
}

impl Become {
    /// The user, for messages.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::No => "the login user",
            Self::Sudo { user, .. } => user,
        }
    }
}

/// The prelude, the caller's functions, and the line that says who is there. All in one compound command, like a program.
fn greeting(nonce: &str, user: &Become, prelude: &Sh) -> String {
    // Read only with root's eyes: others cannot see sudoers.
    let logged = match user {
        Become::Sudo { .. } => concat!(
            "if [ -r /etc/sudoers ] && grep -Eiqs ",
            r#""^[[:space:]]*Defaults([[:space:]]|:$SUDO_USER[[:space:]])([^#]*[^!#[:alnum:]_])?log_input" /etc/sudoers /etc/sudoers.d/*"#,
            "\nthen kw_x=log_input; else kw_x=-; fi"
        ),
        Become::No => "kw_x=-",
    };
    format!("{{\nkw_mark={nonce}\n{PRELUDE}\n{prelude}\n{logged}\nprintf '\\nhello {nonce} %s %s %s\\n' \"$$\" \"$kw_d\" \"$kw_x\"\n}}\n")
}

/// Frames from a stream. Dropping a future of its methods loses nothing.
pub(super) struct Frames {
    stdout: Box<dyn AsyncRead + Send + Unpin>,
    decoder: Decoder,
}

impl Frames {
    /// The next frame; `None` at the end of the stream.
    pub(super) async fn next(&mut self) -> Result<Option<Frame>, String> {
        loop {
            if let Some(frame) = self.decoder.next()? {
                return Ok(Some(frame));
            }
            if self.fill().await? == 0 {
                return Ok(None);
            }
        }
    }

    async fn fill(&mut self) -> Result<usize, String> {
        self.decoder.buffer.reserve(16 << 10);
        self.stdout.read_buf(&mut self.decoder.buffer).await.map_err(|e| e.to_string())
    }

    /// Skips everything before the greeting, and returns what follows the nonce.
    async fn hello(&mut self, nonce: &str) -> Result<Option<String>, String> {
        let mark = format!("\nhello {nonce} ");
        loop {
            let buffer = &mut self.decoder.buffer;
            if let Some(at) = find(buffer, mark.as_bytes()) {
                let rest = &buffer[at + mark.len()..];
                if let Some(end) = rest.iter().position(|&b| b == b'\n') {
                    let line = String::from_utf8_lossy(&rest[..end]).into_owned();
                    let _ = buffer.split_to(at + mark.len() + end + 1);
                    return Ok(Some(line));
                }
            } else if buffer.len() > NOISE_CAP {
                return Err("the login shell prints without end before /bin/sh starts (look at its .bashrc or .profile)".to_owned());
            }
            if self.fill().await? == 0 {
                return Ok(None);
            }
        }
    }
}
