//! What the host under the lab offers and forbids: looked at, never assumed.

use super::docker::Engine;
use crate::infra::InfraError;
use bollard::models::SystemInfoCgroupVersionEnum;
use ipnet::Ipv4Net;
use std::net::Ipv4Addr;

/// Instances of inotify that a user may have, by default 128 for the whole host: systemd, kubelet and containerd of a few
/// nodes need more, and kubelet dies without saying much.
const INOTIFY: &str = "/proc/sys/fs/inotify/max_user_instances";
const INOTIFY_WANTED: u64 = 8192;
const INOTIFY_ENOUGH: u64 = 1024;
/// Bit of CAP_SYS_RESOURCE in capability sets, linux/capability.h.
const CAP_SYS_RESOURCE: u32 = 24;

/// What matters about the host.
#[derive(Clone, Copy, Debug)]
pub(super) struct Host {
    /// Control groups are of version 1.
    pub(super) cgroup_v1: bool,
    /// Containers may have CAP_SYS_RESOURCE.
    pub(super) sys_resource: bool,
}

/// Looks.
pub(super) async fn look(engine: &Engine) -> Result<Host, InfraError> {
    let info = engine.info().await?;
    Ok(Host { cgroup_v1: info.cgroup_version == Some(SystemInfoCgroupVersionEnum::_1), sys_resource: has_sys_resource() })
}

/// Whether the engine's containers may have CAP_SYS_RESOURCE: where this process lacks it in its bounding set, a local engine
/// lacks it too.
fn has_sys_resource() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let bounding = status.lines().find_map(|l| l.strip_prefix("CapBnd:")).and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok());
    bounding.is_none_or(|set| set >> CAP_SYS_RESOURCE & 1 == 1)
}

/// Raises the limit on inotify instances, or says how.
pub(super) fn raise_inotify() -> Result<(), InfraError> {
    let Some(now) = std::fs::read_to_string(INOTIFY).ok().and_then(|t| t.trim().parse::<u64>().ok()) else { return Ok(()) };
    if now >= INOTIFY_ENOUGH || std::fs::write(INOTIFY, INOTIFY_WANTED.to_string()).is_ok() {
        return Ok(());
    }
    Err(InfraError::Missing {
        what: format!("fs.inotify.max_user_instances is {now} on this host: kubelet in the nodes would die with 'too many open files'"),
        hint: format!("sudo sysctl -w fs.inotify.max_user_instances={INOTIFY_WANTED}"),
    })
}

/// The host's name servers as nodes can use them: no loopback stub.
pub(super) fn resolvers() -> Vec<Ipv4Addr> {
    let read = |path: &str| parse_resolvers(&std::fs::read_to_string(path).unwrap_or_default());
    let mut found = read("/etc/resolv.conf");
    if found.is_empty() {
        found = read("/run/systemd/resolve/resolv.conf");
    }
    found
}

fn parse_resolvers(text: &str) -> Vec<Ipv4Addr> {
    text.lines()
        .filter_map(|l| l.strip_prefix("nameserver"))
        .filter_map(|a| a.trim().parse().ok())
        .filter(|a: &Ipv4Addr| !a.is_loopback())
        .collect()
}

/// The host's own routes, except the default one: (range, interface).
pub(super) fn routes() -> Vec<(Ipv4Net, String)> {
    parse_routes(&std::fs::read_to_string("/proc/net/route").unwrap_or_default())
}

/// /proc/net/route: interface, destination, gateway, flags, …, mask; addresses in hexadecimal and host byte order.
fn parse_routes(text: &str) -> Vec<(Ipv4Net, String)> {
    text.lines()
        .skip(1)
        .filter_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let address = |i: usize| fields.get(i).and_then(|f| u32::from_str_radix(f, 16).ok()).map(|n| Ipv4Addr::from(n.swap_bytes()));
            let net = Ipv4Net::with_netmask(address(1)?, address(7)?).ok()?;
            let interface = (*fields.first()?).to_owned();
            (net.prefix_len() > 0).then_some((net, interface))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolvers_are_never_the_hosts_own_stub() {
        let text = "# x\nnameserver 127.0.0.53\nnameserver 192.0.2.53\nnameserver ::1\noptions edns0\n";
        assert_eq!(parse_resolvers(text), [Ipv4Addr::new(192, 0, 2, 53)]);
    }

    #[test]
    fn routes_of_the_kernel() {
        let text = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n\
                    eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n\
                    br-1\t00001FAC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n";
        assert_eq!(parse_routes(text), [("172.31.0.0/16".parse().unwrap(), "br-1".to_owned())]);
    }
}
