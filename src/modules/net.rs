//! `get_url`, `uri`, `wait_for`. Headers and passwords reach curl through a file of options, never its command line.

use super::{
    ArgError, Env, ModuleDef, OptionType as T, TaskResult,
    args::{Opts, opt, to_text},
    files::{attributes, file_options},
    outcome::{self, Said},
    pyre,
    script::Script,
};
use crate::session::{Outcome, Verdict};
use indexmap::IndexMap;
use minijinja::{Value, value::ValueKind};
use std::{fmt::Write, sync::Arc};

/// `lib/ansible/modules/get_url.py`
pub static GET_URL: ModuleDef = ModuleDef {
    names: &["get_url"],
    options: file_options![
        opt("url", T::Str).req(),
        opt("dest", T::Path).req(),
        opt("checksum", T::Str),
        opt("force", T::Bool).alias(&["thirsty"]),
        opt("timeout", T::Int),
        opt("headers", T::Dict),
        opt("url_username", T::Str).alias(&["username"]),
        opt("url_password", T::Str).alias(&["password"]),
        opt("force_basic_auth", T::Bool),
        opt("validate_certs", T::Bool),
        opt("backup", T::Bool),
        opt("http_agent", T::Str),
        opt("use_proxy", T::Bool),
        opt("tmp_dest", T::Path),
        opt("decompress", T::Bool),
        opt("ciphers", T::List),
        opt("use_netrc", T::Bool),
        opt("unredirected_headers", T::List),
        opt("client_cert", T::Path),
        opt("client_key", T::Path),
    ],
    free_form: false,
    facts: &[],
    compile: |args, env| {
        let o = Opts::read(&GET_URL, args)?;
        let url = o.text_or("url", "");
        let base = base(&url).to_owned();
        let mut curl = String::new();
        for (name, value) in o.dict("headers") {
            option(&mut curl, "header", &format!("{name}: {}", to_text(&value)));
        }
        if let Some(user) = o.text("url_username") {
            option(&mut curl, "user", &format!("{user}:{}", o.text_or("url_password", "")));
        }
        for (name, key) in [("client_cert", "cert"), ("client_key", "key"), ("http_agent", "user-agent")] {
            if let Some(value) = o.text(name) {
                option(&mut curl, key, &value);
            }
        }
        let checksum = o.text_or("checksum", "");
        if !checksum.is_empty() && !checksum.contains(':') {
            return Err(ArgError("checksum must be algorithm:hex or algorithm:url".into()));
        }
        let wanted = match checksum.split_once(':') {
            Some((algorithm, list)) if list.contains("://") => format!("{}:{list}", algorithm.to_lowercase()),
            Some(_) => checksum.to_lowercase(),
            None => String::new(),
        };
        let script = Script::new()
            .set("kw_url", &url)
            .set("kw_base", &base)
            .set_sh("kw_dest", &o.path("dest"))
            .set("kw_checksum", &wanted)
            .flag("kw_force", o.flag("force", false))
            .set("kw_timeout", &o.int("timeout").unwrap_or(300).max(10).to_string())
            .flag("kw_insecure", !o.flag("validate_certs", true))
            .flag("kw_backup", o.flag("backup", false))
            .flag("kw_looks", env.check_mode)
            .set("kw_validate", "");
        let script = if curl.is_empty() { script.set("kw_curl", "") } else { script.blob("kw_curl", curl, true) };
        let dest = o.text_or("dest", "");
        let told = Download { url, dest, checksum: !checksum.is_empty() };
        Ok(attributes(script, &o)?.work("kw_get_url_check", "kw_get_url_apply", Arc::new(move |outcome| told.result(outcome))))
    },
};

/// What is known here of a download.
struct Download {
    url: String,
    dest: String,
    checksum: bool,
}

