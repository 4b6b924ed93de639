//! What no tool can be faster than: russh connects to all hosts at once and sends each the same hand-written program.

use russh::{
    ChannelMsg,
    client::{self, AuthResult},
    keys::{PrivateKeyWithHashAlg, PublicKeyOrCertificate, load_secret_key},
};
use std::{path::Path, sync::Arc};

/// Whoever answers: what a check of the host key costs is not worth a line here.
struct Anyone;

impl client::Handler for Anyone {
    type Error = russh::Error;

    async fn check_server_key(&mut self, _: &PublicKeyOrCertificate) -> Result<bool, russh::Error> {
        Ok(true)
    }
}

/// `HOST:PORT`s; the program runs as root there.
pub async fn run(user: &str, key: &Path, program: &str, hosts: &[String]) -> Result<(), Box<dyn std::error::Error>> {
    let key = Arc::new(load_secret_key(key, None)?);
    let config = Arc::new(client::Config { nodelay: true, ..client::Config::default() });
    let one = async |host: &String| -> Result<(), Box<dyn std::error::Error>> {
        let mut session = client::connect(Arc::clone(&config), host.as_str(), Anyone).await?;
        let login = session.authenticate_publickey(user, PrivateKeyWithHashAlg::new(Arc::clone(&key), None)).await?;
        if !matches!(login, AuthResult::Success) {
            return Err(format!("{host}: login refused").into());
        }
        let mut channel = session.channel_open_session().await?;
        channel.exec(true, "exec sudo -n sh").await?;
        channel.data(program.as_bytes()).await?;
        channel.eof().await?;
        let (mut said, mut code) = (Vec::new(), None);
        while let Some(message) = channel.wait().await {
            match message {
                ChannelMsg::Data { data } | ChannelMsg::ExtendedData { data, .. } => said.extend_from_slice(&data),
                ChannelMsg::ExitStatus { exit_status } => code = Some(exit_status),
                _ => {}
            }
        }
        match code {
            Some(0) => Ok(()),
            code => Err(format!("{host}: {code:?}: {}", String::from_utf8_lossy(&said)).into()),
        }
    };
    for ended in futures::future::join_all(hosts.iter().map(one)).await {
        ended?;
    }
    Ok(())
}
