//! Addresses and networks: what people use of the `ansible.utils` collection's filters.

use super::args::{Args, Registry, fail, items};
use crate::template::python;
use ipnet::{IpNet, Ipv4Net};
use minijinja::value::ValueKind;
use minijinja::{Error, Value};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub(super) fn register(r: &mut Registry<'_>) {
    r.add("ipaddr", "value query version alias", |_, a| each(a, |v, a| ipaddr(v, a.opt(1), None)));
    r.add("ipv4", "value query", |_, a| each(a, |v, a| ipaddr(v, a.opt(1), Some(4))));
    r.add("ipv6", "value query", |_, a| each(a, |v, a| ipaddr(v, a.opt(1), Some(6))));
    r.add("ipwrap", "value query", |_, a| {
        each(a, |v, _| {
            let text = python::str(v);
            let (address, rest) = text.split_once('/').map_or((text.as_str(), String::new()), |(a, p)| (a, format!("/{p}")));
            Ok(if address.parse::<Ipv6Addr>().is_ok() { Value::from(format!("[{address}]{rest}")) } else { v.clone() })
        })
    });
    r.add("ipsubnet", "value query index", |_, a| each(a, ipsubnet));
    r.add("nthhost", "value query", |_, a| {
        let net = network(&a.value()).ok_or_else(|| fail("needs a network"))?;
        Ok(nth(net.trunc(), a.int(1)?.unwrap_or(0)).map_or_else(|| Value::from(false), |ip| Value::from(ip.to_string())))
    });
    r.add("ipmath", "value amount", |_, a| {
        let address: IpAddr = a.text().parse().map_err(|_| fail("needs an address"))?;
        shifted(address, i128::from(a.int(1)?.unwrap_or(0)))
            .map(|ip| Value::from(ip.to_string()))
            .ok_or_else(|| fail("leaves the address space"))
    });
    r.add("network_in_network", "value other", |_, a| {
        let (outer, inner) = (network(&a.value()), a.opt(1).and_then(network));
        Ok(Value::from(matches!((outer, inner), (Some(outer), Some(inner)) if outer.contains(&inner))))
    });
    r.add("network_in_usable", "value other", |_, a| {
        let (Some(net), Some(ip)) = (network(&a.value()), a.opt(1).and_then(network)) else { return Ok(Value::from(false)) };
        Ok(Value::from(net.contains(&ip.addr()) && ip.addr() != net.network() && ip.addr() != net.broadcast()))
    });
}

/// A filter of one address, or of each of a list: those that are refused drop out.
fn each(a: &Args, f: fn(&Value, &Args) -> Result<Value, Error>) -> Result<Value, Error> {
    let value = a.value();
    if !matches!(value.kind(), ValueKind::Seq | ValueKind::Iterable) {
        return f(&value, a);
    }
    let mut out = Vec::new();
    for item in items(&value)? {
        let found = f(&item, a)?;
        if found != Value::from(false) && !found.is_none() {
            out.push(found);
        }
    }
    Ok(Value::from(out))
}

/// An address with or without a prefix or netmask.
fn network(value: &Value) -> Option<IpNet> {
    let text = python::str(value);
    let text = text.trim();
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(IpNet::from(address));
    }
    if let Ok(net) = text.parse() {
        return Some(net);
    }
    let (address, mask) = text.split_once('/')?;
    Ipv4Net::with_netmask(address.parse().ok()?, mask.parse().ok()?).ok().map(IpNet::V4)
}

fn shifted(address: IpAddr, by: i128) -> Option<IpAddr> {
    match address {
        IpAddr::V4(ip) => u32::try_from(i128::from(u32::from(ip)) + by).ok().map(|n| IpAddr::V4(Ipv4Addr::from(n))),
        IpAddr::V6(ip) => match u128::try_from(by) {
            Ok(up) => u128::from(ip).checked_add(up),
            Err(_) => u128::from(ip).checked_sub(by.unsigned_abs()),
        }
        .map(|n| IpAddr::V6(Ipv6Addr::from(n))),
    }
}

/// The `at`th address of a network, counted from its end where negative.
fn nth(net: IpNet, at: i64) -> Option<IpAddr> {
    let from = if at < 0 { shifted(net.broadcast(), 1)? } else { net.network() };
    shifted(from, i128::from(at)).filter(|ip| net.contains(ip))
}

fn size(net: IpNet) -> u128 {
    1_u128.checked_shl(u32::from(net.max_prefix_len() - net.prefix_len())).unwrap_or(u128::MAX)
}

fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_private() || ip.is_loopback() || ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unique_local() || ip.is_loopback() || ip.is_unicast_link_local(),
    }
}