impl Download {
    fn result(&self, outcome: &Outcome) -> TaskResult {
        let (mut result, said) = outcome::base(outcome);
        result.fields.entry("dest".into()).or_insert_with(|| self.dest.as_str().into());
        result.fields.insert("url".into(), self.url.as_str().into());
        result.fields.insert("elapsed".into(), outcome.elapsed.as_secs().into());
        let sum = |name: &str| said.fields.get(name).filter(|s| !s.is_empty()).map_or(Value::from(()), |s| s.as_str().into());
        if said.has("code") {
            result.fields.insert("status_code".into(), said.get("code").parse::<i64>().unwrap_or(-1).into());
        }
        if result.failed {
            return result;
        }
        result.fields.insert("checksum_dest".into(), sum("sha1_before"));
        result.fields.insert("checksum_src".into(), sum("sha1"));
        if said.has("code") {
            result.changed = !said.has("same") || said.has("attributes");
            result.msg = Some(if said.get("code") == "304" {
                "HTTP Error 304: Not Modified".into()
            } else {
                format!("OK ({} bytes)", said.get("bytes"))
            });
            result.fields.insert("src".into(), self.url.as_str().into());
            if said.has("md5") {
                result.fields.insert("md5sum".into(), said.get("md5").into());
            }
        } else if self.checksum && outcome.verdict == Verdict::Ok {
            result.msg = Some("file already exists".into());
        }
        result
    }
}

/// A line of curl's configuration file (curl(1), `--config`).
fn option(out: &mut String, key: &str, value: &str) {
    let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n").replace('\r', "\\r");
    let _ = writeln!(out, "{key} = \"{value}\"");
}

/// `lib/ansible/modules/uri.py`; not done in check mode, as there.
pub static URI: ModuleDef = ModuleDef {
    names: &["uri"],
    options: file_options![
        opt("url", T::Str).req(),
        opt("method", T::Str),
        opt("body", T::Raw),
        opt("body_format", T::Str).choices(&["form-urlencoded", "form-multipart", "json", "raw"]),
        opt("headers", T::Dict),
        opt("status_code", T::List),
        opt("return_content", T::Bool),
        opt("validate_certs", T::Bool),
        opt("client_cert", T::Path),
        opt("client_key", T::Path),
        opt("ca_path", T::Path),
        opt("timeout", T::Int),
        opt("url_username", T::Str).alias(&["user"]),
        opt("url_password", T::Str).alias(&["password"]),
        opt("force_basic_auth", T::Bool),
        opt("follow_redirects", T::Str).choices(&["all", "none", "safe", "urllib2", "yes", "no"]),
        opt("creates", T::Path),
        opt("removes", T::Path),
        opt("http_agent", T::Str),
        opt("use_proxy", T::Bool),
        opt("force", T::Bool),
        opt("unix_socket", T::Path),
        opt("src", T::Path),
        opt("remote_src", T::Bool),
        opt("dest", T::Path),
    ],
    free_form: false,
    facts: &[],
    compile: |args, env| {
        let o = Opts::read(&URI, args)?;
        let method = o.text_or("method", "GET").to_uppercase();
        let (script, curl) = request(&o, env, &method)?;
        let allowed: Vec<i64> = match o.list("status_code") {
            codes if codes.is_empty() => vec![200],
            codes => codes.iter().filter_map(|c| c.trim().parse().ok()).collect(),
        };
        let content = o.flag("return_content", false);
        let script = script
            .blob("kw_curl", curl, true)
            .set_sh("kw_creates", &o.path("creates"))
            .set_sh("kw_removes", &o.path("removes"))
            .set_sh("kw_dest", &o.path("dest"))
            .set("kw_base", base(&o.text_or("url", "")))
            .flag("kw_backup", false)
            .set("kw_validate", "");
        let url = o.text_or("url", "");
        let finish = Arc::new(move |outcome: &Outcome| answer(outcome, &url, &allowed, content));
        Ok(attributes(script, &o)?.work("kw_uri_check", "kw_uri_run", finish))
    },
};

/// The file name at the end of a URL.
fn base(url: &str) -> &str {
    url.split(['?', '#']).next().unwrap_or_default().rsplit('/').next().unwrap_or_default()
}

