//! Server-side apply of a manifest's documents, with what changed per object.

use super::{KubeError, error::chain};
use crate::{event::Diff, text::SourceFile};
use ::kube::{
    Api, Client,
    api::{ApiResource, DynamicObject, Patch, PatchParams},
    core::GroupVersionKind,
    discovery::{self, ApiCapabilities, Scope},
};
use futures::{StreamExt, TryStreamExt, stream};
use serde::Serialize;
use serde_json::Value;
use std::{collections::HashMap, time::Duration};

/// One object after an apply (or, in a dry run, as it would be).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Applied {
    /// Its kind.
    pub kind: String,
    /// Its namespace, where it has one.
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
    /// Whether the server stored something new.
    pub changed: bool,
    /// Before and after, without what the server adds; `None` when nothing changed. Secrets' data is masked.
    pub diff: Option<Diff>,
}

impl Applied {
    /// `Deployment kube-system/coredns`.
    pub fn subject(&self) -> String {
        match &self.namespace {
            Some(namespace) => format!("{} {namespace}/{}", self.kind, self.name),
            None => format!("{} {}", self.kind, self.name),
        }
    }
}

/// The objects of a multi-document manifest; `List`s are taken apart, empty documents are dropped.
pub fn documents(yaml: &str) -> Result<Vec<Value>, KubeError> {
    let bad = |number: usize, why: &dyn std::fmt::Display| KubeError::Manifest { number, why: why.to_string() };
    let file = SourceFile::new("manifest", yaml);
    let parsed = crate::yaml::parse(&file).map_err(|problems| bad(1, &problems))?;
    let parsed = parsed.iter().enumerate().map(|(index, node)| serde_json::to_value(node.to_value()).map_err(|e| bad(index + 1, &e)));
    let parsed = parsed.collect::<Result<Vec<Value>, _>>()?;
    let mut out = Vec::new();
    for document in parsed {
        match document {
            Value::Null => {}
            Value::Object(mut map) if map.get("kind").is_some_and(|k| k == "List") => {
                if let Some(Value::Array(items)) = map.remove("items") {
                    out.extend(items);
                }
            }
            other => out.push(other),
        }
    }
    Ok(out)
}

/// Applies objects as `manager`, taking over fields of other managers. Namespaces and custom resource definitions go
/// first, the rest side by side. With `dry_run` the server checks and answers, but stores nothing.
pub async fn apply(client: &Client, documents: &[Value], manager: &str, dry_run: bool) -> Result<Vec<Applied>, KubeError> {
    let mut kinds = HashMap::new();
    let mut done: Vec<(usize, Applied)> = Vec::with_capacity(documents.len());
    for rank in 0..=1 {
        let wave: Vec<_> = documents.iter().enumerate().filter(|(_, d)| rank_of(d) == rank).collect();
        let mut ready = Vec::with_capacity(wave.len());
        for (index, document) in wave {
            let object = Object::read(index, document)?;
            if !kinds.contains_key(&object.gvk) {
                kinds.insert(object.gvk.clone(), discover(client, &object, dry_run).await?);
            }
            ready.push((index, object));
        }
        let kinds = &kinds;
        let applied: Vec<_> = stream::iter(ready)
            .map(|(index, object)| async move {
                let applied = match &kinds[&object.gvk] {
                    Some(kind) => object.apply(client, kind, manager, dry_run).await?,
                    None => object.created(None),
                };
                Ok::<_, KubeError>((index, applied))
            })
            .buffer_unordered(8)
            .try_collect()
            .await?;
        done.extend(applied);
    }
    done.sort_by_key(|(index, _)| *index);
    Ok(done.into_iter().map(|(_, applied)| applied).collect())
}

/// 0 for what others stand in or are instances of.
fn rank_of(document: &Value) -> u8 {
    u8::from(!matches!(document["kind"].as_str(), Some("Namespace" | "CustomResourceDefinition")))
}

type Kind = (ApiResource, ApiCapabilities);

/// How the API serves a kind. A definition that was applied a moment ago needs a moment; in a dry run it may not
/// exist at all (`None`).
async fn discover(client: &Client, object: &Object, dry_run: bool) -> Result<Option<Kind>, KubeError> {
    let mut tries = 0;
    loop {
        match discovery::pinned_kind(client, &object.gvk).await {
            Ok(kind) => return Ok(Some(kind)),
            Err(::kube::Error::Api(_) | ::kube::Error::Discovery(_)) if dry_run => return Ok(None),
            Err(::kube::Error::Api(_) | ::kube::Error::Discovery(_)) if tries < 20 => {
                tries += 1;
                tokio::time::sleep(Duration::from_millis(250)).await;
            }
            Err(e) => return Err(KubeError::api(format!("looking up kind {}", object.gvk.kind))(e)),
        }
    }
}

struct Object {
    gvk: GroupVersionKind,
    namespace: Option<String>,
    name: String,
    value: Value,
}

