//! etcd's own API, through a stream that somebody else opened: members, their health, changes of membership.
//!
//! It speaks JSON over HTTPS (etcd's gRPC gateway, on the same port as gRPC; etcd.io/docs/v3.6/dev-guide/api_grpc_gateway):
//! no program is needed on the hosts, no local port, and the client's key stays in memory. 64-bit numbers are strings there,
//! and what is zero, false or empty is left out.

use super::{ClusterError, quorum::Seat};
use crate::kube::{Api, Credentials, Dial, Https};
use futures::future::{BoxFuture, join_all};
use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::{Value, json};
use std::{net::Ipv4Addr, sync::Arc, time::Duration};

/// Port of etcd's clients.
pub const CLIENT_PORT: u16 = 2379;
/// Port between members.
pub const PEER_PORT: u16 = 2380;
/// A member that says nothing for so long is down.
const PATIENCE: Duration = Duration::from_secs(4);
/// A change of members waits for a vote of the others.
const CHANGE: Duration = Duration::from_secs(15);

/// A member as the others know it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Member {
    /// Its id.
    #[serde(rename = "ID", deserialize_with = "number")]
    pub id: u64,
    /// Its name; empty until it has started for the first time.
    #[serde(default)]
    pub name: String,
    /// Where the others reach it.
    #[serde(rename = "peerURLs", default)]
    pub peer_urls: Vec<String>,
    /// Where clients reach it; empty until it has started for the first time.
    #[serde(rename = "clientURLs", default)]
    pub client_urls: Vec<String>,
    /// It does not vote yet.
    #[serde(rename = "isLearner", default)]
    pub learner: bool,
}

impl Member {
    /// Its address, from the URL that peers use.
    pub fn address(&self) -> Option<Ipv4Addr> {
        self.peer_urls.iter().chain(&self.client_urls).find_map(|url| {
            let host = url.split_once("://")?.1;
            host.split([':', '/']).next()?.parse().ok()
        })
    }

    /// What to call it.
    pub fn label(&self) -> String {
        if self.name.is_empty() { format!("{:x} ({})", self.id, self.peer_urls.join(", ")) } else { self.name.clone() }
    }
}

/// What a member says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Status {
    /// Its version.
    #[serde(default)]
    pub version: String,
    /// Size of its database file, bytes.
    #[serde(rename = "dbSize", default, deserialize_with = "number")]
    pub db_size: u64,
    /// Of these, bytes that are in use.
    #[serde(rename = "dbSizeInUse", default, deserialize_with = "number")]
    pub db_size_in_use: u64,
    /// Id of the leader; 0: there is none.
    #[serde(default, deserialize_with = "number")]
    pub leader: u64,
    /// The last entry that it has of the log.
    #[serde(rename = "raftIndex", default, deserialize_with = "number")]
    pub raft_index: u64,
    /// What it complains about: alarms, no leader.
    #[serde(default)]
    pub errors: Vec<String>,
}

/// A member, and what it says; `Err`: why it says nothing.
#[derive(Clone, Debug)]
pub struct Seen {
    /// As the others know it.
    pub member: Member,
    /// As it is.
    pub status: Result<Status, String>,
}

impl Seen {
    /// Whether it answers, has a leader and complains about nothing.
    pub fn healthy(&self) -> bool {
        self.trouble().is_none()
    }

    /// What is wrong with it.
    pub fn trouble(&self) -> Option<String> {
        match &self.status {
            Err(why) => Some(why.clone()),
            Ok(status) if status.leader == 0 => Some("it has no leader".to_owned()),
            Ok(status) if !status.errors.is_empty() => Some(status.errors.join("; ")),
            Ok(_) => None,
        }
    }
}

/// The members as arithmetic sees them.
pub fn seats(members: &[Seen]) -> Vec<Seat> {
    members.iter().map(|m| Seat { name: m.member.label(), voter: !m.member.learner, healthy: m.healthy() }).collect()
}

/// Opens a stream to an address, as seen from the control plane that is worked through.
pub type DialAt = Arc<dyn Fn(Ipv4Addr, u16) -> BoxFuture<'static, std::io::Result<Box<dyn crate::connection::Stream>>> + Send + Sync>;

/// etcd, through one of its members.
#[derive(Clone)]
pub struct Etcd {
    dial: DialAt,
    credentials: Credentials,
    entry: Ipv4Addr,
}

impl Etcd {
    /// Through the member at `entry` (127.0.0.1: the machine that is worked through). Dials nothing yet.
    pub fn new(dial: DialAt, credentials: Credentials, entry: Ipv4Addr) -> Self {
        Self { dial, credentials, entry }
    }

    /// The members. The answer is the quorum's, not one member's memory: without a quorum there is none.
    pub async fn members(&self) -> Result<Vec<Member>, ClusterError> {
        #[derive(Deserialize)]
        struct List {
            #[serde(default)]
            members: Vec<Member>,
        }
        let list: List = self.ask(self.entry, "cluster/member/list", json!({"linearizable": true}), PATIENCE).await?;
        Ok(list.members)
    }

