//! containerd and kubelet: the right ones, running, and agreeing with each other.

use super::{Ctx, Findings, HostView, machine, unread};
use crate::verify::{
    causes,
    finding::Finding,
    host::Seen,
    registry::{Check, Group::Runtime},
    types::Severity::{Critical, Major, Minor},
};

pub(in crate::verify) const CHECKS: &[Check] = &[
    Check {
        id: "runtime-kubelet",
        group: Runtime,
        severity: Critical,
        tag: None,
        probes: false,
        eval: |ctx| unit(ctx, "kubelet"),
        title: "kubelet runs and will run after a reboot",
        expected: "kubelet.service active (running) and enabled",
        proves: "the node is being managed",
        causes: "it crash-loops (its journal says why), or somebody stopped it",
        fix: "`journalctl -u kubelet -n 50`, then `systemctl enable --now kubelet`",
    },
    Check {
        id: "runtime-kubelet-health",
        group: Runtime,
        severity: Critical,
        tag: None,
        probes: false,
        eval: kubelet_health,
        title: "kubelet says that it is healthy",
        expected: "ok on 127.0.0.1:10248/healthz",
        proves: "its loops turn; it is not just a process",
        causes: "it cannot talk to containerd, or it is still starting",
        fix: "`journalctl -u kubelet -n 50`",
    },
    Check {
        id: "runtime-containerd",
        group: Runtime,
        severity: Critical,
        tag: None,
        probes: false,
        eval: |ctx| unit(ctx, "containerd"),
        title: "containerd runs and will run after a reboot",
        expected: "containerd.service active (running) and enabled",
        proves: "containers can be started",
        causes: "a configuration it cannot read, a full disk, or somebody stopped it",
        fix: "`journalctl -u containerd -n 50`, then `systemctl enable --now containerd`",
    },
    Check {
        id: "runtime-socket",
        group: Runtime,
        severity: Critical,
        tag: None,
        probes: false,
        eval: socket,
        title: "The CRI socket is where kubelet looks for it",
        expected: "/run/containerd/containerd.sock is a socket, and kubelet's configuration names it",
        proves: "kubelet and containerd can meet",
        causes: "containerd does not run, or its configuration moves the socket",
        fix: "restore grpc.address in /etc/containerd/config.toml and restart containerd",
    },
    Check {
        id: "runtime-versions",
        group: Runtime,
        severity: Major,
        tag: None,
        probes: false,
        eval: versions,
        title: "containerd's version suits kubelet's",
        expected: "the major version of the spec; 2 or later for Kubernetes 1.36",
        proves: "kubelet will start after its next restart, too",
        causes: "containerd was upgraded or downgraded by hand",
        fix: "install the wanted containerd and hold it",
    },
    Check {
        id: "runtime-cgroup-driver",
        group: Runtime,
        severity: Critical,
        tag: Some("containerd"),
        probes: false,
        eval: cgroup_driver,
        title: "kubelet and containerd use the systemd cgroup driver",
        expected: "systemd in both configurations, and pods running in kubepods.slice scopes",
        proves: "one manager of cgroups: nodes stay stable under memory pressure",
        causes: "containerd's configuration lost SystemdCgroup = true, or it was not restarted after the change",
        fix: "set SystemdCgroup = true and restart containerd, then kubelet",
    },
    Check {
        id: "runtime-sandbox-image",
        group: Runtime,
        severity: Major,
        tag: Some("containerd"),
        probes: false,
        eval: sandbox_image,
        title: "The sandbox image is present and pinned",
        expected: "the pause image of containerd's configuration, labelled pinned",
        proves: "image garbage collection will not remove what every pod needs",
        causes: "containerd's configuration names another pause image than kubeadm, or an old containerd that does not pin",
        fix: "set the sandbox image in /etc/containerd/config.toml to kubeadm's and pull it",
    },
    Check {
        id: "runtime-image-disk",
        group: Runtime,
        severity: Major,
        tag: None,
        probes: false,
        eval: image_disk,
        title: "There is room for images",
        expected: "more than 5 % or 4 GiB free under /var/lib/containerd",
        proves: "the next image pull works",
        causes: "many unused images while garbage collection is off or its threshold is never reached",
        fix: "`crictl rmi --prune` or `ctr -n k8s.io images prune --all`; enlarge the volume",
    },
    Check {
        id: "runtime-registry",
        group: Runtime,
        severity: Major,
        tag: None,
        probes: false,
        eval: registry,
        title: "The image registry can be reached from the node",
        expected: "a TCP connection (and an answer to /v2/ from a mirror)",
        proves: "a pod that lands here can get its image",
        causes: "the mirror is down, a route or NAT is missing, or a proxy is needed",
        fix: "`curl -v REGISTRY/v2/` on the node; check kubernetes.image_registry in the spec",
    },
    Check {
        id: "runtime-oom",
        group: Runtime,
        severity: Major,
        tag: None,
        probes: false,
        eval: oom,
        title: "No container was killed for memory in the last hour",
        expected: "no OOMKilled",
        proves: "limits and demand agree",
        causes: "a memory limit that is too low, or a leak",
        fix: "raise the limit or mend the leak; `kubectl describe pod`",
    },
    Check {
        id: "runtime-log-rotation",
        group: Runtime,
        severity: Minor,
        tag: None,
        probes: false,
        eval: log_rotation,
        title: "Container logs are rotated",
        expected: "no log file above 100 MiB",
        proves: "one chatty container does not fill the disk",
        causes: "containerLogMaxSize was raised, or kubelet does not rotate (it is hanging)",
        fix: "set containerLogMaxSize in kubelet's configuration; look at the container that writes so much",
    },
];

