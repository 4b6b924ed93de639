//! `node join`: the machines of `cluster.yaml` that are not in the cluster yet, and only these.

use super::{
    super::{Cluster, OpsError, names},
    Done, Step,
    journal::{self, Entry},
    look::{Known, Target},
    run,
};
use crate::{
    cluster,
    event::Events,
    spec::{ClusterSpec, Provider},
    text::{Problem, nearest},
};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// What stands in the journal while one joins.
const JOIN: &str = "join";

/// Which machines.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// These; empty: all that are missing.
    pub names: Vec<String>,
    /// Those of this pool.
    pub pool: Option<String>,
    /// At most so many.
    pub count: Option<u32>,
}

/// Makes what is missing and joins it. Nobody else is touched or waited for.
pub async fn join(
    cluster: &Cluster,
    wanted: &Wanted,
    dry_run: bool,
    events: &Events,
    cancel: &CancellationToken,
) -> Result<Done, OpsError> {
    let spec = &cluster.spec;
    check(spec, wanted)?;
    let (known, access) = Known::look(cluster).await?.api()?;
    let targets = known.targets(spec);
    let open = journal::read(&access.client).await?;
    // A Node is there before its join has come to its end.
    let unfinished = |t: &Target| open.get(&t.node_name).is_some_and(|e| e.operation == JOIN);
    let (missing, mut notes) = choose(spec, &targets, unfinished, wanted);
    if missing.iter().any(|t| t.is_control_plane()) && missing.len() > 1 {
        notes.push("control planes join one at a time".to_owned());
    }
    let names: Vec<String> = missing.iter().map(|t| t.name.clone()).collect();
    let make = cluster.provider.makes_machines();
    if dry_run {
        let steps = missing.iter().flat_map(|t| {
            let make = (make && t.machine.is_none()).then_some(Step::Make);
            make.into_iter().chain([Step::Join, Step::Check]).map(move |s| format!("{}: {}", t.name, s.title()))
        });
        return Ok(Done { steps: steps.collect(), notes });
    }
    if names.is_empty() {
        return Ok(Done { steps: Vec::new(), notes });
    }
    for target in &missing {
        let entry = Entry { operation: JOIN.to_owned(), machine: String::new(), since: jiff::Timestamp::now() };
        journal::begin(&access.client, &target.node_name, &entry).await?;
    }
    if make {
        let made = async {
            cluster.provider.apply_machines(spec, &names, events).await.map_err(OpsError::from)?;
            Ok::<_, OpsError>(())
        };
        events.change("node/join/make", "machines", None, made).await?;
    }
    let join = run::join(cluster, &names, &known.provision, &access, events, cancel);
    events.change("node/join/join", "install and join", None, join).await?;
    for target in &missing {
        let id = format!("node/join/{}/check", target.name);
        let check = cluster::wait_node_pods(&access.client, &target.node_name, Duration::from_secs(180));
        events.step(&id, &Step::Check.title(), Some(&target.name), check).await?;
        journal::end(&access.client, &target.node_name).await?;
    }
    Ok(Done { steps: names.iter().map(|n| format!("{n} joined")).collect(), notes })
}

/// Names and pools that are typed must be in `cluster.yaml`.
fn check(spec: &ClusterSpec, wanted: &Wanted) -> Result<(), OpsError> {
    let nodes = spec.nodes();
    names::known(&spec.name, &wanted.names, &nodes.iter().map(|n| n.name.as_str()).collect::<Vec<_>>())?;
    let Some(pool) = &wanted.pool else { return Ok(()) };
    let pools: Vec<&str> = spec.all_pools().map(|p| p.name.as_str()).collect();
    if pools.contains(&pool.as_str()) {
        return Ok(());
    }
    let problem = Problem::new(format!("cluster.yaml of {} has no pool {pool}", spec.name));
    let near = nearest(pool, pools.iter().copied());
    Err(OpsError::Invalid(
        problem.hint(near.map_or_else(|| format!("there are {}", pools.join(", ")), |n| format!("did you mean {n}?"))).into(),
    ))
}

/// The targets that are not in the cluster yet, or not altogether (`unfinished`), as many as were asked for; and what to say where
/// the specification has no more.
fn choose<'a>(
    spec: &ClusterSpec,
    targets: &'a [Target],
    unfinished: impl Fn(&Target) -> bool,
    wanted: &Wanted,
) -> (Vec<&'a Target>, Vec<String>) {
    let asked = |t: &&Target| {
        t.wanted && (wanted.names.is_empty() || wanted.names.contains(&t.name)) && wanted.pool.as_ref().is_none_or(|p| *p == t.pool)
    };
    let mut notes = Vec::new();
    let (inside, missing): (Vec<&Target>, Vec<&Target>) = targets.iter().filter(asked).partition(|t| t.node.is_some() && !unfinished(t));
    for target in inside.iter().filter(|t| wanted.names.contains(&t.name)) {
        notes.push(format!("{} is in the cluster already", target.name));
    }
    let count = wanted.count.map_or(missing.len(), |c| c as usize);
    let short = count.saturating_sub(missing.len());
    if short > 0 {
        notes.push(room(spec, wanted, missing.len(), short));
    } else if missing.is_empty() && wanted.names.is_empty() {
        notes.push("all machines of cluster.yaml are in the cluster; for more, raise a pool's count there".to_owned());
    }
    (missing.into_iter().take(count).collect(), notes)
}

