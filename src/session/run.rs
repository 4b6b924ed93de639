//! A session: the shell, and the programs it runs one after the other.

use super::{
    Become, Outcome, Program, ProgramStep, Record, SessionError, Verdict, WOULD_CHANGE,
    compile::{self, INLINE_CAP, compile},
    elevate::elevate,
    frames::{Frame, Part},
    shell::{Hello, Shell},
};
use crate::{
    connection::{Connection, Process},
    shell::Sh,
};
use bytes::Bytes;
use std::{
    collections::{BTreeSet, HashMap},
    fmt::Write,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::{Mutex, mpsc},
    time::Instant,
};

const STOP: &str = include_str!("stop.sh");

/// The largest file that lies in the session's directory, in bytes: Docker gives a container 64 MiB there, EC2 half of the memory.
const IN_MEMORY: usize = 256 << 10;

/// Between TERM and KILL.
const GRACE: Duration = Duration::from_secs(5);

/// How long after KILL the shell may take to report.
const STOP_MARGIN: Duration = Duration::from_secs(15);

/// A shell on a host as one user. Any number of them may share a connection; each runs one program at a time.
pub struct Session {
    connection: Arc<dyn Connection>,
    host: String,
    user: Become,
    hello: Hello,
    state: Mutex<State>,
    cancelled: AtomicBool,
}

struct State {
    shell: Shell,
    /// Blobs that the host has.
    there: BTreeSet<String>,
    /// Why no further program can run.
    dead: Option<String>,
}

impl Session {
    /// Starts the shell. `prelude` are functions that the steps of all programs may use.
    ///
    /// # Errors
    /// [`SessionError::Become`] with sudo's reason and what to do; [`SessionError::Protocol`] when no usable shell answers.
    pub async fn open(connection: Arc<dyn Connection>, host: &str, user: Become, prelude: &Sh) -> Result<Self, SessionError> {
        let shell = Shell::start(connection.as_ref(), host, &user, prelude).await?;
        let hello = shell.hello.clone();
        let state = Mutex::new(State { shell, there: BTreeSet::new(), dead: None });
        Ok(Self { connection, host: host.to_owned(), user, hello, state, cancelled: AtomicBool::new(false) })
    }

    /// Runs a program. Records arrive while it runs; it ends early after a failed step that does not `keep_going`
    /// (the later steps then have no records at all).
    ///
    /// # Errors
    /// [`SessionError::LostAt`] when the shell went away, whatever the reason. After any error, and after this future
    /// was dropped half-way, the session is of no use any more: open another.
    pub async fn run(&self, program: &Program, records: mpsc::UnboundedSender<Record>) -> Result<(), SessionError> {
        let mut state = self.state.lock().await;
        if let Some(why) = &state.dead {
            return Err(self.lost(None, why.clone()));
        }
        state.dead = Some("an earlier program was abandoned half-way".to_owned());
        let sent = self.send_large(program, &state.there).await?;
        state.there.extend(sent);
        let text = compile(program, &state.there);
        let result = self.drive(&mut state.shell, program, &text, &records).await;
        // Inputs belong to their program; secrets were removed at its end.
        state.there.retain(|name| !compile::is_input(name));
        for (name, blob) in compile::blobs(program) {
            if blob.secret {
                state.there.remove(name);
            } else {
                state.there.insert(name.to_owned());
            }
        }
        state.dead = result.as_ref().err().map(ToString::to_string);
        result
    }

    /// Stops the program that runs, and the shell: TERM, then KILL to all of their processes. The running
    /// [`Session::run`] then ends with [`SessionError::LostAt`].
    ///
    /// # Errors
    /// When the host cannot be told.
    pub async fn cancel(&self) -> Result<(), SessionError> {
        self.cancelled.store(true, Ordering::Release);
        stop(self.connection.as_ref(), &self.host, &self.user, &self.hello, None).await
    }

    /// Ends the shell and waits until it has cleaned up behind itself. Without it, the end of the connection does the same.
    pub async fn close(&self) {
        let mut state = self.state.lock().await;
        state.dead = Some("it was closed".to_owned());
        // It may be gone already.
        let _ = state.shell.stdin.shutdown().await;
        state.shell.epitaph().await;
    }