/// Properties of a unit in `systemctl show`'s output, which separates units by an empty line.
fn properties<'a>(seen: &'a Seen, unit: &str) -> Option<Vec<(&'a str, &'a str)>> {
    let blocks = seen.section("units")?.split("\n\n");
    let of = |block: &'a str| block.lines().filter_map(|l| l.split_once('=')).collect::<Vec<_>>();
    blocks.map(of).find(|b| b.contains(&("Id", &format!("{unit}.service"))))
}

fn unit(ctx: &Ctx<'_>, unit: &str) -> Findings {
    ctx.each_host(|host, seen| {
        let Some(all) = properties(seen, unit) else { return unread(host, unit) };
        let get = |key: &str| all.iter().find(|(k, _)| *k == key).map_or("?", |(_, v)| *v);
        let running = get("ActiveState") == "active" && get("SubState") == "running";
        let fine = running && get("UnitFileState") == "enabled" && get("NeedDaemonReload") != "yes";
        let restarts = get("NRestarts");
        let observed = format!("{} ({}), {}, {restarts} restarts", get("ActiveState"), get("SubState"), get("UnitFileState"));
        let mut finding = Finding::of(fine, &host.name, observed).evidence(format!("systemctl show {unit}"), format!("{all:?}"));
        let journal = seen.section(if unit == "kubelet" { "kubelet-journal" } else { "containerd-journal" }).unwrap_or("");
        if !running {
            finding = finding.evidence(format!("journalctl -u {unit}"), journal);
            if let Some(cause) = causes::diagnose(journal) {
                finding = finding.cause(cause.cause).fix(cause.fix);
            }
        }
        finding
    })
}

fn kubelet_health(ctx: &Ctx<'_>) -> Findings {
    ctx.each_host(|host, _| match &host.served.kubelet_health {
        Ok(text) => Finding::of(text.trim() == "ok", &host.name, text.trim()),
        Err(why) => Finding::bad(&host.name, why),
    })
}

fn socket(ctx: &Ctx<'_>) -> Findings {
    ctx.each_host(|host, seen| {
        let (Some(text), Some(_)) = (seen.section("socket"), seen.section("kubelet-config")) else { return unread(host, "the CRI socket") };
        let there = text.trim() == "socket";
        let named = seen.value("kubelet-config", "containerRuntimeEndpoint").map(|e| e.trim_matches('"'));
        // Older kubelets have it on their command line instead.
        let right = named.is_none_or(|e| e.is_empty() || e.ends_with("/run/containerd/containerd.sock"));
        let observed = format!("{}, kubelet uses {}", if there { "socket" } else { "no socket" }, named.unwrap_or("its default"));
        Finding::of(there && right, &host.name, observed).evidence("ls -l /run/containerd/containerd.sock", text)
    })
}

fn versions(ctx: &Ctx<'_>) -> Findings {
    let wanted = ctx.spec.kubernetes.containerd;
    ctx.each_host(|host, seen| {
        let Some(text) = seen.section("containerd-version") else { return unread(host, "containerd's version") };
        let version = text.split_whitespace().nth(2).unwrap_or("").trim_start_matches('v');
        let major: Option<u8> = version.split(['.', '~']).next().and_then(|m| m.parse().ok());
        let kubelet = seen.section("kubelet-version").unwrap_or("").trim();
        match major {
            None => Finding::bad(&host.name, "containerd does not say its version").evidence("containerd --version", text),
            Some(major) => Finding::of(major == wanted, &host.name, format!("containerd {version}, {kubelet}"))
                .expected(format!("containerd {wanted}.x with Kubernetes {}", ctx.spec.kubernetes.version))
                .evidence("containerd --version; runc --version", text),
        }
    })
}

