//! Documentation that cannot drift: the command-line reference is generated, links point at something, examples are valid.

use std::{fmt::Write as _, fs, path::Path};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn reference() -> String {
    let mut out =
        String::from("# Command line\n\nGenerated from the program's own help; `UPDATE_DOCS=1 cargo test --test docs` writes it anew.\n");
    let mut command = kubewright::cli::command().term_width(100);
    command.build();
    section(&mut command, &mut out);
    out
}

fn section(command: &mut clap::Command, out: &mut String) {
    let name = command.get_bin_name().unwrap_or("kubewright").to_owned();
    let help = command.render_long_help().to_string();
    let text: Vec<&str> = help.lines().map(str::trim_end).collect();
    write!(out, "\n## `{name}`\n\n```\n{}\n```\n", text.join("\n").trim_end()).expect("writing to a String");
    for below in command.get_subcommands_mut().filter(|c| c.get_name() != "help") {
        section(below, out);
    }
}

#[test]
fn the_reference_is_what_the_program_says() {
    let path = root().join("docs/cli.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, reference()).expect("docs/cli.md can be written");
    }
    let written = fs::read_to_string(&path).expect("docs/cli.md");
    assert_eq!(written, reference(), "run UPDATE_DOCS=1 cargo test --test docs");
}

#[test]
fn links_between_documents_point_at_something() {
    let mut broken = Vec::new();
    let docs = fs::read_dir(root().join("docs")).expect("docs").flatten().map(|e| e.path());
    for file in docs.chain([root().join("README.md")]).filter(|p| p.extension().is_some_and(|e| e == "md")) {
        let text = fs::read_to_string(&file).expect("a document");
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = link.split('#').next().unwrap_or_default();
            let local = !target.is_empty() && !target.contains("://");
            if local && !file.parent().expect("a directory").join(target).exists() {
                broken.push(format!("{}: {link}", file.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:?}");
}

#[test]
fn every_example_inventory_is_valid() {
    for name in ["lab", "dev", "stage", "prod"] {
        let loaded = kubewright::spec::load(&root().join("inventories").join(name));
        assert!(loaded.is_ok(), "inventories/{name}: {}", loaded.err().map(|p| p.to_string()).unwrap_or_default());
    }
}

/// Each block of docs/cluster.md is read as a part of a specification, and every key that is read stands there.
#[test]
fn the_page_of_cluster_yaml_is_complete_and_valid() {
    let page = fs::read_to_string(root().join("docs/cluster.md")).expect("docs/cluster.md");
    let mut keys = std::collections::BTreeSet::new();
    for block in page.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()) {
        keys.extend(block.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').map(str::to_owned));
        let dir = tempfile::tempdir().expect("a directory");
        fs::create_dir(dir.path().join("secrets")).expect("secrets");
        fs::write(dir.path().join("secrets/ghcr"), "x").expect("a password");
        let mut text: String = block.lines().filter(|l| !l.starts_with("extends:")).map(|l| format!("{l}\n")).collect();
        // What belongs to provider `static` only.
        text = text.replace("  api_address: 192.168.1.5", "  # ").replace("AAAAIA…", "AAAAIA");
        if !text.contains("cluster:") {
            text.insert_str(0, "cluster: demo\n");
        }
        if !text.contains("provider:") {
            text.insert_str(0, if text.contains("aws:") { "provider: aws\n" } else { "provider: lab\n" });
        }
        fs::write(dir.path().join("cluster.yaml"), &text).expect("cluster.yaml");
        let loaded = kubewright::spec::load(dir.path());
        assert!(loaded.is_ok(), "{text}\n{}", loaded.err().map(|p| p.to_string()).unwrap_or_default());
    }
    let source = fs::read_to_string(root().join("src/spec/read.rs")).expect("src/spec/read.rs");
    let calls = ["optional", "or", "required", "take", "section", "minutes", "target"];
    let read = source.split('(').zip(source.split('(').skip(1)).filter_map(|(before, after)| {
        let name = before.split("::<").next().unwrap_or_default();
        let call = calls.iter().any(|c| name.ends_with(c));
        let key = after.trim_start_matches("&mut f, ").trim_start_matches("f, ").strip_prefix('"')?.split('"').next()?;
        call.then(|| key.to_owned())
    });
    let missing: Vec<String> = read.filter(|key| !keys.contains(key)).collect();
    assert!(missing.is_empty(), "docs/cluster.md does not name {missing:?}");
}

#[test]
fn the_shipped_playbooks_load() {
    use kubewright::ops::playbooks;
    for name in ["site", "reset"] {
        let source = kubewright::playbook::PlaybookSource::Embedded(format!("playbooks/{name}.yml"));
        let read = playbooks::read(&[source], &playbooks::load_options());
        assert!(read.is_ok(), "{name}: {}", read.err().map(|p| p.to_string()).unwrap_or_default());
    }
}