/// How to ask for more machines than the specification has.
fn room(spec: &ClusterSpec, wanted: &Wanted, missing: usize, short: usize) -> String {
    if let Provider::Static(_) = spec.provider {
        return format!("cluster.yaml has {missing} more; add {short} to `hosts`, then run the same command");
    }
    let pool = spec.all_pools().find(|p| wanted.pool.as_ref().is_none_or(|w| *w == p.name) && p.name != ClusterSpec::CONTROL_PLANE);
    match pool {
        Some(pool) => format!(
            "pool {0} has room for {missing} more: cluster.yaml asks for {1}; set its count to {2} (pools: [{{name: {0}, count: {2}}}]), then run the same command",
            pool.name,
            pool.count,
            pool.count as usize + short
        ),
        None => format!("cluster.yaml has room for {missing} more; raise a pool's count there"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn targets(joined: &[&str]) -> (ClusterSpec, Vec<Target>) {
        let text = "cluster: t\nprovider: lab\npools: [{name: worker, count: 3}, {name: batch, count: 1}]\n";
        let spec = crate::spec::load_str("cluster.yaml", text, std::path::Path::new(".")).unwrap();
        let all = spec.nodes().into_iter().map(|n| Target {
            node_name: n.name.clone(),
            pool: n.pool.name.clone(),
            wanted: true,
            machine: None,
            node: joined.contains(&n.name.as_str()).then(Default::default),
            alive: true,
            name: n.name,
        });
        let all = all.collect();
        (spec, all)
    }

    fn chosen(joined: &[&str], wanted: &Wanted) -> (Vec<String>, String) {
        let (spec, all) = targets(joined);
        let (chosen, notes) = choose(&spec, &all, |_| false, wanted);
        (chosen.into_iter().map(|t| t.name.clone()).collect(), notes.join("; "))
    }

    #[test]
    fn what_is_missing_joins_up_to_what_was_asked_for() {
        let inside = ["control-plane-1", "worker-1"];
        assert_eq!(chosen(&inside, &Wanted::default()).0, ["worker-2", "worker-3", "batch-1"]);
        let pool = |count| Wanted { pool: Some("worker".into()), count, ..Wanted::default() };
        assert_eq!(chosen(&inside, &pool(None)).0, ["worker-2", "worker-3"]);
        assert_eq!(chosen(&inside, &pool(Some(1))), (vec!["worker-2".to_owned()], String::new()));
        let (names, note) = chosen(&inside, &pool(Some(4)));
        assert_eq!(names, ["worker-2", "worker-3"], "what there is room for");
        assert!(note.contains("asks for 3; set its count to 5"), "{note}");
        let (spec, all) = targets(&inside);
        let (again, _) = choose(&spec, &all, |t| t.name == "worker-1", &pool(None));
        assert_eq!(again.len(), 3, "a join that was interrupted after its Node was there goes on");
        let named = Wanted { names: vec!["worker-1".into(), "worker-3".into()], ..Wanted::default() };
        assert_eq!(chosen(&inside, &named), (vec!["worker-3".to_owned()], "worker-1 is in the cluster already".to_owned()));
    }

    #[test]
    fn the_same_command_again_has_nothing_to_do_and_says_so() {
        let inside = ["control-plane-1", "worker-1", "worker-2", "worker-3", "batch-1"];
        let (names, note) = chosen(&inside, &Wanted::default());
        assert!(names.is_empty() && note.contains("all machines of cluster.yaml are in the cluster"), "{note}");
        let more = Wanted { pool: Some("batch".into()), count: Some(2), ..Wanted::default() };
        let (names, note) = chosen(&inside, &more);
        assert!(names.is_empty() && note.contains("set its count to 3"), "{note}");
    }

    #[test]
    fn unknown_names_and_pools_are_refused_with_the_nearest() {
        let (spec, _) = targets(&[]);
        let refused = |wanted: Wanted| check(&spec, &wanted).unwrap_err().to_string();
        assert!(refused(Wanted { names: vec!["wroker-3".into()], ..Wanted::default() }).contains("did you mean worker-3?"));
        assert!(refused(Wanted { pool: Some("bach".into()), ..Wanted::default() }).contains("did you mean batch?"));
    }
}
