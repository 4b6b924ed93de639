//! Which control planes are initialised, before anything is done: one of them leads a run, and a second cluster is never
//! made by accident.
//!
//! `kubeadm init` runs on the leading control plane only, and only when it is known that there is no cluster: no other
//! control plane has one, none is out of sight, and no worker belongs to one.

use super::OpsError;
use crate::{
    cluster,
    connection::Connection,
    engine::Network,
    infra::{Machine, MachineState, Provision},
    spec::ClusterSpec,
};
use futures::{StreamExt as _, future::join_all, stream::FuturesUnordered};
use std::{collections::BTreeSet, sync::Arc, time::Duration};
use tokio::time::Instant;

/// What a run begins with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// The control plane through which the cluster is worked on: one that is initialised, else the one to initialise.
    pub lead: Option<String>,
    /// Control planes that are initialised.
    pub initialised: BTreeSet<String>,
}

/// What a machine is, by its files.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Role {
    /// A control plane that was finished; whether its API server listens.
    ControlPlane { ca: String, listening: bool },
    /// etcd was being restored here.
    Restoring,
    /// `kubeadm init` or `join` was interrupted here; `init`: it was init.
    Interrupted { init: bool },
    /// It has kubelet's credentials, and nothing of a control plane.
    Worker { ca: String },
    /// It belongs to no cluster.
    Nothing,
}

/// Looks at files only. 192B is port 6443, 0A a listening socket.
const PROGRAM: &str = r#"exec sudo -n sh -c '
k=/etc/kubernetes
if [ -e $k/kubewright-restore.started ]; then echo restore
elif [ -e $k/kubewright-init.started ]; then echo init
elif [ -e $k/kubewright-join.started ]; then echo join
elif [ -s $k/admin.conf ] && [ -s $k/manifests/kube-apiserver.yaml ]; then
  if grep -qs ":192B [0-9A-F]*:0000 0A" /proc/net/tcp /proc/net/tcp6; then echo listening; else echo silent; fi
elif [ -s $k/kubelet.conf ]; then echo worker
else echo nothing; fi
cat $k/pki/ca.crt 2>/dev/null || :'"#;

/// Once a control plane is known to have the cluster, how long the others are waited for: a dead one is not waited for to
/// the end of its time.
const OTHERS: Duration = Duration::from_secs(10);

/// Looks at the machines that were there before this run; new ones cannot belong to a cluster.
pub async fn survey(spec: &ClusterSpec, connector: &Network, before: &[Machine], now: &[Machine]) -> Result<Survey, OpsError> {
    let is_plane = |m: &&Machine| m.pool == ClusterSpec::CONTROL_PLANE;
    let planes: Vec<&Machine> = now.iter().filter(is_plane).collect();
    let existed = |m: &Machine| before.iter().any(|b| b.id == m.id);
    let Some(first) = planes.first() else { return Ok(Survey::default()) };
    let looked = look_at_all(connector, planes.iter().filter(|m| existed(m)).map(|m| m.name.clone()).collect()).await;
    if let Some(survey) = decide(&looked)? {
        return Ok(survey);
    }
    // No cluster in sight: then no worker may belong to one either, or its control planes are gone and it must be restored.
    let workers = now.iter().filter(|m| !is_plane(m) && existed(m) && m.state == MachineState::Running);
    let members = join_all(workers.map(|m| async { (m.name.clone(), look(connector, &m.name).await) })).await;
    let members: Vec<&str> = members.iter().filter(|(_, r)| matches!(r, Ok(Role::Worker { .. }))).map(|(n, _)| n.as_str()).collect();
    if !members.is_empty() {
        return Err(OpsError::Refused {
            what: format!(
                "{} belong{} to a cluster whose control plane is gone: another `kubeadm init` would make a second cluster and lose the first",
                members.join(", "),
                if members.len() == 1 { "s" } else { "" }
            ),
            hint: format!(
                "bring it back from a snapshot: kubewright etcd restore -i {0}; to give it up: kubewright reset -i {0}",
                spec.directory.display()
            ),
        });
    }
    let interrupted = looked.iter().find(|(_, r)| matches!(r, Ok(Role::Interrupted { init: true }))).map(|(name, _)| name.clone());
    Ok(Survey { lead: Some(interrupted.unwrap_or_else(|| first.name.clone())), initialised: BTreeSet::new() })
}

/// Running workers that belong to a cluster with another CA (its hash). Those that cannot be reached are not named.
pub async fn workers_of_another(connector: &Network, provision: &Provision, ca_hash: &str) -> Vec<String> {
    let workers = provision.machines.iter().filter(|m| m.pool != ClusterSpec::CONTROL_PLANE && m.state == MachineState::Running);
    let looked = join_all(workers.map(|m| async { (m.name.clone(), look(connector, &m.name).await) })).await;
    looked.into_iter().filter(|(_, role)| matches!(role, Ok(Role::Worker { ca }) if ca != ca_hash)).map(|(name, _)| name).collect()
}

async fn look_at_all(connector: &Network, names: Vec<String>) -> Vec<(String, Result<Role, String>)> {
    let mut looks: FuturesUnordered<_> =
        names.iter().enumerate().map(|(i, name)| async move { (i, look(connector, name).await) }).collect();
    let mut seen: Vec<Result<Role, String>> = names.iter().map(|name| Err(format!("{name} did not answer in time"))).collect();
    let mut until: Option<Instant> = None;
    loop {
        let next = match until {
            None => looks.next().await,
            Some(until) => tokio::time::timeout_at(until, looks.next()).await.unwrap_or(None),
        };
        let Some((i, role)) = next else { break };
        if matches!(role, Ok(Role::ControlPlane { listening: true, .. })) {
            until.get_or_insert_with(|| Instant::now() + OTHERS);
        }
        if let Some(slot) = seen.get_mut(i) {
            *slot = role;
        }
    }
    drop(looks);
    names.into_iter().zip(seen).collect()
}

