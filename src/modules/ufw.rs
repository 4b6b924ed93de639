//! `ufw`: rules, defaults, logging and whether it is on.

use super::{
    ArgError, ModuleDef, OptionType as T, Work,
    args::{Opts, opt},
    outcome,
    script::Script,
};

/// `community.general.ufw`
pub static UFW: ModuleDef = ModuleDef {
    names: &["ufw"],
    options: &[
        opt("state", T::Str).choices(&["enabled", "disabled", "reloaded", "reset"]),
        opt("default", T::Str).alias(&["policy"]).choices(&["allow", "deny", "reject"]),
        opt("direction", T::Str).choices(&["in", "incoming", "out", "outgoing", "routed"]),
        opt("rule", T::Str).choices(&["allow", "deny", "limit", "reject"]),
        opt("to_port", T::Str).alias(&["port"]),
        opt("from_port", T::Str),
        opt("proto", T::Str).alias(&["protocol"]).choices(&["ah", "any", "esp", "ipv6", "tcp", "udp", "gre", "igmp", "vrrp"]),
        opt("name", T::Str).alias(&["app"]),
        opt("from_ip", T::Str).alias(&["from", "src"]),
        opt("to_ip", T::Str).alias(&["dest", "to"]),
        opt("interface", T::Str).alias(&["if"]),
        opt("interface_in", T::Str).alias(&["if_in"]),
        opt("interface_out", T::Str).alias(&["if_out"]),
        opt("insert", T::Int),
        opt("insert_relative_to", T::Str).choices(&["zero", "first-ipv4", "last-ipv4", "first-ipv6", "last-ipv6"]),
        opt("route", T::Bool),
        opt("log", T::Bool),
        opt("comment", T::Str),
        opt("delete", T::Bool),
        opt("logging", T::Str).choices(&["full", "high", "low", "medium", "off", "on"]),
    ],
    free_form: false,
    facts: &[],
    compile: |args, env| compile(&Opts::read(&UFW, args)?, env.check_mode),
};

fn compile(o: &Opts, looks: bool) -> Result<Work, ArgError> {
    if !["state", "default", "rule", "logging"].iter().any(|k| o.has(k)) {
        return Err(ArgError("ufw needs one of state, default, rule, logging".into()));
    }
    let direction = o.text_or("direction", "");
    if o.has("interface") && direction.is_empty() {
        return Err(ArgError("ufw: interface needs direction".into()));
    }
    if !direction.is_empty() && (o.has("interface_in") || o.has("interface_out")) {
        return Err(ArgError("ufw: direction goes with interface, not with interface_in or interface_out".into()));
    }
    if o.has("default") && matches!(direction.as_str(), "in" | "out") {
        return Err(ArgError("ufw: the direction of default is incoming, outgoing or routed".into()));
    }
    let words = if o.has("rule") { rule(o, &direction)? } else { Vec::new() };
    let inserted = o.int("insert").filter(|_| !o.flag("delete", false));
    Ok(Script::new()
        .set("kw_state", &o.text_or("state", ""))
        .set("kw_default", &o.text_or("default", ""))
        .set("kw_direction", if direction.is_empty() { "incoming" } else { &direction })
        .set("kw_logging", &o.text_or("logging", ""))
        .set("kw_route", if o.flag("route", false) { "route" } else { "" })
        .set("kw_delete", if o.flag("delete", false) { "delete" } else { "" })
        .set("kw_insert", &inserted.map(|n| n.to_string()).unwrap_or_default())
        .set("kw_beside", &o.text_or("insert_relative_to", "zero"))
        .flag("kw_looks", looks)
        .args(&words)
        .work(
            "kw_ufw_check \"$@\"",
            "kw_ufw_apply \"$@\"",
            outcome::with(|result, said, _| {
                if said.has("status") {
                    result.msg = Some(said.get("status").trim_end().to_owned());
                }
            }),
        ))
}

/// The words of a rule, without what stands before its verb.
fn rule(o: &Opts, direction: &str) -> Result<Vec<String>, ArgError> {
    if !matches!(direction, "" | "in" | "out") {
        return Err(ArgError("ufw: the direction of a rule is in or out".into()));
    }
    if o.has("interface_in") && o.has("interface_out") && !o.flag("route", false) {
        return Err(ArgError("ufw: only a route has both interface_in and interface_out".into()));
    }
    let mut words = vec![o.text_or("rule", "")];
    words.extend(Some(direction.to_owned()).filter(|d| !d.is_empty()));
    for (before, name) in [(&["on"][..], "interface"), (&["in", "on"], "interface_in"), (&["out", "on"], "interface_out")] {
        if let Some(interface) = o.text(name) {
            words.extend(before.iter().map(|w| (*w).to_owned()));
            words.push(interface);
        }
    }
    if o.flag("log", false) {
        words.push("log".to_owned());
    }
    let pairs = [
        ("from", Some(o.text_or("from_ip", "any"))),
        ("port", o.text("from_port")),
        ("to", Some(o.text_or("to_ip", "any"))),
        ("port", o.text("to_port")),
        ("proto", o.text("proto")),
        ("app", o.text("name")),
        ("comment", o.text("comment")),
    ];
    for (word, value) in pairs {
        words.extend(value.into_iter().flat_map(|v| [word.to_owned(), v]));
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::{Root, converges};

    #[test]
    fn rules_defaults_and_logging_are_made_once() {
        let prepare = |root: &Root| {
            root.write("etc/default/ufw", "DEFAULT_INPUT_POLICY=\"ACCEPT\"\n");
            root.write("etc/ufw/ufw.conf", "LOGLEVEL=low\n");
            root.stub(
                "ufw",
                r#"case "$*" in
status*) echo 'Status: inactive' ;;
--dry-run*) if grep -q allow "$R/calls" 2>/dev/null; then echo 'Skipping adding existing rule'; else echo '*filter'; fi ;;
'default deny incoming') echo "$*" >>"$R/calls"; echo 'DEFAULT_INPUT_POLICY="DROP"' >"$R/etc/default/ufw" ;;
'logging off') echo "$*" >>"$R/calls"; echo LOGLEVEL=off >"$R/etc/ufw/ufw.conf" ;;
*) echo "$*" >>"$R/calls" ;;
esac"#,
            );
        };
        let args =
            r#"{"rule":"allow","port":"22","insert":1,"route":true,"if_in":"a b","comment":"it's","default":"deny","logging":"off"}"#;
        converges(&UFW, args, prepare, |root| {
            assert_eq!(
                root.read("calls"),
                "default deny incoming\nroute insert 1 allow in on a b from any to any port 22 comment it's\nlogging off\n"
            );
        });
    }
}
