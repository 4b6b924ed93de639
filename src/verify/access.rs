//! How a host is looked at: one read-only program, and streams to addresses as the host sees them.

use crate::{
    connection::{Connection, Stream},
    shell::Sh,
};
use async_trait::async_trait;
use std::{io, sync::Arc};

/// A host that can be looked at.
#[async_trait]
pub trait Access: Send + Sync {
    /// Runs a program that only reads, as root, and returns its standard output, or why it could not be run.
    async fn read(&self, program: &Sh) -> Result<String, String>;
    /// A stream to `address:port` as seen from the host.
    async fn stream(&self, address: &str, port: u16) -> io::Result<Box<dyn Stream>>;
}

/// A host over its connection. `sudo`: the login user is not root.
pub fn over(connection: Arc<dyn Connection>, sudo: bool) -> Arc<dyn Access> {
    Arc::new(Over { connection, sudo })
}

struct Over {
    connection: Arc<dyn Connection>,
    sudo: bool,
}

#[async_trait]
impl Access for Over {
    async fn read(&self, program: &Sh) -> Result<String, String> {
        let command = if self.sudo { "exec sudo -n -- /bin/sh -s" } else { "exec /bin/sh -s" };
        let done = self.connection.run(command, program.as_str().as_bytes()).await.map_err(|e| e.to_string())?;
        if done.rc != 0 && done.stdout.is_empty() {
            return Err(format!("exit {}: {}", done.rc, String::from_utf8_lossy(&done.stderr).trim()));
        }
        Ok(String::from_utf8_lossy(&done.stdout).into_owned())
    }

    async fn stream(&self, address: &str, port: u16) -> io::Result<Box<dyn Stream>> {
        self.connection.open_stream(address, port).await.map_err(io::Error::other)
    }
}
