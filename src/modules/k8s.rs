//! `k8s`, `k8s_info`, `helm`, `helm_repository`: thin wrappers over the kubectl and helm of the host they run on.
//! What differs is asked of `kubectl diff` and `helm list`. Our own playbooks use the API itself (`kube_*`).

use super::{
    ArgError, ModuleDef, OptionType as T,
    args::{Opts, entries, opt, to_text},
    outcome,
    script::Script,
};
use minijinja::{Value, value::ValueKind};

/// `kubernetes.core.k8s`
pub static K8S: ModuleDef = ModuleDef {
    names: &["k8s"],
    options: &[
        opt("state", T::Str).choices(&["present", "absent", "patched"]),
        opt("definition", T::Raw).alias(&["resource_definition", "inline"]),
        opt("src", T::Path),
        opt("template", T::Raw),
        opt("kind", T::Str),
        opt("name", T::Str),
        opt("namespace", T::Str),
        opt("api_version", T::Str).alias(&["api", "version"]),
        opt("kubeconfig", T::Path),
        opt("context", T::Str),
        opt("apply", T::Bool),
        opt("server_side_apply", T::Dict),
        opt("force", T::Bool),
        opt("merge_type", T::List),
        opt("wait", T::Bool),
        opt("wait_timeout", T::Int),
        opt("wait_sleep", T::Int),
        opt("wait_condition", T::Dict),
        opt("validate_certs", T::Bool),
    ],
    free_form: false,
    facts: &[],
    compile: |args, env| {
        let o = Opts::read(&K8S, args)?;
        let state = o.text_or("state", "present");
        let script = cluster(&o)
            .set("kw_state", &state)
            .set("kw_namespace", &o.text_or("namespace", ""))
            .flag("kw_server", o.has("server_side_apply"))
            .set("kw_wait", if o.flag("wait", false) { "true" } else { "" })
            .set("kw_timeout", &o.int("wait_timeout").unwrap_or(120).to_string());
        let manifest = match (o.value("definition"), o.value("template"), o.text("src")) {
            (Some(definition), ..) => Some(yaml(definition)),
            (None, Some(template), _) => {
                let path = template.get_attr("path").ok().filter(|p| !p.is_undefined()).map_or_else(|| to_text(template), |p| to_text(&p));
                let file = (env.read)("templates", &path).map_err(ArgError)?;
                Some((env.render)(&file, args).map_err(ArgError)?)
            }
            (None, None, Some(src)) => return Ok(script.args(&["-f".to_owned(), src]).plain("kw_k8s_check \"$@\"", "kw_k8s_apply \"$@\"")),
            (None, None, None) => None,
        };
        let manifest = match (manifest, o.text("kind"), o.text("name")) {
            (Some(manifest), ..) => manifest,
            (None, Some(kind), Some(name)) => {
                let mut meta = vec![("name", Value::from(name))];
                meta.extend(o.text("namespace").map(|n| ("namespace", n.into())));
                let whole =
                    [("apiVersion", o.text_or("api_version", "v1").into()), ("kind", kind.into()), ("metadata", Value::from_pairs(meta))];
                to_text(&Value::from_pairs(whole))
            }
            _ => return Err(ArgError("k8s needs definition, src, template, or kind and name".into())),
        };
        // A manifest may hold a Secret.
        let script = script.blob("kw_manifest", manifest, true);
        Ok(script.plain("kw_k8s_check -f \"$KW_BLOBS/$kw_manifest\"", "kw_k8s_apply -f \"$KW_BLOBS/$kw_manifest\""))
    },
};

fn cluster(o: &Opts) -> Script {
    Script::new().set_sh("kw_kubeconfig", &o.path("kubeconfig")).set("kw_context", &o.text_or("context", ""))
}

/// Text as it is; a mapping or a list of mappings as JSON documents, which are YAML too.
fn yaml(definition: &Value) -> String {
    match definition.kind() {
        ValueKind::Seq | ValueKind::Iterable => {
            definition.try_iter().map(|i| i.map(|d| to_text(&d)).collect::<Vec<_>>().join("\n---\n")).unwrap_or_default()
        }
        _ => to_text(definition),
    }
}

