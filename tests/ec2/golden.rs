//! Every request that changes something for the default cluster, as text that can be compared with EC2's documentation; and
//! the policy against the calls in the source.

use crate::{
    on_model,
    spec::{default_cluster, three_control_planes},
    wire::{Form, changes},
};
use kubewright::{
    event::Events,
    infra::{Provider, Volumes},
    spec::ClusterSpec,
};
use std::{collections::BTreeSet, fmt::Write, fs, path::Path};

/// Compares with a file; `UPDATE_GOLDEN=1` writes it.
fn golden(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/aws").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, text).unwrap();
    }
    let before = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        before == text,
        "{} differs (UPDATE_GOLDEN=1 records it):\n{}",
        path.display(),
        similar::TextDiff::from_lines(&before, text).unified_diff()
    );
}

#[tokio::test]
async fn the_requests_of_the_default_cluster() {
    let home = tempfile::tempdir().unwrap();
    let [plan, apply, destroy] = requests(&default_cluster(home.path())).await;
    golden("plan.txt", &plan.join("\n"));
    golden("apply.txt", &apply.join("\n"));
    golden("destroy.txt", &destroy.join("\n"));
}

#[tokio::test]
async fn the_requests_that_three_control_planes_add() {
    let home = tempfile::tempdir().unwrap();
    let three = requests(&three_control_planes(home.path())).await;
    let one = requests(&default_cluster(home.path())).await;
    for (name, (three, one)) in ["plan", "apply", "destroy"].into_iter().zip(three.into_iter().zip(one)) {
        let more: Vec<String> = three.into_iter().filter(|request| !one.contains(request)).collect();
        golden(&format!("three-control-planes-{name}.txt"), &more.join("\n"));
    }
}

/// What a cluster's whole life sends: a plan before there is anything, what makes it, what takes it away.
async fn requests(spec: &ClusterSpec) -> [Vec<String>; 3] {
    let (model, wire, provider) = on_model();
    provider.plan(spec).await.unwrap();
    let mut reads = wire.take_log();
    provider.apply(spec, &Events::none()).await.unwrap();
    let up = wire.take_log();
    let names: Vec<(String, String)> = model
        .lock()
        .all
        .iter()
        .map(|(id, r)| (id.clone(), format!("<{}>", r.tags.get("kubewright.dev/resource").map_or(r.kind, String::as_str))))
        .collect();
    // What a plan asks of a cluster that exists, once its things are known.
    provider.plan(spec).await.unwrap();
    reads.extend(wire.take_log());
    provider.destroy(spec, Volumes::Delete, &Events::none()).await.unwrap();
    let down = wire.take_log();
    [texts(reads.iter(), &names), texts(up.iter().filter(|f| changes(f)), &names), texts(down.iter().filter(|f| changes(f)), &names)]
}

/// Requests as text, sorted: steps that do not depend on each other have no order.
fn texts<'a>(forms: impl Iterator<Item = &'a Form>, names: &[(String, String)]) -> Vec<String> {
    let blocks: BTreeSet<String> = forms
        .map(|form| {
            let mut block = format!("{}\n", form["Action"]);
            for (key, value) in form.iter().filter(|(k, _)| !matches!(k.as_str(), "Action" | "Version")) {
                let value = match key.as_str() {
                    "ClientToken" => "(token)",
                    "UserData" => "(#cloud-config with the one-time host key, Base64)",
                    "PublicKeyMaterial" => "(the operator's public key, Base64)",
                    _ if value.starts_with("ssh-ed25519 ") => "(the one-time host key's public half)",
                    _ => value,
                };
                let named = names.iter().find(|(id, _)| id == value || value == format!("eipassoc-{id}")).map_or(value, |(_, n)| n);
                writeln!(block, "  {key} = {named}").unwrap();
            }
            block
        })
        .collect();
    blocks.into_iter().collect()
}

#[test]
fn the_policy_allows_exactly_the_calls_that_are_made() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let call = regex::Regex::new(r#""([A-Z][A-Za-z]+)",\s*(?:Effect::|Takes|self\.api|call\b|ec2\.|api\.ec2)"#).unwrap();
    let mut made = BTreeSet::new();
    for file in fs::read_dir(root.join("src/infra/aws")).unwrap() {
        let source = fs::read_to_string(file.unwrap().path()).unwrap();
        for found in call.captures_iter(&source) {
            made.insert(kubewright::infra::aws::errors::iam_action(&found[1]));
        }
    }
    let policy: serde_json::Value = serde_json::from_str(&fs::read_to_string(root.join("docs/iam-policy.json")).unwrap()).unwrap();
    let allowed: BTreeSet<String> = policy["Statement"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|s| s["Action"].as_array().unwrap())
        .map(|a| a.as_str().unwrap().to_owned())
        .collect();
    assert!(made.len() > 40, "{made:?}");
    assert_eq!(made, allowed);
}

/// What the provider sends in tests is what the source says: the scan above misses nothing.
#[tokio::test]
async fn the_calls_of_a_whole_life_are_in_the_policy() {
    let home = tempfile::tempdir().unwrap();
    let spec = three_control_planes(home.path());
    let (_, wire, provider) = on_model();
    provider.survey(&spec).await.unwrap();
    provider.apply(&spec, &Events::none()).await.unwrap();
    provider.list(&spec).await.unwrap();
    provider.destroy(&spec, Volumes::Delete, &Events::none()).await.unwrap();
    let policy = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/iam-policy.json")).unwrap();
    for form in wire.take_log() {
        assert!(policy.contains(&format!(":{}\"", form["Action"])), "{} is not in the policy", form["Action"]);
    }
}

#[tokio::test]
async fn the_cost_of_the_default_cluster() {
    let home = tempfile::tempdir().unwrap();
    golden("cost.txt", &cost(&default_cluster(home.path())).await);
    golden("three-control-planes-cost.txt", &cost(&three_control_planes(home.path())).await);
}

async fn cost(spec: &ClusterSpec) -> String {
    let (_, _, provider) = on_model();
    let cost = provider.survey(spec).await.unwrap().cost;
    assert!(!cost.incomplete);
    let sum: f64 = cost.lines.iter().map(|l| l.monthly_each.unwrap() * l.count as f64).sum();
    assert!((cost.monthly - sum).abs() < 1e-9);
    let mut text = format!("{} prices of {}\n", cost.region, cost.prices_of);
    for line in &cost.lines {
        writeln!(
            text,
            "{:>4} × {:<20} {:>8.2} USD a month{}",
            line.count,
            line.what,
            line.monthly_each.unwrap() * line.count as f64,
            line.note.as_deref().map_or(String::new(), |n| format!(" ({n})"))
        )
        .unwrap();
    }
    writeln!(text, "{:.2} USD a month", cost.monthly).unwrap();
    text
}
