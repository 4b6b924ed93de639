//! What travels: a [`Program`] of [`ProgramStep`]s to the host, [`Record`]s back.

use crate::shell::Sh;
use crate::text::Secret;
use bytes::Bytes;
use std::time::Duration;

/// Exit code of a step's check that means "would change".
pub const WOULD_CHANGE: i32 = 10;

/// Bytes that a step needs on the host, sent before the program and found by their hash in `$KW_BLOBS/SHA256`.
#[derive(Clone, PartialEq, Eq)]
pub struct Blob {
    /// Lower-case hex SHA-256 of the content.
    pub sha256: String,
    /// The content.
    pub content: Bytes,
    /// Never shown and never kept, neither here nor there.
    pub secret: bool,
}

impl std::fmt::Debug for Blob {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Blob({}, {} bytes)", self.sha256, self.content.len())
    }
}

/// One task (or one item of its loop) as sh.
///
/// `check` runs first: exit 0 = as wanted, [`WOULD_CHANGE`] = not so, anything else = failed. Then, and only after
/// [`WOULD_CHANGE`], `apply` runs, if there is one: exit 0 = changed, else failed. Both run as plain commands under
/// `set -eu` with stdin from /dev/null (or `stdin`), stdout and stderr captured, descriptors of the protocol closed.
/// Variables that check sets are visible to apply (same subshell).
#[derive(Clone, Debug)]
pub struct ProgramStep {
    /// Chosen by the caller, unique within the program.
    pub id: u32,
    /// Reads only.
    pub check: Sh,
    /// Writes; `None` in check mode and for steps that only look.
    pub apply: Option<Sh>,
    /// Go on with the next step even when this one fails (its exit code is data: command, shell, ignore_errors).
    pub keep_going: bool,
    /// After this long its process group gets TERM, then KILL.
    pub timeout: Option<Duration>,
    /// Standard input.
    pub stdin: Option<Secret<Bytes>>,
    /// Blobs that it reads.
    pub blobs: Vec<Blob>,
}

/// A batch: steps that are run one after the other, as one compound command, without waiting for us.
#[derive(Clone, Debug, Default)]
pub struct Program {
    /// The steps.
    pub steps: Vec<ProgramStep>,
}

/// How a step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Its check said: as wanted.
    Ok,
    /// Its check said "would change", and there was nothing to apply.
    WouldChange,
    /// Applied.
    Changed,
    /// Its check failed.
    CheckFailed,
    /// Its apply failed.
    ApplyFailed,
    /// Its time was up, and it was stopped.
    TimedOut,
}

/// What one step did and said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The step.
    pub id: u32,
    /// How it ended.
    pub verdict: Verdict,
    /// Exit code of the part that ran last.
    pub rc: i32,
    /// Standard output of check and apply together, at most 1 MiB.
    pub stdout: Bytes,
    /// Standard error, at most 1 MiB.
    pub stderr: Bytes,
    /// Whether something was cut off.
    pub truncated: bool,
    /// Host-side duration as we saw it: from `start` to `done`.
    pub elapsed: Duration,
}

/// What comes back while a program runs.
#[derive(Clone, Debug)]
pub enum Record {
    /// A step begins.
    Started(u32),
    /// A step ended.
    Done(Outcome),
}

/// As whom the shell runs.
#[derive(Clone, Debug)]
pub enum Become {
    /// As the login user.
    No,
    /// By sudo.
    Sudo {
        /// Target user, `root` mostly.
        user: String,
        /// Sent only after sudo printed our nonce prompt.
        password: Option<Secret<String>>,
    },
}

/// Why a session cannot go on.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SessionError {
    /// The connection.
    #[error(transparent)]
    Connection(#[from] crate::connection::ConnectionError),
    /// sudo refused, wants a tty or a password, or cannot run sh.
    #[error("{host}: cannot become {user}: {why}")]
    Become {
        /// Host.
        host: String,
        /// Target user.
        user: String,
        /// What sudo said.
        why: String,
    },
    /// The shell went away while a step ran. Modules may be run again; command and shell are reported.
    #[error("{host}: lost at step {step:?}: {why}")]
    LostAt {
        /// Host.
        host: String,
        /// The step that was running, if any had begun.
        step: Option<u32>,
        /// Why.
        why: String,
    },
    /// The other side does not speak our protocol (a broken shell, no space for temporary files).
    #[error("{host}: {why}")]
    Protocol {
        /// Host.
        host: String,
        /// What was seen.
        why: String,
    },
}
