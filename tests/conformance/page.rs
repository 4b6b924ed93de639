//! docs/conformance.md: which case shows what, and what differs on purpose. Written from the cases; that they hold is what
//! running them shows.

use super::case::{self, Case};
use regex::Regex;
use std::{fmt::Write as _, path::Path};

/// Words of the language that the suite is measured by: those that public playbooks use, by how their use is recognised (`NAME`).
const FEATURES: &[(&str, &str, &str)] = &[
    (
        "Modules",
        r"(?m)^\s*(?:- |action: |local_action: )?(?:(?:ansible\.(?:builtin|legacy|posix)|community\.general)\.)?NAME(?:\s*:|\s)",
        "shell command raw script copy template file lineinfile blockinfile replace stat find slurp fetch get_url unarchive uri tempfile archive \
         ini_file apt apt_key apt_repository deb822_repository dpkg_selections package yum dnf yum_repository rpm_key package_facts pip systemd \
         systemd_service service service_facts sysctl modprobe mount hostname user group cron reboot wait_for wait_for_connection ping setup \
         gather_facts getent timezone selinux iptables ufw firewalld alternatives authorized_key known_hosts git set_fact debug assert fail pause \
         meta include_tasks import_tasks include_role import_role include include_vars import_playbook add_host group_by async_status",
    ),
    (
        "Keywords",
        r"(?m)\bNAME\s*:",
        "name hosts gather_facts gather_subset vars vars_files vars_prompt roles tasks pre_tasks post_tasks handlers serial strategy order \
         any_errors_fatal max_fail_percentage force_handlers ignore_unreachable remote_user connection become become_user become_method \
         become_flags environment module_defaults collections tags when register changed_when failed_when ignore_errors notify listen loop \
         with_items with_list with_dict with_together with_sequence with_subelements with_indexed_items with_flattened with_nested with_file \
         with_lines with_fileglob with_first_found with_random_choice with_inventory_hostnames loop_control loop_var index_var label pause \
         extended until retries delay delegate_to delegate_facts run_once throttle async poll check_mode diff no_log timeout args action \
         local_action block rescue always apply public tasks_from vars_from defaults_from handlers_from allow_duplicates dependencies port debugger",
    ),
    (
        "Filters",
        r"\|\s*(?:ansible\.\w+\.|community\.general\.)?NAME\b|(?:map|select|reject)\('NAME'",
        "default d length count bool unique difference first last combine trim map int float regex_replace regex_search regex_findall regex_escape \
         list lower upper title capitalize join string b64decode b64encode selectattr rejectattr select reject to_json to_nice_json to_yaml to_nice_yaml \
         from_json from_yaml from_yaml_all replace dirname basename realpath relpath splitext path_join expanduser expandvars commonpath normpath split \
         ansible.utils.ipwrap ansible.utils.ipaddr ansible.utils.ipsubnet indent ternary sort reverse union intersect symmetric_difference dict2items items2dict flatten \
         zip zip_longest product subelements extract random shuffle max min sum abs round log pow root mandatory quote hash checksum password_hash \
         to_uuid urlencode urlsplit version_sort json_query human_readable human_to_bytes comment type_debug groupby batch slice dictsort attr \
         center escape format pprint striptags tojson truncate wordcount wordwrap xmlattr items permutations combinations rekey_on_member \
         to_datetime strftime md5 sha1 win_basename fileglob filesizeformat",
    ),
    (
        "Tests",
        r"\bis (?:not )?(?:ansible\.builtin\.)?NAME\b|\('NAME'|, 'NAME'",
        "defined undefined version version_compare succeeded success failed changed skipped search match regex none odd even string number integer \
         float boolean mapping iterable sequence sameas equalto eq ne gt ge lt le contains in subset superset truthy falsy any all divisibleby lower \
         upper callable filter test file directory exists link abs is_dir link_exists mount started finished reachable unreachable \
         nan url uri urn vault_encrypted",
    ),
    (
        "Lookups",
        r"(?:lookup|query|q)\('(?:ansible\.builtin\.|community\.general\.)?NAME'|with_NAME:",
        "env file template password pipe first_found fileglob vars varnames dict items lines url sequence nested together subelements indexed_items \
         random_choice list inventory_hostnames csvfile ini config unvault flattened",
    ),
];

