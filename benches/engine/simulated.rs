//! A thousand hosts in one process: russh's server half, real shells. Prints an inventory, serves until its input ends.

use kubewright::connection::testing::{Behaviour, TestServer};
use russh::keys::{Algorithm, PrivateKey, key::safe_rng};
use std::{
    fmt::Write as _,
    io::Read as _,
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::net::TcpListener;

/// What the hosts of a run are like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hosts {
    /// All are well.
    Well,
    /// One in ten accepts a connection and says nothing, or hangs up in the middle of its work.
    OneInTenIll,
}

/// Starts `count` hosts and writes `inventory.ini`, `known_hosts` into `dir`.
pub async fn serve(count: usize, hosts: Hosts, key: &Path, dir: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let host_key = PrivateKey::random(&mut safe_rng(), Algorithm::Ed25519)?;
    let line = host_key.public_key().to_openssh()?;
    let operator = russh::keys::load_public_key(key.with_extension("pub"))?;
    let (mut inventory, mut known) = (String::new(), String::new());
    let (mut servers, mut silent) = (Vec::new(), Vec::new());
    for i in 0..count {
        let ill = hosts == Hosts::OneInTenIll && i % 10 == 7;
        let port = if ill && i % 20 == 7 {
            let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
            let port = listener.local_addr()?.port();
            silent.push(tokio::spawn(async move {
                let mut held = Vec::new();
                while let Ok((socket, _)) = listener.accept().await {
                    held.push(socket);
                }
            }));
            port
        } else {
            let behaviour = Behaviour { host_keys: vec![host_key.clone()], authorized: vec![operator.clone()], ..Behaviour::default() };
            let server = TestServer::start(behaviour).await?;
            let port = server.endpoint("").port;
            servers.push((server, ill));
            port
        };
        writeln!(inventory, "h{i} ansible_host=127.0.0.1 ansible_port={port} base={}", dir.join(format!("h{i}")).display())?;
        writeln!(known, "[127.0.0.1]:{port} {line}")?;
    }
    write!(inventory, "[all:vars]\nansible_user=tester\nansible_ssh_private_key_file={}\n", key.display())?;
    std::fs::write(dir.join("known_hosts"), known)?;
    // Last: who waits for it finds all else.
    let ready: PathBuf = dir.join("inventory.new");
    std::fs::write(&ready, inventory)?;
    std::fs::rename(ready, dir.join("inventory.ini"))?;
    // The dying ones: whoever is connected is cut off, again and again.
    let dying = async {
        loop {
            tokio::time::sleep(Duration::from_millis(50)).await;
            servers.iter().filter(|(server, ill)| *ill && server.connections() > 0).for_each(|(server, _)| server.cut());
        }
    };
    let ended = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
    tokio::select! { () = dying => {}, _ = ended => {} }
    Ok(())
}