fn request(o: &Opts, env: &Env<'_>, method: &str) -> Result<(Script, String), ArgError> {
    let mut curl = String::new();
    option(&mut curl, "url", &o.text_or("url", ""));
    if method == "HEAD" {
        curl.push_str("head\n");
    } else {
        option(&mut curl, "request", method);
    }
    option(&mut curl, "max-time", &o.int("timeout").unwrap_or(30).to_string());
    let follow = match o.text_or("follow_redirects", "safe").as_str() {
        "all" | "yes" => true,
        "safe" | "urllib2" => method == "GET" || method == "HEAD",
        _ => false,
    };
    if follow {
        curl.push_str("location\n");
    }
    if !o.flag("validate_certs", true) {
        curl.push_str("insecure\n");
    }
    for (name, key) in [
        ("client_cert", "cert"),
        ("client_key", "key"),
        ("ca_path", "cacert"),
        ("http_agent", "user-agent"),
        ("unix_socket", "unix-socket"),
    ] {
        if let Some(value) = o.text(name) {
            option(&mut curl, key, &value);
        }
    }
    if let Some(user) = o.text("url_username") {
        option(&mut curl, "user", &format!("{user}:{}", o.text_or("url_password", "")));
    }
    option(&mut curl, "header", "Connection: close");
    let headers = o.dict("headers");
    let typed = headers.keys().any(|k| k.eq_ignore_ascii_case("content-type"));
    for (name, value) in &headers {
        option(&mut curl, "header", &format!("{name}: {}", to_text(value)));
    }
    if let Some(src) = o.text("src") {
        if o.has("body") {
            return Err(ArgError("uri: body and src are mutually exclusive".into()));
        }
        let script = Script::new();
        return Ok(if o.flag("remote_src", false) {
            (script.set("kw_body", "").set_sh("kw_send", &o.path("src")), curl)
        } else {
            (script.set("kw_send", "").blob("kw_body", (env.read)("files", &src).map_err(ArgError)?.content, true), curl)
        });
    }
    let Some(body) = o.value("body") else { return Ok((Script::new().set("kw_body", "").set("kw_send", ""), curl)) };
    let (text, kind) = match o.text_or("body_format", "raw").as_str() {
        // Text that is JSON already is sent as it is.
        "json" => (body.as_str().map_or_else(|| to_text(body), str::to_owned), Some("application/json")),
        "form-urlencoded" => (form(body), Some("application/x-www-form-urlencoded")),
        "form-multipart" => return Err(ArgError("body_format: form-multipart is not supported".into())),
        _ => (to_text(body), None),
    };
    if let Some(kind) = kind.filter(|_| !typed) {
        option(&mut curl, "header", &format!("Content-Type: {kind}"));
    }
    Ok((Script::new().set("kw_send", "").blob("kw_body", text, true), curl))
}

fn form(body: &Value) -> String {
    let escape = |text: &str| {
        text.bytes().fold(String::new(), |mut out, b| {
            if b.is_ascii_alphanumeric() || b"-_.~".contains(&b) {
                out.push(char::from(b));
            } else if b == b' ' {
                out.push('+');
            } else {
                let _ = write!(out, "%{b:02X}");
            }
            out
        })
    };
    if body.kind() != ValueKind::Map {
        return to_text(body);
    }
    let pairs = super::args::entries(body);
    pairs.iter().map(|(k, v)| format!("{}={}", escape(k), escape(&to_text(v)))).collect::<Vec<_>>().join("&")
}

/// status, url, headers (lower case, `_` for `-`), content, json.
fn answer(outcome: &Outcome, url: &str, allowed: &[i64], content: bool) -> TaskResult {
    let (mut result, said) = outcome::base(outcome);
    result.changed = said.has("written");
    if outcome.verdict == Verdict::WouldChange {
        return outcome::no_check_mode("This action (uri) does not support check mode.");
    }
    if let Some(skipped) = said.fields.get("skipped") {
        result.msg = Some(skipped.clone());
        return result;
    }
    if result.failed {
        return result;
    }
    let raw = said.get("answer");
    let mut body = raw;
    let mut headers = IndexMap::new();
    let mut phrase = String::new();
    // One block for each redirect and `100 Continue`.
    while body.starts_with("HTTP/") {
        let (head, rest) = body.split_once("\r\n\r\n").unwrap_or((body, ""));
        phrase = head.lines().next().unwrap_or_default().split_whitespace().skip(1).collect::<Vec<_>>().join(" ");
        headers = head
            .lines()
            .skip(1)
            .filter_map(|l| l.split_once(':'))
            .map(|(k, v)| (k.trim().to_lowercase().replace('-', "_"), v.trim().to_owned()))
            .collect::<IndexMap<_, _>>();
        body = rest;
    }
    let status = said.get("status").parse::<i64>().unwrap_or(-1);
    let status = if said.get("curl") == "0" { status } else { -1 };
    result.fields.insert("status".into(), status.into());
    result.fields.insert("url".into(), said.get("url").into());
    result.fields.insert("redirected".into(), (said.get("url").trim_end_matches('/') != url.trim_end_matches('/')).into());
    if (200..300).contains(&status) {
        let cookies: Vec<(String, String)> = cookies(raw);
        let all = cookies.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join("; ");
        result.fields.insert("cookies_string".into(), all.into());
        result.fields.insert("cookies".into(), Value::from_pairs(cookies));
        let length = headers.get("content_length").cloned().unwrap_or_else(|| "unknown".to_owned());
        result.msg = Some(format!("OK ({length} bytes)"));
    } else if status > 0 {
        let (number, text) = phrase.split_once(' ').unwrap_or((&phrase, ""));
        result.msg = Some(format!("HTTP Error {number}: {text}"));
        if allowed.contains(&status) {
            result.fields.insert("body".into(), body.into());
        }
    }
    let json = headers.get("content_type").is_some_and(|t| t.contains("json"));
    result.fields.extend(headers.into_iter().map(|(k, v)| (k, v.into())));
    if json && let Ok(value) = serde_json::from_str::<Value>(body) {
        result.fields.insert("json".into(), value);
    }
    if content || !allowed.contains(&status) {
        result.fields.insert("content".into(), body.into());
    }
    result.fields.insert("elapsed".into(), outcome.elapsed.as_secs().into());
    if status == -1 {
        result.failed = true;
        result.msg = Some(format!("Status code was -1 and not {allowed:?}: Request failed: {}", outcome::stream(&outcome.stderr)));
    } else if !allowed.contains(&status) {
        result.failed = true;
        result.changed = false;
        result.msg = Some(format!("Status code was {status} and not {allowed:?}: {}", result.msg.unwrap_or_default()));
    }
    result
}