/// The page as it should be.
pub fn page() -> String {
    let cases = case::all();
    let texts: Vec<(String, String)> = cases.iter().map(|c| (c.name.clone(), text(c))).collect();
    let mut out = String::from(
        "# How far Ansible's language is compared with ansible-core\n\n\
         Generated; `UPDATE_DOCS=1 cargo test --features aws,testing --test conformance the_page` writes it anew.\n\n\
         Each case is a playbook in tests/conformance/cases. `make conformance` runs all of them by ansible-core 2.19 and by kubewright on two machines that are \
         alike (the Python packages that ansible-core's modules need are only on the one that it drives; Python itself is on both, since ufw, dnf and pip are \
         written in it), with `--check`, a first and a second time, and compares the recap, each task's end and \
         result, and the files, owners, modes, packages and units that are there afterwards.\n",
    );
    let mut tables = String::new();
    let _ = writeln!(out, "\n| What | Words that playbooks use | Shown by a case |\n| --- | --- | --- |");
    for (title, pattern, names) in FEATURES {
        let names: Vec<&str> = names.split_whitespace().collect();
        let _ = writeln!(tables, "\n## {title}\n\n| Name | Cases |\n| --- | --- |");
        let mut shown = 0;
        for name in &names {
            let regex = Regex::new(&pattern.replace("NAME", &regex::escape(name))).expect("a pattern");
            let found: Vec<&str> = texts.iter().filter(|(_, text)| regex.is_match(text)).map(|(name, _)| name.as_str()).collect();
            shown += usize::from(!found.is_empty());
            let more = if found.len() > 4 { format!(" and {} more", found.len() - 4) } else { String::new() };
            let list = if found.is_empty() { "none".to_owned() } else { format!("{}{more}", found[..found.len().min(4)].join(", ")) };
            let _ = writeln!(tables, "| `{name}` | {list} |");
        }
        let _ = writeln!(out, "| {title} | {} | {shown} ({} %) |", names.len(), shown * 100 / names.len());
    }
    out.push_str(&tables);
    out.push_str("\n## Cases, and what differs in them\n\nA path with `*` names the results; where nothing is said, everything compared is the same.\n\n| Case | What it is about | Better on purpose | Left out |\n| --- | --- | --- | --- |\n");
    for case in &cases {
        let about = about(case);
        let reasons = |list: &[(super::compare::Path, String)]| {
            let all: Vec<String> = list.iter().map(|(path, why)| format!("`{}`: {why}", path.0)).collect();
            all.join("; ").replace('|', "\\|")
        };
        let _ = writeln!(out, "| {} | {} | {} | {} |", case.name, about.replace('|', "\\|"), reasons(&case.better), reasons(&case.omitted));
    }
    out
}

/// The first comment that is not a setting.
fn about(case: &Case) -> String {
    let text = std::fs::read_to_string(case.dir.join("play.yml")).expect("play.yml");
    let setting = |line: &&str| !["args: ", "runs: ", "better: ", "omitted: ", "random: "].iter().any(|s| line.starts_with(s));
    let lines = text.lines().map_while(|l| l.strip_prefix("# "));
    lines.filter(setting).collect::<Vec<_>>().join(" ")
}

fn text(case: &Case) -> String {
    let read = |path: &std::path::PathBuf| std::fs::read_to_string(path).unwrap_or_default();
    case.files().iter().map(read).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_page_is_what_the_cases_say() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/conformance.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, page()).expect("docs/conformance.md can be written");
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(written, page(), "run UPDATE_DOCS=1 cargo test --features aws,testing --test conformance the_page");
}

/// A case that is refused compares nothing, whatever words stand in it.
#[test]
fn the_page_counts_only_cases_that_load() {
    let check = |case: &Case| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_kubewright"));
        command.args(["playbook", "--syntax-check"]).args(&case.args).arg("play.yml").current_dir(&case.dir);
        let output = command.output().expect("the program starts");
        (!output.status.success()).then(|| format!("{}: {}", case.name, String::from_utf8_lossy(&output.stderr)))
    };
    let refused: Vec<String> = case::all().iter().filter_map(check).collect();
    assert!(refused.is_empty(), "{}", refused.join("\n"));
}
