//! How a command ends: exit codes, and errors as people read them.

use crate::{
    ops::OpsError,
    report,
    text::{Problem, Problems},
};
use std::process::ExitCode;

/// A command that did what it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 0
    Done,
    /// 3: `plan` found something to do.
    Changes,
    /// 4: some hosts failed or could not be reached.
    HostsFailed,
    /// 5: the cluster is not healthy.
    Unhealthy,
    /// Another program's own code (kubectl, ssh).
    Code(u8),
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Changes => 3,
            Exit::HostsFailed => 4,
            Exit::Unhealthy => 5,
            Exit::Code(code) => code,
        })
    }
}

/// A command that could not do it.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Exit 1: a bug or a broken environment.
    #[error("{0}")]
    Internal(String),
    /// Exit 2: what was typed or written is wrong; nothing was touched.
    #[error("{0}")]
    Invalid(Problems),
    /// Everything that `ops` can say; it knows its own code.
    #[error(transparent)]
    Ops(#[from] OpsError),
}

impl From<Problems> for Failure {
    fn from(problems: Problems) -> Self {
        Self::Invalid(problems)
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self::Invalid(problem.into())
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::Internal(error.to_string())
    }
}

impl Failure {
    fn code(&self) -> u8 {
        match self {
            Self::Internal(_) => 1,
            Self::Invalid(_) => 2,
            Self::Ops(error) => error.exit_code(),
        }
    }

    fn problems(&self) -> Option<&Problems> {
        match self {
            Self::Invalid(problems) | Self::Ops(OpsError::Invalid(problems)) => Some(problems),
            _ => None,
        }
    }
}

/// Shows a failure on stderr: with source excerpts where it is about a file, else what, why and what to do.
pub fn show(failure: &Failure) -> ExitCode {
    let mut text;
    if let Some(problems) = failure.problems() {
        text = report::problems(problems, super::global::colour());
        if problems.0.len() > 1 {
            text.push_str(&format!("{} problems; nothing was touched\n", problems.0.len()));
        }
    } else {
        text = format!("error: {}\n", report::clean(&failure.to_string()));
        if let Failure::Ops(error) = failure
            && let Some(hint) = error.hint()
        {
            text.push_str(&format!("hint: {}\n", report::clean(&hint)));
        }
    }
    report::err(&text);
    ExitCode::from(failure.code())
}
