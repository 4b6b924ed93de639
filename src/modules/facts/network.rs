//! Addresses and interfaces: `module_utils/facts/network/linux.py`, from `ip -o`.

use super::{Facts, Said};
use indexmap::IndexMap;
use ipnet::IpNet;
use minijinja::Value;

#[derive(Default)]
struct Interface {
    fields: IndexMap<String, Value>,
    ipv4: Vec<IndexMap<String, Value>>,
    ipv6: Vec<IndexMap<String, Value>>,
}

pub(super) fn read(said: &Said, facts: &mut Facts) {
    let mut interfaces: IndexMap<String, Interface> = IndexMap::new();
    for line in said.get("link").lines() {
        link(line, &mut interfaces);
    }
    let (mut all4, mut all6) = (Vec::new(), Vec::new());
    for line in said.get("addr").lines() {
        address(line, &mut interfaces, &mut all4, &mut all6);
    }
    facts.insert("all_ipv4_addresses".into(), Value::from(all4));
    facts.insert("all_ipv6_addresses".into(), Value::from(all6));
    facts.insert("default_ipv4".into(), default_route(said.get("route4"), &interfaces, false));
    facts.insert("default_ipv6".into(), default_route(said.get("route6"), &interfaces, true));
    facts.insert("interfaces".into(), interfaces.keys().map(|k| Value::from(k.as_str())).collect());
    facts.insert("dns".into(), dns(said.get("resolv")));
    for (name, interface) in interfaces {
        let mut fields = interface.fields;
        let mut four = interface.ipv4.into_iter();
        if let Some(first) = four.next() {
            fields.insert("ipv4".into(), Value::from_pairs(first));
        }
        let more: Vec<Value> = four.map(Value::from_pairs).collect();
        if !more.is_empty() {
            fields.insert("ipv4_secondaries".into(), Value::from(more));
        }
        if !interface.ipv6.is_empty() {
            fields.insert("ipv6".into(), interface.ipv6.into_iter().map(Value::from_pairs).collect());
        }
        facts.insert(fact_name(&name), Value::from_pairs(fields));
    }
}

/// `ansible_br_lan` for `br-lan`.
fn fact_name(interface: &str) -> String {
    interface.replace(['-', '.', ':'], "_")
}

/// `2: eth0@if9: <…,UP,…> mtu 9001 … state UP …\    link/ether MAC brd …`
fn link(line: &str, interfaces: &mut IndexMap<String, Interface>) {
    let words: Vec<&str> = line.split_whitespace().collect();
    let Some(name) = words.get(1).map(|w| w.trim_end_matches(':').split('@').next().unwrap_or_default().to_owned()) else { return };
    let after = |key: &str| words.iter().position(|w| *w == key).and_then(|i| words.get(i + 1)).copied();
    let flags = words.get(2).copied().unwrap_or_default();
    let mut fields = IndexMap::new();
    fields.insert("device".to_owned(), Value::from(name.as_str()));
    fields.insert("active".to_owned(), flags.trim_matches(['<', '>']).split(',').any(|f| f == "UP").into());
    if let Some(mtu) = after("mtu").and_then(|m| m.parse::<i64>().ok()) {
        fields.insert("mtu".to_owned(), mtu.into());
    }
    let kind = words.iter().find_map(|w| w.strip_prefix("link/")).unwrap_or_default();
    fields.insert(
        "type".to_owned(),
        Value::from(if kind == "ether" {
            if name.starts_with("br") || name == "cni0" || name.starts_with("docker") { "bridge" } else { "ether" }
        } else {
            kind
        }),
    );
    if kind == "ether"
        && let Some(mac) = after("link/ether")
    {
        fields.insert("macaddress".to_owned(), mac.into());
    }
    interfaces.insert(name, Interface { fields, ..Interface::default() });
}

/// `2: eth0    inet 10.0.1.10/24 brd 10.0.1.255 scope global eth0`
fn address(line: &str, interfaces: &mut IndexMap<String, Interface>, all4: &mut Vec<String>, all6: &mut Vec<String>) {
    let words: Vec<&str> = line.split_whitespace().collect();
    let (Some(name), Some(family), Some(text)) = (words.get(1), words.get(2), words.get(3)) else { return };
    let Ok(net) = text.parse::<IpNet>().or_else(|_| text.parse::<std::net::IpAddr>().map(IpNet::from)) else { return };
    let after = |key: &str| words.iter().position(|w| *w == key).and_then(|i| words.get(i + 1)).copied();
    let scope = after("scope").unwrap_or_default();
    let interface = interfaces.entry((*name).to_owned()).or_default();
    let ip = net.addr().to_string();
    let mut entry =
        IndexMap::from([("address".to_owned(), Value::from(ip.as_str())), ("prefix".to_owned(), net.prefix_len().to_string().into())]);
    if *family == "inet" {
        entry.insert("broadcast".into(), after("brd").unwrap_or_default().into());
        entry.insert("netmask".into(), net.netmask().to_string().into());
        entry.insert("network".into(), net.network().to_string().into());
        if !ip.starts_with("127.") {
            all4.push(ip);
        }
        interface.ipv4.push(entry);
    } else {
        entry.insert("scope".into(), scope.into());
        if ip != "::1" {
            all6.push(ip);
        }
        interface.ipv6.push(entry);
    }
}

/// `8.8.8.8 via 10.0.1.1 dev eth0 src 10.0.1.10`
fn default_route(text: &str, interfaces: &IndexMap<String, Interface>, six: bool) -> Value {
    let words: Vec<&str> = text.split_whitespace().collect();
    let after = |key: &str| words.iter().position(|w| *w == key).and_then(|i| words.get(i + 1)).copied();
    let (Some(device), Some(source)) = (after("dev"), after("src")) else { return Value::from_pairs(Vec::<(&str, &str)>::new()) };
    let mut fields = IndexMap::from([("interface".to_owned(), Value::from(device)), ("address".to_owned(), Value::from(source))]);
    if let Some(gateway) = after("via") {
        fields.insert("gateway".into(), gateway.into());
    }
    if let Some(interface) = interfaces.get(device) {
        let addresses = if six { &interface.ipv6 } else { &interface.ipv4 };
        if let Some(entry) = addresses.iter().find(|a| a.get("address").is_some_and(|v| v.as_str() == Some(source))) {
            fields.extend(entry.clone());
        }
        for key in ["macaddress", "mtu", "type"] {
            if let Some(value) = interface.fields.get(key) {
                fields.insert(key.to_owned(), value.clone());
            }
        }
        if !six {
            fields.insert("alias".into(), device.into());
        }
    }
    Value::from_pairs(fields)
}

fn dns(text: &str) -> Value {
    let (mut servers, mut search) = (Vec::new(), Vec::new());
    for line in text.lines() {
        let mut words = line.split_whitespace();
        match words.next() {
            Some("nameserver") => servers.extend(words.next().map(str::to_owned)),
            Some("search") => search = words.map(str::to_owned).collect(),
            _ => {}
        }
    }
    let mut fields = IndexMap::from([("nameservers".to_owned(), Value::from(servers))]);
    if !search.is_empty() {
        fields.insert("search".to_owned(), Value::from(search));
    }
    Value::from_pairs(fields)
}
