//! The health report as others get it: its JSON against the schema in docs, its page in a real browser (Chromium, headless): how it
//! looks, and that no text in it can become markup.
//! `UPDATE_DOCS=1` writes the pictures of docs/verify.md anew.

use kubewright::{
    report::health::{html, junit, prometheus},
    verify::Report,
};
use regex::Regex;
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Recorded from a lab of 1 + 3 nodes: well, and with faults that were made in it.
const HEALTHY: &str = include_str!("data/health/healthy.json");
const SICK: &str = include_str!("data/health/sick.json");

/// Ends every kind of place in a page that text can stand in, and says so by the page's title.
const HOSTILE: &str = "</title></style></pre></summary></details>--><script>document.title='owned'</script>\
    <img src=x onerror=\"document.title='owned'\"><svg/onload=document.title='owned'>\" onmouseover='x' style='display:none' ' \
    <meta http-equiv=refresh content=0;url=about:blank>&lt;b&#x3e;{{x}}\u{1b}[31m\u{202e}\u{0}\r]]>";

/// A missing browser is a failure, never a skip: hack/deps.sh installs it.
fn browser() -> PathBuf {
    let given = std::env::var_os("CHROMIUM").map(PathBuf::from);
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut found = std::env::split_paths(&path).flat_map(|dir| names.map(|name| dir.join(name))).filter(|file| file.is_file());
    given.or_else(|| found.next()).expect("Chromium: `make deps` installs it, or name it by CHROMIUM")
}

/// Opens a file; what the browser says on stdout.
fn open(dir: &Path, file: &Path, args: &[&str]) -> String {
    let mut command = Command::new(browser());
    command.args(["--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run", "--disable-dev-shm-usage"]);
    // Whatever the page or the browser would like to load: nothing leaves this machine.
    command.args([
        "--host-resolver-rules=MAP * ~NOTFOUND",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
    ]);
    command.arg(format!("--user-data-dir={}", dir.join("profile").display())).args(args).arg(format!("file://{}", file.display()));
    let done = command.output().expect("the browser starts");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).expect("a page is UTF-8")
}

fn report(text: &str) -> Report {
    serde_json::from_str(text).expect("a report")
}

/// The page as the browser understood it.
fn dom(dir: &Path, name: &str, text: &str) -> String {
    let file = dir.join(name);
    fs::write(&file, text).expect("a page");
    open(dir, &file, &["--dump-dom"])
}

/// Elements with the names of their attributes, in order: what the page is, without its texts.
fn skeleton(dom: &str) -> Vec<String> {
    let values = Regex::new(r#"="[^"]*""#).expect("a pattern");
    let style = Regex::new(r"(?s)<style>.*?</style>").expect("a pattern");
    let bare = style.replace_all(dom, "<style></style>");
    let bare = values.replace_all(&bare, "");
    Regex::new(r"</?[a-zA-Z][^>]*>").expect("a pattern").find_iter(&bare).map(|m| m.as_str().to_owned()).collect()
}

/// The report with a text behind every text of it that comes from outside.
fn with(text: &str, report: &str) -> Report {
    fn walk(value: &mut Value, text: &str) {
        const OURS: [&str; 9] = ["kubewright", "at", "id", "group", "severity", "status", "not_before", "not_after", "tag"];
        match value {
            Value::Array(items) => items.iter_mut().for_each(|item| walk(item, text)),
            Value::Object(map) => map.iter_mut().filter(|(key, _)| !OURS.contains(&key.as_str())).for_each(|(_, v)| walk(v, text)),
            Value::String(s) => s.push_str(text),
            _ => {}
        }
    }
    let mut value: Value = serde_json::from_str(report).expect("JSON");
    walk(&mut value, text);
    serde_json::from_value(value).expect("a report")
}

#[test]
fn no_text_becomes_markup() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    for (name, recorded) in [("healthy", HEALTHY), ("sick", SICK)] {
        let hostile = dom(dir.path(), "hostile.html", &html(&with(HOSTILE, recorded)));
        let plain = dom(dir.path(), "plain.html", &html(&with("x", recorded)));
        assert!(skeleton(&plain).len() > 500, "{name}: the page is there");
        let differs = skeleton(&hostile).into_iter().zip(skeleton(&plain)).find(|(a, b)| a != b);
        assert_eq!(differs, None, "{name}: an element that the report did not make");
        assert_eq!(skeleton(&hostile).len(), skeleton(&plain).len(), "{name}");
        assert!(!hostile.contains("<title>owned"), "{name}: a script ran");
        let xml = dom(dir.path(), "hostile.xml", &junit(&with(HOSTILE, recorded)));
        assert!(!xml.contains("parsererror") && xml.contains("testcase"), "{name}: JUnit is well-formed");
    }
}