    fn lost(&self, step: Option<u32>, why: String) -> SessionError {
        let why = if self.cancelled.load(Ordering::Acquire) { format!("cancelled: {why}") } else { why };
        SessionError::LostAt { host: self.host.clone(), step, why }
    }

    /// Writes the program and reads its frames, at the same time.
    async fn drive(
        &self,
        shell: &mut Shell,
        program: &Program,
        text: &str,
        records: &mpsc::UnboundedSender<Record>,
    ) -> Result<(), SessionError> {
        let steps: HashMap<u32, &ProgramStep> = program.steps.iter().map(|s| (s.id, s)).collect();
        let (why, failure, step) = {
            let Shell { stdin, frames, .. } = shell;
            let write = async {
                let written = stdin.write_all(text.as_bytes()).await;
                written.and(stdin.flush().await)
            };
            tokio::pin!(write);
            let mut written = false;
            let mut running = Running::default();
            let mut failure = None;
            let why = loop {
                let frame = tokio::select! {
                    frame = frames.next() => frame,
                    // When writing fails, the shell is gone, and reading says why.
                    _ = &mut write, if !written => {
                        written = true;
                        continue;
                    }
                    () = sleep_until(running.deadline) => {
                        if running.stopped {
                            break Some(format!("step {:?} ran out of time and could not be stopped", running.step));
                        }
                        if let Err(error) = self.time_out(&mut running).await {
                            break Some(format!("step {:?} ran out of time and could not be stopped: {error}", running.step));
                        }
                        continue;
                    }
                };
                match frame {
                    Ok(Some(Frame::Start(id))) => {
                        running = Running::begin(id, steps.get(&id).and_then(|s| s.timeout));
                        // Whoever does not listen any more does not want to know.
                        let _ = records.send(Record::Started(id));
                    }
                    Ok(Some(Frame::Done { id, rc, part, stdout, stderr, truncated })) if running.step == Some(id) => {
                        let has_apply = steps.get(&id).is_some_and(|s| s.apply.is_some());
                        let verdict = if running.stopped { Verdict::TimedOut } else { verdict(part, rc, has_apply) };
                        let elapsed = running.begun.elapsed();
                        let _ = records.send(Record::Done(Outcome { id, verdict, rc, stdout, stderr, truncated, elapsed }));
                        running = Running::default();
                    }
                    Ok(Some(Frame::Fail(why))) => failure = Some(why),
                    Ok(Some(Frame::End)) => break None,
                    Ok(Some(other)) => break Some(format!("a frame out of turn: {other:?}")),
                    Ok(None) => break Some(String::new()),
                    Err(why) => break Some(why),
                }
            };
            (why, failure, running.step)
        };
        match (why, failure) {
            (None, None) => Ok(()),
            (None, Some(why)) => Err(SessionError::Protocol { host: self.host.clone(), why }),
            (Some(why), _) if why.is_empty() => {
                let why = shell.epitaph().await;
                Err(self.lost(step, why))
            }
            (Some(why), _) => Err(self.lost(step, why)),
        }
    }

    async fn time_out(&self, running: &mut Running) -> Result<(), SessionError> {
        running.stopped = true;
        running.deadline = Some(Instant::now() + GRACE + STOP_MARGIN);
        stop(self.connection.as_ref(), &self.host, &self.user, &self.hello, running.step).await
    }

    /// Sends what does not fit into the program's text over channels of their own; returns the names.
    async fn send_large(&self, program: &Program, there: &BTreeSet<String>) -> Result<Vec<String>, SessionError> {
        let mut files: Vec<(String, Bytes)> = compile::blobs(program)
            .into_iter()
            .filter(|(name, _)| !there.contains(*name))
            .map(|(name, blob)| (name.to_owned(), blob.content.clone()))
            .collect();
        for step in &program.steps {
            if let Some(stdin) = &step.stdin {
                files.push((compile::input_name(step), stdin.expose().clone()));
            }
        }
        // The smallest stay in the text, as many as fit.
        files.sort_by_key(|(_, content)| content.len());
        let mut inline = 0;
        files.retain(|(_, content)| {
            inline += content.len();
            inline > INLINE_CAP
        });
        let sent: Vec<String> = files.iter().map(|(name, _)| name.clone()).collect();
        futures::future::try_join_all(files.into_iter().map(|(name, content)| self.send(name, content))).await?;
        Ok(sent)
    }

