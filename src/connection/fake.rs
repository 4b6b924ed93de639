//! A connection that answers by a script. Strict: what is not in the script fails, so that a typo cannot pass.

use super::{Connection, ConnectionError, Finished, Process, Stream};
use async_trait::async_trait;
use futures::FutureExt;
use std::{
    collections::VecDeque,
    io::Cursor,
    sync::{Mutex, PoisonError},
};

/// A scripted host.
#[derive(Debug, Default)]
pub struct Fake {
    name: String,
    answers: Mutex<VecDeque<(String, Finished)>>,
    ran: Mutex<Vec<String>>,
}

impl Fake {
    /// A host with an empty script.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// Answers exactly `command`, once, with this exit code and standard output.
    #[must_use]
    pub fn on(self, command: &str, rc: i32, stdout: &str) -> Self {
        let finished = Finished { rc, stdout: stdout.as_bytes().to_vec(), stderr: Vec::new() };
        self.answers.lock().unwrap_or_else(PoisonError::into_inner).push_back((command.to_owned(), finished));
        self
    }

    /// What was run, in order.
    pub fn ran(&self) -> Vec<String> {
        self.ran.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Commands of the script that nobody ran.
    pub fn left(&self) -> Vec<String> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner).iter().map(|(c, _)| c.clone()).collect()
    }
}

#[async_trait]
impl Connection for Fake {
    fn describe(&self) -> String {
        format!("{} (fake)", self.name)
    }

    async fn exec(&self, command: &str) -> Result<Process, ConnectionError> {
        self.ran.lock().unwrap_or_else(PoisonError::into_inner).push(command.to_owned());
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let found = answers.iter().position(|(c, _)| c == command).and_then(|i| answers.remove(i));
        let Some((_, finished)) = found else {
            return Err(ConnectionError::Local { host: self.name.clone(), why: format!("not in the script: {command}") });
        };
        Ok(Process {
            stdin: Box::new(tokio::io::sink()),
            stdout: Box::new(Cursor::new(finished.stdout)),
            stderr: Box::new(Cursor::new(finished.stderr)),
            exit: async move { Ok(finished.rc) }.boxed(),
        })
    }

    async fn open_stream(&self, address: &str, port: u16) -> Result<Box<dyn Stream>, ConnectionError> {
        Err(ConnectionError::Local { host: self.name.clone(), why: format!("not in the script: a stream to {address}:{port}") })
    }

    async fn close(&self) {}
}