#[test]
fn the_test_can_see_markup_and_the_policy_stops_scripts_even_then() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let page = html(&report(HEALTHY));
    let slipped = page.replace("</body>", "<img src=x><script>document.title='owned'</script></body>");
    let (plain, slipped) = (dom(dir.path(), "a.html", &page), dom(dir.path(), "b.html", &slipped));
    assert_eq!(skeleton(&slipped).len(), skeleton(&plain).len() + 3);
    assert!(!slipped.contains("<title>owned"));
    // The same script without the policy does run.
    let free = Regex::new("<meta http-equiv=\"Content-Security-Policy\"[^>]*>").expect("a pattern").replace(&page, "").into_owned();
    let free = free.replace("</body>", "<script>document.title='owned'</script></body>");
    assert!(dom(dir.path(), "c.html", &free).contains("<title>owned"));
}

/// Width and height, as a PNG's header says.
fn size(png: &[u8]) -> (u32, u32) {
    let number = |at: usize| u32::from_be_bytes(png[at..at + 4].try_into().expect("four bytes"));
    assert_eq!(&png[1..4], b"PNG");
    (number(16), number(20))
}

#[test]
fn pictures_of_a_healthy_and_of_a_sick_cluster_light_and_dark() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/images");
    let mut all: Vec<Vec<u8>> = Vec::new();
    for (name, recorded) in [("healthy", HEALTHY), ("sick", SICK)] {
        let page = dir.path().join(format!("{name}.html"));
        let text = html(&report(recorded));
        fs::write(&page, &text).expect("a page");
        // A picture shows the top of a page: this one is of the heat map alone.
        let pairs = dir.path().join(format!("{name}-pairs.html"));
        fs::write(&pairs, text.replace("</style>", "header, section:not(#pairs) { display: none }</style>")).expect("a page");
        for (theme, scheme, page) in [("dark", 0, &page), ("light", 1, &page), ("pairs", 1, &pairs)] {
            let file = format!("verify-{name}-{theme}.png");
            let picture = dir.path().join(&file);
            let (shot, scheme) = (format!("--screenshot={}", picture.display()), format!("--blink-settings=preferredColorScheme={scheme}"));
            open(dir.path(), page, &[&shot, "--window-size=1000,800", &scheme]);
            let png = fs::read(&picture).expect("a picture");
            assert_eq!(size(&png), (1000, 800), "{file}");
            // A blank page of that size is 5 kB.
            assert!(png.len() > 20_000, "{file}: {} bytes", png.len());
            assert!(!all.contains(&png), "{file} looks like another one");
            all.push(png);
            if std::env::var_os("UPDATE_DOCS").is_some() {
                fs::create_dir_all(&docs).expect("docs/images");
                fs::copy(&picture, docs.join(&file)).expect("docs/images can be written");
            }
            assert_eq!(size(&fs::read(docs.join(&file)).expect("UPDATE_DOCS=1 makes it")), (1000, 800), "{file}");
        }
        let pdf = dir.path().join("page.pdf");
        open(dir.path(), &page, &[&format!("--print-to-pdf={}", pdf.display())]);
        assert!(fs::read(&pdf).expect("a printed page").starts_with(b"%PDF"), "{name} can be printed");
    }
}

/// Whether a value is what a schema says; of JSON Schema no more than ours uses.
fn fits(schema: &Value, root: &Value, value: &Value, at: &str) -> Result<(), String> {
    if let Some(name) = schema["$ref"].as_str() {
        return fits(root.pointer(name.trim_start_matches('#')).expect("a definition"), root, value, at);
    }
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(n) if n.is_u64() => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    if let Some(all) = schema["anyOf"].as_array() {
        return all.iter().find_map(|s| fits(s, root, value, at).ok()).ok_or_else(|| format!("{at} is none of {all:?}"));
    }
    let allowed: Vec<&str> = match &schema["type"] {
        Value::Array(all) => all.iter().filter_map(Value::as_str).collect(),
        one => one.as_str().into_iter().collect(),
    };
    let counts_as = if kind == "integer" { "number" } else { kind };
    if !allowed.contains(&kind) && !allowed.contains(&counts_as) {
        return Err(format!("{at} is {kind}, not {allowed:?}"));
    }
    if schema["enum"].as_array().is_some_and(|all| !all.contains(value)) || schema.get("const").is_some_and(|c| c != value) {
        return Err(format!("{at} may not be {value}"));
    }
    for item in value.as_array().into_iter().flatten() {
        fits(&schema["items"], root, item, &format!("{at}[]"))?;
    }
    let Some(map) = value.as_object() else { return Ok(()) };
    let missing = schema["required"].as_array().into_iter().flatten().find(|key| !map.contains_key(key.as_str().unwrap_or_default()));
    if let Some(key) = missing {
        return Err(format!("{at} has no {key}"));
    }
    map.iter().try_for_each(|(key, value)| match schema["properties"].get(key) {
        Some(schema) => fits(schema, root, value, &format!("{at}.{key}")),
        None => Err(format!("{at}.{key} is not in the schema")),
    })
}