/// `kubernetes.core.k8s_info`
pub static K8S_INFO: ModuleDef = ModuleDef {
    names: &["k8s_info", "k8s_facts"],
    options: &[
        opt("kind", T::Str).req(),
        opt("name", T::Str),
        opt("namespace", T::Str),
        opt("api_version", T::Str).alias(&["api", "version"]),
        opt("label_selectors", T::List),
        opt("field_selectors", T::List),
        opt("kubeconfig", T::Path),
        opt("context", T::Str),
        opt("validate_certs", T::Bool),
    ],
    free_form: false,
    facts: &[],
    compile: |args, _| {
        let o = Opts::read(&K8S_INFO, args)?;
        // KIND.VERSION.GROUP tells kubectl which one is meant.
        let kind = match o.text("api_version").as_deref().and_then(|v| v.split_once('/')) {
            Some((group, version)) => format!("{}.{version}.{group}", o.text_or("kind", "")),
            None => o.text_or("kind", ""),
        };
        let mut words = vec![kind];
        words.extend(o.text("name"));
        match o.text("namespace") {
            Some(namespace) => words.extend(["-n".to_owned(), namespace]),
            None if !o.has("name") => words.push("--all-namespaces".to_owned()),
            None => {}
        }
        for (name, flag) in [("label_selectors", "-l"), ("field_selectors", "--field-selector")] {
            let list = o.list(name);
            if !list.is_empty() {
                words.extend([flag.to_owned(), list.join(",")]);
            }
        }
        Ok(cluster(&o).args(&words).look(
            "kw_k8s_info_check \"$@\"",
            outcome::with(|result, said, _| {
                let value: Value = serde_json::from_str(said.text.trim()).unwrap_or_default();
                let items = value.get_attr("items").ok().filter(|i| !i.is_undefined());
                let resources = items.unwrap_or_else(|| {
                    if value.kind() == ValueKind::Map { Value::from(vec![value]) } else { Value::from(Vec::<Value>::new()) }
                });
                result.fields.insert("api_found".into(), true.into());
                result.fields.insert("resources".into(), resources);
            }),
        ))
    },
};

/// `kubernetes.core.helm`
pub static HELM: ModuleDef = ModuleDef {
    names: &["helm"],
    options: &[
        opt("name", T::Str).alias(&["release_name"]).req(),
        opt("chart_ref", T::Path),
        opt("chart_version", T::Str),
        opt("chart_repo_url", T::Str),
        opt("namespace", T::Str).alias(&["release_namespace"]),
        opt("state", T::Str).alias(&["release_state"]).choices(&["present", "absent"]),
        opt("values", T::Dict).alias(&["release_values"]),
        opt("values_files", T::List),
        opt("set_values", T::Raw),
        opt("create_namespace", T::Bool),
        opt("update_repo_cache", T::Bool),
        opt("wait", T::Bool),
        opt("wait_timeout", T::Str),
        opt("timeout", T::Str),
        opt("atomic", T::Bool),
        opt("force", T::Bool),
        opt("kubeconfig", T::Path).alias(&["kubeconfig_path"]),
        opt("context", T::Str).alias(&["kube_context"]),
        opt("purge", T::Bool),
        opt("replace", T::Bool),
        opt("disable_hook", T::Bool),
        opt("skip_crds", T::Bool),
    ],
    free_form: false,
    facts: &[],
    compile: |args, _| {
        let o = Opts::read(&HELM, args)?;
        let state = o.text_or("state", "present");
        if state == "present" && !o.has("chart_ref") {
            return Err(ArgError("helm needs 'chart_ref' with state: present".into()));
        }
        let chart = o.text_or("chart_ref", "");
        let version = o.text_or("chart_version", "");
        let mut more: Vec<String> = o.list("values_files").into_iter().flat_map(|f| ["-f".to_owned(), f]).collect();
        if let Some(sets) = o.value("set_values") {
            for set in sets.try_iter().into_iter().flatten() {
                let text = |key: &str| set.get_attr(key).map(|v| to_text(&v)).unwrap_or_default();
                let flag = if text("value_type") == "string" { "--set-string" } else { "--set" };
                more.extend([flag.to_owned(), text("value")]);
            }
        }
        if o.flag("skip_crds", false) {
            more.push("--skip-crds".into());
        }
        if o.flag("disable_hook", false) {
            more.push("--no-hooks".into());
        }
        // Values that are files or single settings cannot be compared here: then helm decides, every time.
        let force = o.flag("force", false) || o.has("values_files") || o.has("set_values");
        let base = chart.trim_end_matches('/').rsplit('/').next().unwrap_or_default().to_owned();
        Ok(cluster(&o)
            .set("kw_name", &o.text_or("name", ""))
            .set("kw_namespace", &o.text_or("namespace", "default"))
            .set("kw_state", &state)
            .set("kw_chart", &chart)
            .set("kw_chart_name", &base)
            .set("kw_version", &version)
            .set("kw_repo", &o.text_or("chart_repo_url", ""))
            .blob("kw_values", sorted(&Value::from_pairs(o.dict("values"))), true)
            .flag("kw_create", o.flag("create_namespace", false))
            .flag("kw_update", o.flag("update_repo_cache", false))
            .flag("kw_wait", o.flag("wait", false))
            .flag("kw_atomic", o.flag("atomic", false))
            .flag("kw_force", force)
            .set("kw_timeout", &o.text("timeout").or_else(|| o.text("wait_timeout")).unwrap_or_default())
            .args(&more)
            .plain("kw_helm_check", "kw_helm_apply \"$@\""))
    },
};

