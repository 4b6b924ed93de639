//! `destroy`: first what controllers of the cluster made outside of it, by themselves, while they live; then everything that the
//! provider made.

use super::{Cluster, OpsError};
use crate::{
    cluster::{Outside, outside, take_away},
    event::Events,
    infra::{Action, Change, Volumes},
};
use std::time::Duration;

/// How long the API may take to answer; it may be down, and the cluster is to go anyway.
const API: Duration = Duration::from_secs(45);
/// How long controllers may take: a load balancer needs some minutes.
const CONTROLLERS: Duration = Duration::from_mins(5);

/// What would be deleted, and what a person should know beside it. Reads only.
pub async fn plan(cluster: &Cluster, volumes: Volumes) -> Result<(Vec<Change>, Vec<String>), OpsError> {
    let mut notes = Vec::new();
    let mut changes = match look(cluster).await {
        Ok(found) => found.map(|(_, what)| deletions(&what, volumes)).unwrap_or_default(),
        Err(why) => {
            notes.push(unseen(&why));
            Vec::new()
        }
    };
    changes.extend(cluster.provider.plan_destroy(&cluster.spec, volumes).await?);
    Ok((changes, notes))
}

/// Deletes everything of the cluster. Returns what was deleted.
pub async fn run(cluster: &Cluster, volumes: Volumes, events: &Events) -> Result<Vec<Change>, OpsError> {
    let mut deleted = Vec::new();
    match look(cluster).await {
        Ok(None) => {}
        Ok(Some((client, what))) => {
            deleted = deletions(&what, volumes);
            let gone = take_away(&client, &what, volumes == Volumes::Delete, CONTROLLERS);
            let title = "load balancers and volumes go by their controllers";
            if let Err(why) = events.step("destroy/outside", title, None, gone).await {
                events.warn(format!("{why}; what they left is looked for by its tags"));
            }
        }
        Err(why) => events.warn(unseen(&why)),
    }
    deleted.extend(cluster.provider.destroy(&cluster.spec, volumes, events).await?);
    Ok(deleted)
}

fn unseen(why: &str) -> String {
    format!(
        "load balancers and volumes that the cluster made are not known, because its API does not answer ({why}); they are looked for by their tags"
    )
}

/// `None`: there is nothing, or nobody who could have made something.
async fn look(cluster: &Cluster) -> Result<Option<(::kube::Client, Outside)>, String> {
    if !cluster.provider.has_controllers() {
        return Ok(None);
    }
    let found = async {
        let provision = cluster.provider.discover(&cluster.spec).await?;
        if provision.machines.is_empty() {
            return Ok(None);
        }
        let connector = cluster.connector(&provision);
        let client = cluster.api(&provision, &connector).await?.client;
        let what = outside(&client).await?;
        Ok::<_, OpsError>((!what.is_empty()).then_some((client, what)))
    };
    match tokio::time::timeout(API, found).await {
        Ok(found) => found.map_err(|e| e.to_string()),
        Err(_) => Err(format!("no answer within {} s", API.as_secs())),
    }
}

fn deletions(what: &Outside, volumes: Volumes) -> Vec<Change> {
    let change = |kind: &str, name: String, details: Vec<String>| Change { action: Action::Delete, kind: kind.to_owned(), name, details };
    let services =
        what.services.iter().map(|(s, leads)| change("load balancer of Service", s.to_string(), leads.iter().cloned().collect()));
    let claims = what.claims.iter().filter(|_| volumes == Volumes::Delete);
    services.chain(claims.map(|(c, v)| change("volume of claim", c.to_string(), vec![v.clone()]))).collect()
}