/// Cookies that an answer sets, from its raw headers.
fn cookies(raw: &str) -> Vec<(String, String)> {
    let set = raw.lines().filter_map(|l| l.split_once(':')).filter(|(k, _)| k.eq_ignore_ascii_case("set-cookie"));
    set.filter_map(|(_, v)| v.split(';').next()?.trim().split_once('=').map(|(k, v)| (k.to_owned(), v.to_owned()))).collect()
}

/// `lib/ansible/modules/wait_for.py`; ports are tried with bash's /dev/tcp or nc.
pub static WAIT_FOR: ModuleDef = ModuleDef {
    names: &["wait_for"],
    options: &[
        opt("host", T::Str),
        opt("port", T::Int),
        opt("path", T::Path),
        opt("state", T::Str).choices(&["absent", "drained", "present", "started", "stopped"]),
        opt("timeout", T::Int),
        opt("connect_timeout", T::Int),
        opt("delay", T::Int),
        opt("sleep", T::Int),
        opt("search_regex", T::Str),
        opt("msg", T::Str),
        opt("active_connection_states", T::List),
        opt("exclude_hosts", T::List),
    ],
    free_form: false,
    facts: &[],
    compile: |args, _| {
        let o = Opts::read(&WAIT_FOR, args)?;
        if o.has("port") && o.has("path") {
            return Err(ArgError("port and path are mutually exclusive".into()));
        }
        let regex = o.text("search_regex");
        let ere = regex.as_deref().map(pyre::to_ere).transpose()?.unwrap_or_default();
        let compiled = regex.as_deref().map(|r| pyre::compile(r, true)).transpose()?;
        let number = |name: &str, default: i64| o.int(name).unwrap_or(default).max(0).to_string();
        let (path, port, state) = (o.text("path"), o.int("port"), o.text_or("state", "started"));
        Ok(Script::new()
            .set("kw_host", &o.text_or("host", "127.0.0.1"))
            .set("kw_port", &port.map(|p| p.to_string()).unwrap_or_default())
            .set_sh("kw_path", &o.path("path"))
            .set("kw_state", &state)
            .set("kw_timeout", &number("timeout", 300))
            .set("kw_connect", &number("connect_timeout", 5))
            .set("kw_delay", &number("delay", 0))
            .set("kw_sleep", &o.int("sleep").unwrap_or(1).max(1).to_string())
            .set("kw_regex", &ere)
            .set("kw_msg", &o.text_or("msg", ""))
            .work(
                "exit 10",
                "kw_wait_apply",
                Arc::new(move |outcome| {
                    let (mut result, said) = outcome::base(outcome);
                    result.changed = false;
                    if outcome.verdict == Verdict::WouldChange {
                        return outcome::no_check_mode("remote module (wait_for) does not support check mode");
                    }
                    let found = compiled.as_ref().and_then(|r| r.captures(said.get("found")).ok().flatten());
                    let text = |m: Option<fancy_regex::Match<'_>>| m.map_or(Value::from(()), |m| m.as_str().into());
                    let groups: Vec<Value> = found.iter().flat_map(|c| c.iter().skip(1).map(text)).collect();
                    let names = compiled.iter().flat_map(fancy_regex::Regex::capture_names).flatten();
                    let named = found.as_ref().map(|c| names.map(|n| (n.to_owned(), text(c.name(n)))).collect::<Vec<_>>());
                    result.fields.insert("elapsed".into(), elapsed(&said).into());
                    result.fields.entry("state".into()).or_insert_with(|| state.as_str().into());
                    result.fields.insert("path".into(), path.clone().map_or(Value::from(()), Value::from));
                    result.fields.insert("port".into(), port.map_or(Value::from(()), Value::from));
                    result.fields.insert("search_regex".into(), regex.clone().map_or(Value::from(()), Value::from));
                    result.fields.insert("match_groups".into(), groups.into());
                    result.fields.insert("match_groupdict".into(), Value::from_pairs(named.unwrap_or_default()));
                    result
                }),
            ))
    },
};

