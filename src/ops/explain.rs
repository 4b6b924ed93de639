//! Why did a run of the shipped playbooks fail? The hosts that failed are looked at, and one known cause comes first.

use super::Cluster;
use crate::{
    engine::{Network, RunSummary},
    event::{Events, Kind},
    infra::Provision,
    verify::{Cause, in_message, on_host, over, ranked},
};
use futures::future::join_all;
use std::time::Duration;

/// A host that cannot be reached quickly is not waited for: that it cannot be reached is the cause, then.
const PATIENCE: Duration = Duration::from_secs(10);
/// More than this explains nothing.
const MOST: usize = 3;

/// Says why, as events, where a known cause is found. `since`: how long ago the run began.
pub async fn failure(cluster: &Cluster, provision: &Provision, summary: &RunSummary, since: Duration, events: &Events) {
    if summary.cancelled || summary.failed.is_empty() {
        return;
    }
    let connector = cluster.connector(provision);
    // Who only waited for another says what that one said.
    let failed = summary.failed.iter().filter(|(_, message)| !message.contains("waits for `"));
    let looks = failed.map(|(host, message)| look(cluster, &connector, host, message, since));
    let causes = ranked(join_all(looks).await.into_iter().flatten().collect());
    for cause in causes.into_iter().take(MOST) {
        events.emit(Kind::Cause {
            host: cause.host,
            cause: cause.signature.cause.to_owned(),
            fix: cause.signature.fix.to_owned(),
            source: cause.source,
            line: cause.line,
        });
    }
}

/// What a task said is the nearest; the logs are asked where it says nothing that is known.
async fn look(cluster: &Cluster, connector: &Network, host: &str, message: &str, since: Duration) -> Vec<Cause> {
    let said = in_message(host, message);
    if said.iter().any(|c| !c.signature.passing) {
        return said;
    }
    let Ok(Ok(connection)) = tokio::time::timeout(PATIENCE, connector.connect(host)).await else { return said };
    let access = over(connection, cluster.spec.access.user != "root");
    match on_host(&*access, host, since).await {
        Ok(found) => said.into_iter().chain(found).collect(),
        Err(why) => {
            tracing::debug!(host, why, "its logs could not be read");
            said
        }
    }
}