    async fn send(&self, name: String, content: Bytes) -> Result<(), SessionError> {
        // SSH sees to it that nothing arrives damaged, so its size says whether it is whole.
        const RECEIVE: &str = "umask 077; cat >@DIR@/@NAME@.part && wc -c <@DIR@/@NAME@.part && mv @DIR@/@NAME@.part @DIR@/@NAME@";
        // The session's own directory is in memory, where there is any: what is large goes to a disk.
        const RECEIVE_LARGE: &str = "umask 077; d=$(mktemp -d /var/tmp/kw.@PID@.XXXXXXXXXX) || exit 1; \
                                     cat >$d/f && wc -c <$d/f && ln -sf $d/f @DIR@/@NAME@ || { rm -rf $d; exit 1; }";
        let pid = self.hello.pid.to_string();
        let places = [("@DIR@", self.hello.directory.as_str()), ("@NAME@", name.as_str()), ("@PID@", pid.as_str())];
        let script = if content.len() > IN_MEMORY { RECEIVE_LARGE } else { RECEIVE };
        let mut receiver = elevate(self.connection.as_ref(), &self.host, &self.user, Some(script), &places).await?;
        let Process { stdin, stdout, exit, .. } = &mut receiver.process;
        let mut said = Vec::new();
        let feed = async {
            // When it cannot be written, the exit code and standard error say why.
            let _ = stdin.write_all(&content).await;
            let _ = stdin.shutdown().await;
        };
        let (rc, (), read) = tokio::join!(exit, feed, stdout.read_to_end(&mut said));
        let protocol = |why: String| SessionError::Protocol { host: self.host.clone(), why };
        read.map_err(|e| protocol(format!("sending a file of {} bytes: {e}", content.len())))?;
        match rc? {
            0 if String::from_utf8_lossy(&said).split_whitespace().any(|word| word.parse() == Ok(content.len())) => Ok(()),
            0 => Err(protocol(format!("a file of {} bytes did not arrive whole", content.len()))),
            rc => {
                let why = receiver.tail.text();
                Err(protocol(format!("a file of {} bytes cannot be stored (exit code {rc}): {why}", content.len())))
            }
        }
    }
}

/// The step that runs.
struct Running {
    step: Option<u32>,
    begun: Instant,
    deadline: Option<Instant>,
    stopped: bool,
}

impl Default for Running {
    fn default() -> Self {
        Self { step: None, begun: Instant::now(), deadline: None, stopped: false }
    }
}

impl Running {
    fn begin(id: u32, timeout: Option<Duration>) -> Self {
        let begun = Instant::now();
        Self { step: Some(id), begun, deadline: timeout.map(|t| begun + t), stopped: false }
    }
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

fn verdict(part: Part, rc: i32, has_apply: bool) -> Verdict {
    match (part, rc) {
        (Part::Check, 0) => Verdict::Ok,
        (Part::Check, WOULD_CHANGE) if !has_apply => Verdict::WouldChange,
        // With an apply, 10 from the check means that it replaced our EXIT trap: a bug of a module.
        (Part::Check, _) => Verdict::CheckFailed,
        (Part::Apply, 0) => Verdict::Changed,
        (Part::Apply, _) => Verdict::ApplyFailed,
    }
}

/// Runs `stop.sh` over a second channel: for one step, or for the whole shell.
async fn stop(connection: &dyn Connection, host: &str, user: &Become, hello: &Hello, step: Option<u32>) -> Result<(), SessionError> {
    let mut text = format!("{{\nkw_pid={} kw_dir={} kw_grace={}", hello.pid, hello.directory, GRACE.as_millis() / 100);
    let _ = match step {
        Some(id) => write!(text, " kw_only={id} kw_all="),
        None => write!(text, " kw_only= kw_all={}", hello.pid),
    };
    let _ = write!(text, "\n{STOP}\n}}\n");
    let mut shell = elevate(connection, host, user, None, &[]).await?.process;
    // The kill script's own exit does not matter: the session's shell shows what came of it.
    tokio::spawn(async move {
        let _ = shell.stdin.write_all(text.as_bytes()).await;
        let _ = shell.stdin.shutdown().await;
        let _ = shell.exit.await;
    });
    Ok(())
}