impl Object {
    fn read(index: usize, document: &Value) -> Result<Self, KubeError> {
        let text = |value: &Value| value.as_str().filter(|s| !s.is_empty()).map(str::to_owned);
        let missing = |what: &str| KubeError::Manifest { number: index + 1, why: format!("no {what}") };
        let version = text(&document["apiVersion"]).ok_or_else(|| missing("apiVersion"))?;
        let (group, version) = version.split_once('/').unwrap_or(("", &version));
        let kind = text(&document["kind"]).ok_or_else(|| missing("kind"))?;
        Ok(Self {
            gvk: GroupVersionKind::gvk(group, version, &kind),
            namespace: text(&document["metadata"]["namespace"]),
            name: text(&document["metadata"]["name"]).ok_or_else(|| missing("metadata.name"))?,
            value: document.clone(),
        })
    }

    async fn apply(&self, client: &Client, kind: &Kind, manager: &str, dry_run: bool) -> Result<Applied, KubeError> {
        let (resource, capabilities) = kind;
        let api: Api<DynamicObject> = match (&capabilities.scope, &self.namespace) {
            (Scope::Cluster, _) => Api::all_with(client.clone(), resource),
            (Scope::Namespaced, Some(namespace)) => Api::namespaced_with(client.clone(), namespace, resource),
            (Scope::Namespaced, None) => Api::default_namespaced_with(client.clone(), resource),
        };
        let what = format!("{} {}", self.gvk.kind, self.name);
        let before = api.get_opt(&self.name).await.map_err(KubeError::api(format!("reading {what}")))?;
        let mut params = PatchParams::apply(manager).force();
        params.dry_run = dry_run;
        let after = match api.patch(&self.name, &params, &Patch::Apply(&self.value)).await {
            // Its namespace is one of those that a real run would have created a moment before.
            Err(::kube::Error::Api(status)) if dry_run && status.code == 404 && before.is_none() => {
                return Ok(self.created(None));
            }
            other => other.map_err(KubeError::api(format!("applying {what}")))?,
        };
        let Some(before) = before else { return Ok(self.created(Some(&after))) };
        let (old, new) = (readable(&before), readable(&after));
        // Not the resourceVersion: it also counts bookkeeping (managedFields), and controllers write in between.
        let changed = old != new;
        let diff = changed.then(|| Diff { subject: self.subject(), before: old, after: new });
        Ok(Applied { changed, diff, ..self.created(None) })
    }

    fn subject(&self) -> String {
        self.namespace
            .as_ref()
            .map_or_else(|| format!("{} {}", self.gvk.kind, self.name), |ns| format!("{} {ns}/{}", self.gvk.kind, self.name))
    }

    fn created(&self, after: Option<&DynamicObject>) -> Applied {
        let text = after.map_or_else(|| yaml_text(masked(self.value.clone())), readable);
        Applied {
            kind: self.gvk.kind.clone(),
            namespace: self.namespace.clone(),
            name: self.name.clone(),
            changed: true,
            diff: Some(Diff { subject: self.subject(), before: String::new(), after: text }),
        }
    }
}

/// What a person would have written: without bookkeeping and status.
fn readable(object: &DynamicObject) -> String {
    let mut value = serde_json::to_value(object).unwrap_or_default();
    if let Some(map) = value.as_object_mut() {
        map.remove("status");
    }
    if let Some(metadata) = value["metadata"].as_object_mut() {
        for noise in ["managedFields", "resourceVersion", "generation", "uid", "creationTimestamp", "selfLink"] {
            metadata.remove(noise);
        }
    }
    yaml_text(masked(value))
}

fn masked(mut value: Value) -> Value {
    if value["kind"] == "Secret" {
        for field in ["data", "stringData"] {
            for (_, secret) in value.get_mut(field).and_then(Value::as_object_mut).into_iter().flatten() {
                *secret = "[secret]".into();
            }
        }
    }
    value
}

fn yaml_text(value: Value) -> String {
    serde_saphyr::to_string(&value).unwrap_or_else(|e| format!("# {}\n", chain(&e)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_taken_apart_and_empty_documents_dropped() {
        let text = "---\n---\nkind: List\nitems: [{kind: A}, {kind: B}]\n---\nkind: C\n";
        let kinds: Vec<_> = documents(text).unwrap().iter().map(|d| d["kind"].clone()).collect();
        assert_eq!(kinds, ["A", "B", "C"]);
    }

    #[test]
    fn a_secret_does_not_show_in_a_diff() {
        let value = serde_json::json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"p": "hunter2"}});
        let applied = Object::read(0, &value).unwrap().created(None);
        let text = applied.diff.unwrap().after;
        assert!(text.contains("[secret]") && !text.contains("hunter2"), "{text}");
    }

    #[test]
    fn a_nameless_document_is_named_by_its_number() {
        let error = Object::read(2, &serde_json::json!({"apiVersion": "v1", "kind": "Pod"})).err().unwrap();
        assert_eq!(error.to_string(), "manifest document 3: no metadata.name");
    }
}