fn cgroup_driver(ctx: &Ctx<'_>) -> Findings {
    ctx.each_host(|host, seen| {
        let (Some(config), Some(paths)) = (seen.section("containerd-config"), seen.section("cgroups")) else {
            return unread(host, "cgroups");
        };
        let kubelet = seen.value("kubelet-config", "cgroupDriver").unwrap_or("not set");
        let containerd = config.lines().any(|l| l.trim() == "SystemdCgroup = true");
        // crictl and `config dump` can say one thing while processes run in another: the paths are what counts.
        let pods: Vec<&str> = paths.lines().filter(|l| l.contains("pod") && !l.ends_with("kubepods")).collect();
        // A process that is just moving into its container stands in the pod's slice for a moment; cgroupfs knows no slices.
        let foreign: Vec<&&str> = pods
            .iter()
            .filter(|l| !l.contains("kubepods.slice/") || !(l.contains(".scope") || l.rsplit('.').next() == Some("slice")))
            .collect();
        let running = match (pods.is_empty(), foreign.first()) {
            (true, _) => "no pod runs".to_owned(),
            (_, Some(path)) => format!("a pod runs in {path}"),
            _ => "pods run in kubepods.slice".to_owned(),
        };
        let fine = kubelet == "systemd" && containerd && foreign.is_empty() && !pods.is_empty();
        let word = if containerd { "systemd" } else { "cgroupfs" };
        let observed = format!("kubelet {kubelet}, containerd {word}, {running}");
        if pods.is_empty() && kubelet == "systemd" && containerd {
            return Finding::unseen(&host.name, observed);
        }
        Finding::of(fine, &host.name, observed).evidence("cat /proc/*/cgroup", paths)
    })
}

fn sandbox_image(ctx: &Ctx<'_>) -> Findings {
    ctx.each_host(|host, seen| {
        let (Some(config), Some(images)) = (seen.section("containerd-config"), seen.section("images")) else {
            return unread(host, "images");
        };
        let setting = |l: &str| {
            let (key, value) = l.split_once('=')?;
            ["sandbox", "sandbox_image"].contains(&key.trim()).then(|| value.trim().trim_matches(['"', '\'']).to_owned())
        };
        let Some(image) = config.lines().find_map(setting).filter(|i| !i.is_empty()) else {
            return Finding::bad(&host.name, "containerd's configuration names no sandbox image")
                .evidence("containerd config dump", config);
        };
        let line = images.lines().find(|l| l.split_whitespace().next() == Some(&image));
        match line {
            None => Finding::bad(&host.name, format!("{image} is not present")).evidence("ctr -n k8s.io images ls", images),
            Some(line) => {
                // containerd pins since 1.7; before, kubelet excludes the image by its own flag.
                let pinned = line.contains("io.cri-containerd.pinned=pinned") || ctx.spec.kubernetes.containerd < 2;
                Finding::of(pinned, &host.name, format!("{image}{}", if pinned { "" } else { " is not pinned" }))
                    .evidence("ctr -n k8s.io images ls", line)
            }
        }
    })
}

fn image_disk(ctx: &Ctx<'_>) -> Findings {
    ctx.each_host(|host, seen| {
        let Some(text) = seen.section("df") else { return unread(host, "disks") };
        // df names the file system that holds the directory; it lists them in the order that was asked for.
        let all = machine::filesystems(text);
        let place = ["/var/lib/containerd", "/var/lib", "/var", "/"].iter().find_map(|m| all.iter().find(|(_, _, mount)| mount == m));
        match place {
            None => unread(host, "the image disk"),
            Some((size, free, mount)) => {
                Finding::of(machine::has_room(*size, *free), &host.name, format!("{} GiB free on {mount}", free >> 30))
                    .evidence("df -PB1 /var/lib/containerd", text)
            }
        }
    })
}

fn registry(ctx: &Ctx<'_>) -> Findings {
    ctx.each_host(|host: &HostView, seen| match &host.served.registry {
        Ok(answer) => Finding::good(&host.name, answer),
        Err(why) => {
            Finding::bad(&host.name, why).evidence("cat /etc/containerd/certs.d/*/hosts.toml", seen.section("mirrors").unwrap_or(""))
        }
    })
}

fn oom(ctx: &Ctx<'_>) -> Findings {
    let now = ctx.now.as_second();
    ctx.asked(&ctx.cluster.pods, |pods| {
        let mut bad = Vec::new();
        for pod in pods {
            let statuses = pod.status.iter().flat_map(|s| s.container_statuses.iter().flatten());
            for container in statuses {
                let ended = [&container.state, &container.last_state].into_iter().flatten().filter_map(|s| s.terminated.as_ref());
                for end in ended.filter(|t| t.reason.as_deref() == Some("OOMKilled")) {
                    let at = end.finished_at.as_ref().map_or(now, |t| t.0.as_second());
                    if now - at < 3600 {
                        let subject = super::workload::name(pod);
                        bad.push(Finding::bad(subject, format!("container {} was OOMKilled {} min ago", container.name, (now - at) / 60)));
                    }
                }
            }
        }
        super::all_or(bad, || Finding::good("cluster", "none"))
    })
}

fn log_rotation(ctx: &Ctx<'_>) -> Findings {
    ctx.each_host(|host, seen| {
        let Some(text) = seen.section("pod-logs") else { return unread(host, "pod logs") };
        let large: Vec<&str> = text.lines().filter(|l| !l.trim().is_empty()).collect();
        let observed = if large.is_empty() { "none above 100 MiB".to_owned() } else { large.join(", ") };
        Finding::of(large.is_empty(), &host.name, observed).evidence("find /var/log/pods -size +100M", text)
    })
}