    /// The members with what each says of itself, asked side by side.
    pub async fn look(&self) -> Result<Vec<Seen>, ClusterError> {
        let members = self.members().await?;
        Ok(join_all(members.into_iter().map(|member| async move {
            let status = match member.address() {
                Some(address) => self.status(address).await.map_err(|e| e.to_string()),
                None => Err("it has no address".to_owned()),
            };
            Seen { member, status }
        }))
        .await)
    }

    /// What the member at an address says of itself.
    pub async fn status(&self, address: Ipv4Addr) -> Result<Status, ClusterError> {
        self.ask(address, "maintenance/status", json!({}), PATIENCE).await
    }

    /// Takes a member out. One that is gone already is fine.
    pub async fn remove(&self, member: &Member) -> Result<(), ClusterError> {
        let removed: Result<Value, _> = self.ask(self.entry, "cluster/member/remove", json!({"ID": member.id.to_string()}), CHANGE).await;
        match removed {
            Err(ClusterError::Etcd { why, .. }) if why.contains("member not found") => Ok(()),
            other => other.map(drop),
        }
    }

    /// Gives a learner its vote. One that votes already is fine.
    pub async fn promote(&self, member: &Member) -> Result<(), ClusterError> {
        let promoted: Result<Value, _> = self.ask(self.entry, "cluster/member/promote", json!({"ID": member.id.to_string()}), CHANGE).await;
        match promoted {
            Err(ClusterError::Etcd { why, .. }) if why.contains("not a learner") => Ok(()),
            other => other.map(drop),
        }
    }

    async fn ask<T: DeserializeOwned>(&self, at: Ipv4Addr, what: &str, body: Value, within: Duration) -> Result<T, ClusterError> {
        let failed = |why: String| ClusterError::Etcd { doing: format!("{what} at {at}"), why };
        let dial_at = Arc::clone(&self.dial);
        let dial: Dial = Arc::new(move || dial_at(at, CLIENT_PORT));
        let api = Api { address: at.to_string(), port: CLIENT_PORT, server_name: at.to_string() };
        let https = Https::new(dial, &api, &self.credentials).map_err(|e| failed(e.to_string()))?;
        let answer = tokio::time::timeout(within, https.post(&format!("/v3/{what}"), &body)).await;
        let answer = answer.map_err(|_| failed(format!("no answer within {} s", within.as_secs())))?;
        let (code, text) = answer.map_err(|e| failed(e.to_string()))?;
        let said = |text: &[u8]| -> String {
            let value: Value = serde_json::from_slice(text).unwrap_or_default();
            let message = value["message"].as_str().or_else(|| value["error"].as_str()).map(str::to_owned);
            message.unwrap_or_else(|| String::from_utf8_lossy(text).trim().to_owned())
        };
        if code != 200 {
            return Err(failed(said(&text)));
        }
        serde_json::from_slice(&text).map_err(|e| failed(format!("its answer cannot be read: {e}")))
    }
}

/// A 64-bit number as protobuf's JSON writes it: a string.
fn number<'de, D: Deserializer<'de>>(d: D) -> Result<u64, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Number {
        Text(String),
        Number(u64),
    }
    match Number::deserialize(d)? {
        Number::Text(text) => text.parse().map_err(serde::de::Error::custom),
        Number::Number(number) => Ok(number),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_as_etcd_writes_them() {
        // etcd 3.6.8, `curl …/v3/cluster/member/list`.
        let text = r#"{"ID":"10276657743932975437","name":"control-plane-1","peerURLs":["https://10.0.0.10:2380"],"clientURLs":["https://10.0.0.10:2379"]}"#;
        let member: Member = serde_json::from_str(text).unwrap();
        assert_eq!((member.id, member.address(), member.learner), (10_276_657_743_932_975_437, Some([10, 0, 0, 10].into()), false));
        let unstarted: Member = serde_json::from_str(r#"{"ID":"17","peerURLs":["https://10.0.0.20:2380"],"isLearner":true}"#).unwrap();
        assert_eq!((unstarted.label().as_str(), unstarted.learner), ("11 (https://10.0.0.20:2380)", true));
        let status: Status =
            serde_json::from_str(r#"{"version":"3.6.8","dbSize":"20480","leader":"17","raftIndex":"9","dbSizeInUse":"16384"}"#).unwrap();
        assert_eq!((status.db_size, status.leader, status.errors.len()), (20480, 17, 0));
    }

    #[test]
    fn a_member_that_complains_is_sick() {
        let member: Member = serde_json::from_str(r#"{"ID":"1","name":"a"}"#).unwrap();
        let seen = |status: Result<&str, &str>| Seen {
            member: member.clone(),
            status: status.map(|s| serde_json::from_str(s).unwrap()).map_err(str::to_owned),
        };
        assert!(seen(Ok(r#"{"leader":"1"}"#)).healthy());
        assert_eq!(seen(Ok("{}")).trouble().as_deref(), Some("it has no leader"));
        assert_eq!(seen(Ok(r#"{"leader":"1","errors":["etcdserver: NOSPACE"]}"#)).trouble().as_deref(), Some("etcdserver: NOSPACE"));
        assert_eq!(seen(Err("no answer within 4 s")).trouble().as_deref(), Some("no answer within 4 s"));
    }
}
