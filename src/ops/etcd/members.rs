//! etcd as the operator sees it: through whichever control plane works, with the client certificate that kubeadm makes for
//! API servers. It is read when it is needed and lives in memory only.

use crate::ops::{api::ApiError, control_planes::ControlPlanes};
use crate::{
    cluster::{
        ClusterError, Wait,
        etcd::{Etcd, Member, Seen, seats},
        quorum,
    },
    connection::Connection,
    kube::Credentials,
    text::Secret,
};
use std::{net::Ipv4Addr, sync::Arc, time::Duration};

/// How long a member that joined may take to catch up and get its vote.
const CATCH_UP: Duration = Duration::from_secs(120);

/// Parts of the answer, in this order.
const READ: &str = "exec sudo -n sh -c 'cd /etc/kubernetes/pki && cat etcd/ca.crt && echo @ && cat apiserver-etcd-client.crt && echo @ && cat apiserver-etcd-client.key'";

/// A client. Nothing of etcd is asked yet.
pub async fn client(control_planes: &ControlPlanes) -> Result<Etcd, ApiError> {
    let read = |host: String, connection: Arc<dyn Connection>| async move {
        let done = connection.run(READ, b"").await?;
        let mut parts = done.stdout.split(|b| *b == b'@').map(<[u8]>::to_vec);
        match (done.rc, parts.next(), parts.next(), parts.next()) {
            (0, Some(ca), Some(certificate), Some(key)) => Ok(Credentials { ca, certificate, key: Secret::new(key) }),
            _ => Err(ApiError::NotInitialised { host }),
        }
    };
    let none = || ApiError::NotInitialised { host: "the cluster".to_owned() };
    let credentials = control_planes.first(read).await.map_err(|errors: Vec<ApiError>| errors.into_iter().next().unwrap_or_else(none))?;
    Ok(Etcd::new(control_planes.at(), credentials, Ipv4Addr::LOCALHOST))
}

/// The member that is, or stands in the way of, a machine.
pub fn member_of<'a>(members: &'a [Seen], node: &str, address: Ipv4Addr) -> Option<&'a Seen> {
    let at = |m: &&Seen| m.member.address() == Some(address);
    members.iter().find(at).or_else(|| members.iter().find(|m| m.member.name == node))
}

/// Makes etcd take a new member for a machine that is about to join: every other member must be well, and what an earlier
/// machine of this name or address left is taken out first. Returns what was (or, in a dry run, would be) removed.
pub async fn make_room(etcd: &Etcd, node: &str, address: Ipv4Addr, dry_run: bool) -> Result<Vec<String>, ClusterError> {
    let mut removed = Vec::new();
    loop {
        let members = etcd.look().await?;
        let Some(stale) = member_of(&members, node, address) else {
            let all = seats(&members);
            if let Some(sick) = members.iter().find(|m| !m.healthy()) {
                let (name, why) = (sick.member.label(), sick.trouble().unwrap_or_default());
                return Err(ClusterError::Quorum(quorum::Refusal {
                    why: format!("{node} cannot join while {name} is sick: {why} ({})", quorum::Tally::of(&all)),
                    hint: "mend or replace it first: one change of members at a time".to_owned(),
                }));
            }
            return Ok(removed);
        };
        quorum::removal(&seats(&members), &stale.member.label())?;
        removed.push(format!("{} ({:x})", stale.member.label(), stale.member.id));
        if dry_run {
            return Ok(removed);
        }
        etcd.remove(&stale.member).await?;
    }
}

/// Waits until a machine's member has its vote and is well; a learner that has caught up is given it.
pub async fn wait_voter(etcd: &Etcd, node: &str, address: Ipv4Addr) -> Result<(), ClusterError> {
    let mut wait = Wait::new(format!("etcd member {node} votes and is well"), CATCH_UP);
    loop {
        let last = match etcd.look().await {
            Err(error) => error.to_string(),
            Ok(members) => match member_of(&members, node, address) {
                None => "there is no such member".to_owned(),
                Some(Seen { member: member @ Member { learner: true, .. }, .. }) => {
                    let promoted = etcd.promote(member).await;
                    promoted.err().map_or_else(|| "just promoted".to_owned(), |e| e.to_string())
                }
                Some(seen) => match seen.trouble() {
                    None => return Ok(()),
                    Some(why) => why,
                },
            },
        };
        wait.not_yet(last).await?;
    }
}
