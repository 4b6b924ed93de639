//! Secrets out of texts that leave the cluster. What is collected is chosen so that few can be there; this is the second fence.

use regex::{Captures, Regex};
use serde_json::Value;
use std::{borrow::Cow, collections::BTreeMap, sync::LazyLock};

const MARK: &str = "[redacted]";

/// Secrets known by their form, by name.
static FORMS: LazyLock<Vec<(&str, Regex)>> = LazyLock::new(|| {
    let form = |name, pattern: &str| (name, Regex::new(pattern).expect("a pattern of ours"));
    vec![
        form("private key", r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----(?s:.*?)(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|\z)"),
        form("age key", r"AGE-SECRET-KEY-1[0-9A-Za-z]+"),
        form("JSON web token", r"\beyJ[\w-]{8,}\.[\w-]{4,}\.[\w-]*"),
        form("bootstrap token", r"\b[a-z0-9]{6}\.[a-z0-9]{16}\b"),
        form("AWS access key", r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
        form("password hash", r"\$(?:1|5|6|y|2[aby])\$[./A-Za-z0-9$=,]{8,}"),
        form("authorization header", r"(?i)\b(?:bearer|basic)\s+[\w.~+/=-]{12,}"),
    ]
});

/// `scheme://user:password@`
static IN_URL: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\b([a-z][a-z0-9+.-]*://[^/\s:@]+):([^/\s@]+)@").expect("a pattern of ours"));

/// A name that says secret, and its value.
static NAMED: LazyLock<Regex> = LazyLock::new(|| {
    let name = r"[\w.-]*(?:passw(?:or)?d|passphrase|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|certificate[_-]?key|key-data|credential)[\w-]*";
    let value = r#"(?:\\?"(?:[^"\\]|\\[^"])*\\?"|'[^']*'|[^\s,;"'})\]]+)"#;
    Regex::new(&format!(r#"(?i)\b({name})((?:\\?["'])?\s*[:=]\s*)({value})"#)).expect("a pattern of ours")
});

/// Ends of names that are about a secret and hold none.
const ABOUT: &[&str] = &["name", "ref", "file", "path", "ttl", "dir", "_id", "-id", "type", "audience", "expiration", "webhook", "driver"];

/// Takes secrets out and counts them by kind.
#[derive(Debug, Default)]
pub(super) struct Redactor {
    known: Vec<String>,
    /// How many were taken out.
    pub(super) counts: BTreeMap<&'static str, usize>,
}

impl Redactor {
    /// `known`: secrets whose values we have, so that they are found wherever they stand. Short ones would be found in words.
    pub(super) fn new(known: impl IntoIterator<Item = String>) -> Self {
        let known = known.into_iter().map(|k| k.trim().to_owned()).filter(|k| k.len() >= 6).collect();
        Self { known, counts: BTreeMap::new() }
    }

    /// A text without secrets.
    pub(super) fn text(&mut self, text: &str) -> String {
        let mut out = Cow::Borrowed(text);
        for secret in &self.known {
            let found = out.matches(secret.as_str()).count();
            if found > 0 {
                *self.counts.entry("known secret").or_default() += found;
                out = Cow::Owned(out.replace(secret.as_str(), MARK));
            }
        }
        for (kind, form) in FORMS.iter() {
            let counts = &mut self.counts;
            out = replaced(out, form, |_| {
                *counts.entry(kind).or_default() += 1;
                Some(MARK.to_owned())
            });
        }
        let counts = &mut self.counts;
        out = replaced(out, &IN_URL, |found| {
            *counts.entry("password in a URL").or_default() += 1;
            Some(format!("{}:{MARK}@", &found[1]))
        });
        out = replaced(out, &NAMED, |found| {
            if harmless(&found[1], &found[3]) {
                return None;
            }
            *counts.entry("named value").or_default() += 1;
            // Quotes stay, so that JSON and YAML stay what they are.
            let quote = ["\\\"", "\"", "'"].into_iter().find(|q| found[3].starts_with(q)).unwrap_or_default();
            Some(format!("{}{}{quote}{MARK}{quote}", &found[1], &found[2]))
        });
        out.into_owned()
    }

    /// An object of the API: values of environment variables, data of Secrets, and what only repeats the object go; then as text.
    pub(super) fn object(&mut self, mut object: Value) -> String {
        self.walk(&mut object);
        self.text(&(serde_json::to_string_pretty(&object).unwrap_or_default() + "\n"))
    }

    fn walk(&mut self, value: &mut Value) {
        match value {
            Value::Array(items) => items.iter_mut().for_each(|item| self.walk(item)),
            Value::Object(map) => {
                map.remove("managedFields");
                if let Some(Value::Object(annotations)) = map.get_mut("annotations") {
                    annotations.remove("kubectl.kubernetes.io/last-applied-configuration");
                }
                if let Some(Value::Array(variables)) = map.get_mut("env") {
                    for variable in variables.iter_mut().filter_map(|v| v.get_mut("value")) {
                        *variable = MARK.into();
                        *self.counts.entry("environment variable").or_default() += 1;
                    }
                }
                if map.get("kind").is_some_and(|k| k == "Secret") {
                    map.retain(|key, _| !matches!(key.as_str(), "data" | "stringData"));
                }
                map.values_mut().for_each(|v| self.walk(v));
            }
            _ => {}
        }
    }
}

fn harmless(name: &str, value: &str) -> bool {
    let bare = value.trim_matches(|c| c == '"' || c == '\'' || c == '\\');
    let name = name.to_ascii_lowercase();
    let switch = ["true", "false", "null", "none", "", "{}", "[]", "|", ">", MARK].contains(&bare);
    switch
        || bare.starts_with(['/', '{', '[', '<'])
        || bare.starts_with("[redacted")
        || bare.parse::<f64>().is_ok()
        || ABOUT.iter().any(|end| name.ends_with(end))
}

fn replaced<'t>(text: Cow<'t, str>, pattern: &Regex, mut with: impl FnMut(&Captures<'_>) -> Option<String>) -> Cow<'t, str> {
    let new = pattern.replace_all(&text, |found: &Captures<'_>| with(found).unwrap_or_else(|| found[0].to_owned()));
    match new {
        Cow::Borrowed(_) => text,
        Cow::Owned(new) => Cow::Owned(new),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn redacted(text: &str) -> String {
        Redactor::new(["hunter2-of-the-registry".to_owned()]).text(text)
    }

    /// Every kind of secret in the places where they turn up; `SECRET` stands in each.
    const WITH_SECRETS: &[&str] = &[
        "-----BEGIN RSA PRIVATE KEY-----\nSECRET\n-----END RSA PRIVATE KEY-----\n",
        "-----BEGIN PRIVATE KEY-----\nSECRET cut off",
        "    client-key-data: U0VDUkVUSECRET==\n",
        "I1125 joined with --token=SECRET and more",
        "level=info msg=\"pull\" password=\"SECRET with words\" image=a",
        r#"{"auth":{"password":"SECRET","user":"x"}}"#,
        r#"msg="config {\"password\":\"SECRET\"}""#,
        "password: 'SECRET'\n",
        "aws_secret_access_key = SECRET/x+y\n",
        "proxy http://me:SECRET@proxy.example.org:3128/",
        "Authorization: Bearer SECRETSECRETSECRET",
        "kubeadm join --certificate-key: SECRET",
        "DB_PASSWORD=SECRET\nnext",
    ];

    #[test]
    fn no_secret_is_left_and_the_words_around_it_stay() {
        for text in WITH_SECRETS {
            let out = redacted(text);
            assert!(!out.contains("SECRET"), "{text:?} → {out:?}");
            assert!(out.contains(MARK), "{out:?}");
        }
        let forms = "abcdef.0123456789abcdef eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJr.sig-_x AKIAABCDEFGHIJKLMNOP hunter2-of-the-registry $6$salt$abcdefgh AGE-SECRET-KEY-1QQQ";
        assert_eq!(redacted(forms), [MARK; 6].join(" "));
        assert_eq!(redacted(r#"{"password":"x y","a":1}"#), r#"{"password":"[redacted]","a":1}"#);
    }

    #[test]
    fn what_explains_a_failure_stays() {
        for text in [
            "--tls-private-key-file=/etc/kubernetes/pki/apiserver.key",
            "secretName: registry-login",
            "token_ttl: 15m",
            "automountServiceAccountToken: true",
            "dial tcp 10.0.0.10:6443: connect: connection refused",
            "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            "2026-11-25T12:00:00Z worker-1 kubelet[812]: E1125 token expired",
        ] {
            assert_eq!(redacted(text), text);
        }
    }

    #[test]
    fn objects_lose_environment_secrets_and_repetition() {
        let pod = serde_json::json!({"items": [{"kind": "Pod", "metadata": {"managedFields": [1], "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "x"}},
            "spec": {"containers": [{"env": [{"name": "A", "value": "SECRET"}, {"name": "B", "valueFrom": {}}]}]}}, {"kind": "Secret", "data": {"a": "SECRET"}}]});
        let mut redactor = Redactor::default();
        let out = redactor.object(pod);
        assert!(
            !out.contains("SECRET") && !out.contains("managedFields") && !out.contains("last-applied") && out.contains("valueFrom"),
            "{out}"
        );
        assert_eq!(redactor.counts.get("environment variable"), Some(&1));
    }

    proptest! {
        /// Once is enough: nothing that looks like a secret is left, and nothing more is taken the second time.
        #[test]
        fn twice_is_once(text in "(password|token: |=|\"|[a-z ]|\n|abcdef\\.0123456789abcdef|//a:b@){0,20}") {
            let once = redacted(&text);
            prop_assert_eq!(redacted(&once), once);
        }
    }
}