#[test]
fn reports_are_what_their_schema_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/verify-report.schema.json");
    let schema: Value = serde_json::from_str(&fs::read_to_string(path).expect("the schema")).expect("JSON");
    assert_eq!(schema["properties"]["schema"]["const"], kubewright::verify::SCHEMA);
    for text in [HEALTHY, SICK] {
        // As this program writes it, and as it was recorded: an old report stays readable.
        let written = serde_json::to_value(report(text)).expect("JSON");
        for value in [written, serde_json::from_str(text).expect("JSON")] {
            assert_eq!(fits(&schema, &schema, &value, "report"), Ok(()));
            let mut less = value.clone();
            less["checks"][0].as_object_mut().expect("a check").remove("status");
            assert!(fits(&schema, &schema, &less, "report").is_err());
        }
    }
}

/// Prometheus' text format (<https://prometheus.io/docs/instrumenting/exposition_formats/>), as far as we write it: name, labels, number.
fn samples(text: &str) -> Vec<(String, Vec<(String, String)>)> {
    let line = Regex::new(r"^([a-z_]+)\{(.*)\} (-?[0-9.e+-]+)$").expect("a pattern");
    let label = Regex::new(r#"^([a-z_]+)="((?:[^"\\]|\\["\\n])*)"(?:,|$)"#).expect("a pattern");
    let all = text.split('\n').filter(|l| !l.is_empty() && !l.starts_with("# HELP ") && !l.starts_with("# TYPE "));
    all.map(|sample| {
        let parts = line.captures(sample).unwrap_or_else(|| panic!("no sample: {sample:?}"));
        parts[3].parse::<f64>().expect("a number");
        let (mut rest, mut labels) = (&parts[2], Vec::new());
        while !rest.is_empty() {
            let found = label.captures(rest).unwrap_or_else(|| panic!("no label: {rest:?} in {sample:?}"));
            labels.push((found[1].to_owned(), found[2].to_owned()));
            rest = &rest[found[0].len()..];
        }
        (parts[1].to_owned(), labels)
    })
    .collect()
}

#[test]
fn metrics_are_well_formed_whatever_text_is_in_them_and_no_sample_comes_twice() {
    for text in [HEALTHY, SICK] {
        let (plain, hostile) = (samples(&prometheus(&report(text))), samples(&prometheus(&with(HOSTILE, text))));
        assert_eq!(plain.len(), hostile.len(), "a text cannot add a sample");
        let names = |all: &[(String, Vec<(String, String)>)]| -> Vec<(String, Vec<String>)> {
            all.iter().map(|(name, labels)| (name.clone(), labels.iter().map(|l| l.0.clone()).collect())).collect()
        };
        assert_eq!(names(&plain), names(&hostile));
        let mut twice = plain.clone();
        twice.sort();
        twice.dedup();
        assert_eq!(twice.len(), plain.len(), "node_exporter refuses a file with one sample twice");
    }
}

#[test]
fn alerts_are_about_metrics_and_labels_that_there_are() {
    let rules = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/alerts.yml")).expect("the rules");
    let all = samples(&prometheus(&report(SICK)));
    let metric = Regex::new(r"kubewright_[a-z_]+").expect("a pattern");
    let label = Regex::new(r"\$labels\.([a-z_]+)").expect("a pattern");
    let mut seen = 0;
    for rule in rules.split("- alert: ").skip(1) {
        let Some(name) = metric.find(rule) else { continue };
        let labels: Vec<_> = all.iter().filter(|(n, _)| n == name.as_str()).map(|(_, labels)| labels).collect();
        assert!(!labels.is_empty(), "{} is no metric of ours", name.as_str());
        for wanted in label.captures_iter(rule) {
            assert!(labels.iter().all(|l| l.iter().any(|(n, _)| *n == wanted[1])), "{}: {} in {rule}", name.as_str(), &wanted[1]);
        }
        seen += 1;
    }
    assert!(seen >= 5, "{seen}");
}