/// From what was seen of the control planes; `None`: there is no cluster, as far as they are concerned.
fn decide(looked: &[(String, Result<Role, String>)]) -> Result<Option<Survey>, OpsError> {
    let initialised: Vec<(&String, &String, bool)> = looked
        .iter()
        .filter_map(|(name, role)| match role {
            Ok(Role::ControlPlane { ca, listening }) => Some((name, ca, *listening)),
            _ => None,
        })
        .collect();
    if let [(one, ca, _), rest @ ..] = &initialised[..]
        && let Some((other, ..)) = rest.iter().find(|(_, other, _)| other != ca)
    {
        return Err(OpsError::Refused {
            what: format!("{one} and {other} are control planes of two different clusters (their CAs differ)"),
            hint: format!("find out which one is wanted, and take the other off: kubewright reset {other}"),
        });
    }
    if let Some((name, _)) = looked.iter().find(|(_, role)| matches!(role, Ok(Role::Restoring))) {
        return Err(OpsError::Refused {
            what: format!("the cluster was being restored on {name}, and that was not finished"),
            hint: "run the same `kubewright etcd restore` again".to_owned(),
        });
    }
    let lead = initialised.iter().find(|(.., listening)| *listening).or(initialised.first());
    if let Some((lead, ..)) = lead {
        let initialised = initialised.iter().map(|(name, ..)| (*name).clone()).collect();
        return Ok(Some(Survey { lead: Some((*lead).clone()), initialised }));
    }
    // While one is out of sight it may be the one that has the cluster: then it leads, and fails for all that wait for it.
    let unseen = looked.iter().find(|(_, role)| role.is_err());
    Ok(unseen.map(|(name, _)| Survey { lead: Some(name.clone()), initialised: BTreeSet::new() }))
}

async fn look(connector: &Network, name: &str) -> Result<Role, String> {
    let connection: Arc<dyn Connection> = connector.connect(name).await.map_err(|e| e.to_string())?;
    let done = connection.run(PROGRAM, b"").await.map_err(|e| e.to_string())?;
    if done.rc != 0 {
        return Err(format!("{name}: {}", String::from_utf8_lossy(&done.stderr).trim()));
    }
    parse(&String::from_utf8_lossy(&done.stdout)).ok_or_else(|| format!("{name}: an answer that makes no sense"))
}

fn parse(text: &str) -> Option<Role> {
    let (word, pem) = text.split_once('\n')?;
    let ca = || cluster::ca_hash(pem.as_bytes()).unwrap_or_default();
    Some(match word {
        "restore" => Role::Restoring,
        "init" | "join" => Role::Interrupted { init: word == "init" },
        "listening" | "silent" => Role::ControlPlane { ca: ca(), listening: word == "listening" },
        "worker" => Role::Worker { ca: ca() },
        "nothing" => Role::Nothing,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plane(name: &str, ca: &str, listening: bool) -> (String, Result<Role, String>) {
        (name.to_owned(), Ok(Role::ControlPlane { ca: ca.to_owned(), listening }))
    }

    fn with(name: &str, role: Result<Role, &str>) -> (String, Result<Role, String>) {
        (name.to_owned(), role.map_err(str::to_owned))
    }

    #[test]
    fn the_first_control_plane_is_not_special() {
        let survey = decide(&[with("a", Ok(Role::Nothing)), plane("b", "x", false), plane("c", "x", true)]).unwrap().unwrap();
        assert_eq!(survey.lead.as_deref(), Some("c"), "the one whose API server listens");
        assert_eq!(survey.initialised.into_iter().collect::<Vec<_>>(), ["b", "c"]);
        let survey = decide(&[with("a", Err("dead")), plane("b", "x", true)]).unwrap().unwrap();
        assert_eq!(survey.lead.as_deref(), Some("b"), "one that is out of sight is left alone");
        let survey = decide(&[with("a", Ok(Role::Interrupted { init: true })), plane("b", "x", true)]).unwrap().unwrap();
        assert_eq!(survey.lead.as_deref(), Some("b"), "never init beside a cluster");
    }

    #[test]
    fn a_second_cluster_is_impossible() {
        let refused = |looked: &[_]| decide(looked).unwrap_err().to_string();
        let survey = decide(&[with("b", Ok(Role::Nothing)), with("a", Err("no answer"))]).unwrap().unwrap();
        assert_eq!((survey.lead.as_deref(), survey.initialised.len()), (Some("a"), 0), "nobody else is initialised beside it");
        assert!(refused(&[plane("a", "x", true), plane("b", "y", true)]).contains("two different clusters"));
        assert_eq!(decide(&[with("a", Ok(Role::Nothing)), with("b", Ok(Role::Interrupted { init: false }))]).unwrap(), None);
    }

    #[test]
    fn what_a_machine_says() {
        assert_eq!(parse("nothing\n"), Some(Role::Nothing));
        assert_eq!(parse("init\n"), Some(Role::Interrupted { init: true }));
        assert!(matches!(parse("listening\nno certificate"), Some(Role::ControlPlane { listening: true, .. })));
        assert_eq!(parse(""), None);
    }
}
