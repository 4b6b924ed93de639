//! Registries: names and addresses that containerd understands.

use crate::{
    spec::{ClusterSpec, place::Places},
    text::{Problem, Problems},
};
use std::collections::HashSet;

pub(super) fn check(spec: &ClusterSpec, places: &Places<'_>, problems: &mut Problems) {
    let mut seen = HashSet::new();
    for (i, registry) in spec.registries.iter().enumerate() {
        let at = |field: &str| places.at(&format!("registries.{i}.{field}"));
        let (name, port) = registry.host.split_once(':').unwrap_or((&registry.host, "443"));
        let sound = name.split('.').all(|label| !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'));
        if !sound || port.parse::<u16>().is_err() {
            let problem = Problem::at(&at("host"), format!("`{}` is not a registry as images name it", registry.host));
            problems.push(problem.hint("the part before the first slash: ghcr.io, registry.example.com:5000"));
        }
        if !seen.insert(&registry.host) {
            problems.push(Problem::at(&at("host"), format!("registry `{}` stands here twice", registry.host)));
        }
        if let Some(endpoint) = registry.endpoint.as_deref()
            && !endpoint.parse::<http::Uri>().is_ok_and(|uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some())
        {
            let problem = Problem::at(&at("endpoint"), format!("`{endpoint}` is not the address of a registry"));
            problems.push(problem.hint("write it like https://mirror.example.com:5000"));
        }
        if let Some(login) = &registry.login {
            let path = spec.directory.join(&login.password_file);
            if !path.is_file() {
                let problem = Problem::at(&at("password_file"), format!("there is no file {}", path.display()));
                problems.push(
                    problem.hint("a file beside cluster.yaml with the password or token and nothing else, mode 0600, in no repository"),
                );
            }
        }
    }
}