fn ipaddr(value: &Value, query: Option<&Value>, version: Option<u8>) -> Result<Value, Error> {
    let no = || Ok(Value::from(false));
    let Some(net) = network(value) else { return no() };
    let is_v4 = matches!(net, IpNet::V4(_));
    if version.is_some_and(|v| (v == 4) != is_v4) {
        return no();
    }
    let text = python::str(value);
    let has_prefix = text.contains('/');
    let is_network = has_prefix && net.addr() == net.network() && net.prefix_len() < net.max_prefix_len();
    let prefix = net.prefix_len();
    let Some(query) = query.filter(|q| !q.is_none()) else { return Ok(value.clone()) };
    if let Some(at) = query.as_i64().or_else(|| query.as_str().and_then(|q| q.parse().ok())) {
        if !has_prefix {
            return Ok(value.clone());
        }
        return Ok(nth(net.trunc(), at).map_or_else(|| Value::from(false), |ip| Value::from(format!("{ip}/{prefix}"))));
    }
    let query = python::str(query);
    let when = |holds: bool, found: String| Ok(if holds { Value::from(found) } else { Value::from(()) });
    let or_false = |holds: bool, found: String| Ok(if holds { Value::from(found) } else { Value::from(false) });
    let usable = |first: bool| {
        let whole = net.trunc();
        let small = whole.max_prefix_len() - prefix < 2;
        if first { nth(whole, i64::from(!small)) } else { nth(whole, if small || !is_v4 { -1 } else { -2 }) }
    };
    match query.as_str() {
        "" => Ok(value.clone()),
        "bool" => Ok(Value::from(true)),
        "address" | "ip" => when(!is_network || !has_prefix, net.addr().to_string()),
        "host" | "address/prefix" => when(!is_network, format!("{}/{prefix}", net.addr())),
        "host/prefix" | "gateway" | "gw" => or_false(has_prefix && !is_network, format!("{}/{prefix}", net.addr())),
        "net" => when(is_network, format!("{}/{prefix}", net.network())),
        "network" | "network_id" => Ok(Value::from(net.network().to_string())),
        "network/prefix" | "subnet" | "cidr" => Ok(Value::from(net.trunc().to_string())),
        "netmask" => Ok(Value::from(net.netmask().to_string())),
        "hostmask" | "wildcard" => Ok(Value::from(net.hostmask().to_string())),
        "prefix" => Ok(Value::from(prefix)),
        "broadcast" => when(is_v4 && size(net) > 2, net.broadcast().to_string()),
        "size" => Ok(Value::from(size(net))),
        "version" => Ok(Value::from(if is_v4 { 4 } else { 6 })),
        "type" => Ok(Value::from(if is_network { "network" } else { "address" })),
        "private" => when(is_private(net.addr()), text),
        "public" => when(!is_private(net.addr()) && !net.addr().is_multicast(), text),
        "loopback" | "lo" => when(net.addr().is_loopback(), text),
        "multicast" => when(net.addr().is_multicast(), text),
        "ipv4" => or_false(is_v4, text),
        "ipv6" => or_false(!is_v4, text),
        "wrap" => Ok(Value::from(if is_v4 { text } else { format!("[{}]", net.addr()) })),
        "first_usable" => Ok(usable(true).map_or_else(|| Value::from(false), |ip| Value::from(ip.to_string()))),
        "last_usable" => Ok(usable(false).map_or_else(|| Value::from(false), |ip| Value::from(ip.to_string()))),
        "range_usable" => match (usable(true), usable(false)) {
            (Some(a), Some(b)) => Ok(Value::from(format!("{a}-{b}"))),
            _ => no(),
        },
        "int" => Ok(match net.addr() {
            IpAddr::V4(ip) => Value::from(u32::from(ip)),
            IpAddr::V6(ip) => Value::from(u128::from(ip)),
        }),
        other => match other.parse::<IpNet>() {
            Ok(outer) => when(outer.contains(&net.addr()), text),
            Err(_) => Err(fail(format!("the query '{other}' is not known"))),
        },
    }
}

fn ipsubnet(value: &Value, a: &Args) -> Result<Value, Error> {
    let Some(net) = network(value) else { return Ok(Value::from(false)) };
    let whole = net.trunc();
    let Some(length) = a.str(1).and_then(|q| q.parse::<u8>().ok()) else { return Ok(Value::from(whole.to_string())) };
    if length > whole.max_prefix_len() {
        return Ok(Value::from(false));
    }
    let index = a.int(2)?;
    if length < whole.prefix_len() {
        // The larger network around an address.
        let outer = IpNet::new(net.addr(), length).ok().filter(|_| !python::str(value).contains('/'));
        return Ok(outer.map_or_else(|| Value::from(false), |outer| Value::from(outer.trunc().to_string())));
    }
    let count = 1_u128.checked_shl(u32::from(length - whole.prefix_len())).unwrap_or(u128::MAX);
    let Some(index) = index else { return Ok(Value::from(count.to_string())) };
    let at = if index < 0 { count.checked_sub(u128::from(index.unsigned_abs())) } else { u128::try_from(index).ok() };
    let Some(at) = at.filter(|at| *at < count) else { return Ok(Value::from(false)) };
    let step = u32::from(whole.max_prefix_len() - length);
    let start = match whole.network() {
        IpAddr::V4(ip) => u32::try_from(u128::from(u32::from(ip)) + (at << step)).ok().map(|n| format!("{}", Ipv4Addr::from(n))),
        IpAddr::V6(ip) => Some(format!("{}", Ipv6Addr::from(u128::from(ip) + at.checked_shl(step).unwrap_or(0)))),
    };
    Ok(start.map_or_else(|| Value::from(false), |start| Value::from(format!("{start}/{length}"))))
}