fn elapsed(said: &Said) -> i64 {
    said.get("elapsed").parse().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::{Root, SHELLS, args, converges, fails, step};

    #[test]
    fn a_download_is_verified_and_done_once() {
        let sum = crate::modules::script::sha256(b"data\n");
        let json = format!(
            r#"{{"url":"http://x.test/f.bin","dest":"$R/","checksum":"sha256:{sum}","mode":"0600","headers":{{"X-Key":"s3cret"}}}}"#
        );
        let prepare = |root: &Root| {
            root.stub("curl", r#"echo "$*" >>"$R/calls"; while [ $# -gt 0 ]; do case $1 in -o) printf 'data\n' >"$2"; shift ;; -K) cat "$2" >"$R/config"; shift ;; esac; shift; done; printf 200"#);
        };
        converges(&GET_URL, &json, prepare, |root| {
            assert_eq!(root.read("f.bin"), "data\n");
            assert_eq!(root.read("config"), "header = \"X-Key: s3cret\"\n");
            assert!(!root.read("calls").contains("s3cret"));
        });
        let wrong = json.replace(&sum, &"0".repeat(64));
        fails(&GET_URL, &wrong, prepare, "the checksum of http://x.test/f.bin is");
    }

    #[test]
    fn uri_reads_status_headers_and_json() {
        for shell in SHELLS {
            let root = Root::new(shell);
            root.stub("curl", r#"printf 'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-A-B: c\r\n\r\n{"a":[1]}'; printf '\036status\037200\036url\037http://x.test/'"#);
            let (_, result) = root.result(&step(&URI, r#"{"url":"http://x.test/","return_content":true}"#), false);
            assert!(!result.failed && !result.changed, "{:?}", result.msg);
            assert_eq!(result.fields["status"].as_i64(), Some(200));
            assert_eq!(result.fields["x_a_b"].as_str(), Some("c"));
            assert_eq!(result.fields["json"].get_attr("a").unwrap().to_string(), "[1]");
            let (_, result) = root.result(&step(&URI, r#"{"url":"http://x.test/","status_code":[204,404]}"#), false);
            assert_eq!(result.msg.as_deref(), Some("Status code was 200 and not [204, 404]: OK (unknown bytes)"));
            let (_, result) =
                root.result(&step(&URI, r#"{"url":"http://x.test/","method":"POST","body":{"a":1},"body_format":"json"}"#), true);
            assert!(result.skipped);
        }
    }

    #[test]
    fn waiting_ends_with_a_cause() {
        for shell in SHELLS {
            let root = Root::new(shell);
            root.write("there", "ready now\n");
            let path = root.path("there").display().to_string();
            let (_, result) = root.result(&step(&WAIT_FOR, &format!(r#"{{"path":"{path}","search_regex":"^ready"}}"#)), false);
            assert!(!result.failed && !result.changed, "{shell:?} {:?}", result.msg);
        }
        fails(&WAIT_FOR, r#"{"path":"$R/never","timeout":0}"#, |_| {}, "Timeout when waiting for");
        assert!(crate::modules::testing::compile(&WAIT_FOR, &args(r#"{"port":1,"path":"/x"}"#)).is_err());
    }
}