/// JSON with sorted keys, as helm prints it.
fn sorted(value: &Value) -> String {
    match value.kind() {
        ValueKind::Map => {
            let mut pairs: Vec<(String, String)> = entries(value).iter().map(|(k, v)| (k.clone(), sorted(v))).collect();
            pairs.sort();
            let fields: Vec<String> = pairs.iter().map(|(k, v)| format!("{}:{v}", serde_json::to_string(k).unwrap_or_default())).collect();
            format!("{{{}}}", fields.join(","))
        }
        ValueKind::Seq | ValueKind::Iterable => {
            format!("[{}]", value.try_iter().map(|i| i.map(|v| sorted(&v)).collect::<Vec<_>>().join(",")).unwrap_or_default())
        }
        _ => serde_json::to_string(value).unwrap_or_default(),
    }
}

/// `kubernetes.core.helm_repository`
pub static HELM_REPOSITORY: ModuleDef = ModuleDef {
    names: &["helm_repository"],
    options: &[
        opt("name", T::Str).alias(&["repo_name"]).req(),
        opt("repo_url", T::Str).alias(&["url"]),
        opt("state", T::Str).alias(&["repo_state"]).choices(&["present", "absent"]),
        opt("force_update", T::Bool),
        opt("kubeconfig", T::Path),
    ],
    free_form: false,
    facts: &[],
    compile: |args, _| {
        let o = Opts::read(&HELM_REPOSITORY, args)?;
        let script = Script::new().set("kw_name", &o.text_or("name", "")).set("kw_url", &o.text_or("repo_url", ""));
        Ok(script.set("kw_state", &o.text_or("state", "present")).plain("kw_helm_repo_check", "kw_helm_repo_apply"))
    },
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::{Root, SHELLS, converges, step};

    #[test]
    fn a_manifest_is_applied_when_it_differs() {
        let prepare = |root: &Root| {
            root.stub(
                "kubectl",
                r#"case "$*" in *diff*) [ -e "$R/applied" ] ;; *apply*) for f; do :; done; cat "$f" >"$R/applied" ;; esac"#,
            );
        };
        converges(&K8S, r#"{"definition":[{"kind":"A"},{"kind":"B"}]}"#, prepare, |root| {
            assert_eq!(root.read("applied"), "{\"kind\": \"A\"}\n---\n{\"kind\": \"B\"}");
        });
    }

    #[test]
    fn information_is_a_list() {
        for (json, count) in [(r#"{"items":[{"a":1},{"a":2}]}"#, 2), (r#"{"kind":"Node"}"#, 1), ("", 0)] {
            let root = Root::new(SHELLS[0]);
            root.write("answer", json);
            root.stub("kubectl", r#"cat "$R/answer""#);
            let (_, result) = root.result(&step(&K8S_INFO, r#"{"kind":"Node"}"#), false);
            assert_eq!(result.fields["resources"].len(), Some(count), "{json}");
        }
    }

    #[test]
    fn a_release_is_installed_once() {
        let prepare = |root: &Root| {
            root.stub(
                "helm",
                r#"case "$*" in *'list'*) cat "$R/list" 2>/dev/null || echo '[]' ;; *'get values'*) cat "$R/values" ;;
*upgrade*) echo '[{"name":"m","status":"deployed","chart":"metrics-3.1"}]' >"$R/list"; while [ "$1" != -f ]; do shift; done; cat "$2" >"$R/values" ;; esac"#,
            );
        };
        let args =
            r#"{"name":"m","chart_ref":"repo/metrics","chart_version":"3.1","namespace":"k","values":{"b":[1,{"z":1,"y":2}],"a":"x"}}"#;
        converges(&HELM, args, prepare, |root| assert_eq!(root.read("values"), r#"{"a":"x","b":[1,{"y":2,"z":1}]}"#));
    }
}
