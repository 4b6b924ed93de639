//! Node images: made once, named by a hash of everything that they are made from.

use super::{
    archive::Archive,
    cache,
    docker::{Engine, failed},
    script::Script,
};
use crate::{event::Events, infra::InfraError, spec::LabSettings};
use bollard::query_parameters::{BuildImageOptions, CreateImageOptions};
use futures::StreamExt;
use std::{path::Path, time::Duration};

const ROOTFS: &str = include_str!("artefacts/rootfs.sh");
const DOCKERFILE: &str = include_str!("node/Dockerfile");
const BALANCER: &str = include_str!("balancer/Dockerfile");
const BALANCER_START: &str = include_str!("balancer/start");
/// Files of the image: path, mode, content.
const FILES: &[(&str, u32, &str)] = &[
    ("usr/lib/kubewright-lab/setup", 0o755, include_str!("node/setup")),
    ("usr/lib/kubewright-lab/init", 0o755, include_str!("node/init")),
    ("usr/lib/kubewright-lab/first-boot", 0o755, include_str!("node/first-boot")),
    ("usr/lib/kubewright-lab/packages", 0o644, PACKAGES),
    ("usr/bin/cloud-init", 0o755, include_str!("node/cloud-init")),
    ("etc/systemd/system/cloud-init.service", 0o644, include_str!("node/cloud-init.service")),
    ("etc/systemd/journald.conf.d/lab.conf", 0o644, include_str!("node/journald.conf")),
];
/// What EC2's Ubuntu image has and a node needs; no Python, on purpose.
const PACKAGES: &str = "systemd,systemd-sysv,systemd-resolved,dbus,openssh-server,sudo,iproute2,iputils-ping,iptables,nftables,\
                        procps,ca-certificates,curl,gnupg,kmod,conntrack,ethtool,socat,ebtables";
/// Debian's release.
pub(super) const SUITE: &str = "bookworm";
/// A registry that cannot be reached must not cost more than this.
const PULL: Duration = Duration::from_secs(8);

/// The node image, built if it is missing. Returns its name.
pub(super) async fn node(engine: &Engine, settings: &LabSettings, cache: &Path, events: &Events) -> Result<String, InfraError> {
    let content = FILES.iter().flat_map(|(path, _, text)| [*path, *text]);
    let name = format!("kubewright-lab/node:{}", cache::key(content.chain([DOCKERFILE, ROOTFS, PACKAGES, SUITE, &settings.image])));
    if engine.api.inspect_image(&name).await.is_ok() {
        return Ok(name);
    }
    let id = "lab/image/node";
    events
        .step(id, "node image", None, async {
            let base = debian(engine, settings, cache, id, events).await?;
            build(engine, &name, &base).await
        })
        .await?;
    Ok(name)
}

/// The balancer's image: the base and Debian's HAProxy, built if it is missing. Returns its name.
pub(super) async fn balancer(engine: &Engine, settings: &LabSettings, cache: &Path, events: &Events) -> Result<String, InfraError> {
    let name = format!("kubewright-lab/balancer:{}", cache::key([BALANCER, BALANCER_START, ROOTFS, PACKAGES, SUITE, &settings.image]));
    if engine.api.inspect_image(&name).await.is_ok() {
        return Ok(name);
    }
    let id = "lab/image/balancer";
    events
        .step(id, "load balancer image", None, async {
            let base = debian(engine, settings, cache, id, events).await?;
            let context =
                Archive::new().file("balancer", 0o755, BALANCER_START).file("Dockerfile", 0o644, &format!("FROM {base}\n{BALANCER}"));
            run_build(engine, &name, context).await
        })
        .await?;
    Ok(name)
}

/// The base of all images: pulled, or made with mmdebstrap where no registry can be reached.
async fn debian(engine: &Engine, settings: &LabSettings, cache: &Path, step: &str, events: &Events) -> Result<String, InfraError> {
    match pulled(engine, &settings.image).await {
        Ok(base) => Ok(base),
        Err(why) => {
            events.note(format!("{} cannot be pulled ({why}): the base image is built with mmdebstrap", settings.image));
            base(engine, cache, step, events).await
        }
    }
}

/// The node image with the real cloud-init instead of the lab's own small one, built if it is missing. Returns its name.
#[cfg(feature = "testing")]
pub(super) async fn with_cloud_init(engine: &Engine, node: &str, events: &Events) -> Result<String, InfraError> {
    const DOCKERFILE: &str = include_str!("node/cloud-init.Dockerfile");
    const CONFIG: &str = include_str!("node/cloud-init.cfg");
    let name = format!("kubewright-lab/cloud-init:{}", cache::key([node, DOCKERFILE, CONFIG]));
    if engine.api.inspect_image(&name).await.is_ok() {
        return Ok(name);
    }
    let context = Archive::new().file("Dockerfile", 0o644, &format!("FROM {node}\n{DOCKERFILE}")).file("50_lab.cfg", 0o644, CONFIG);
    events.step("lab/image/cloud-init", "node image with cloud-init", None, run_build(engine, &name, context)).await?;
    Ok(name)
}

/// Pulls the base image within a deadline; one that is there already is taken.
async fn pulled(engine: &Engine, image: &str) -> Result<String, String> {
    if engine.api.inspect_image(image).await.is_ok() {
        return Ok(image.to_owned());
    }
    let options = CreateImageOptions { from_image: Some(image.to_owned()), ..Default::default() };
    let pull = async {
        let mut stream = std::pin::pin!(engine.api.create_image(Some(options), None, None));
        while let Some(part) = stream.next().await {
            part.map_err(|e| e.to_string())?;
        }
        Ok(())
    };
    // Only the first answer is on the clock: a slow line is not a missing registry.
    tokio::time::timeout(PULL, reachable(image)).await.map_err(|_| "its registry does not answer".to_owned())??;
    pull.await.map(|()| image.to_owned())
}

/// Whether the registry of an image accepts connections.
async fn reachable(image: &str) -> Result<(), String> {
    let first = image.split('/').next().unwrap_or_default();
    let host = if image.contains('/') && (first.contains('.') || first.contains(':')) { first } else { "registry-1.docker.io" };
    let address = if host.contains(':') { host.to_owned() } else { format!("{host}:443") };
    tokio::net::TcpStream::connect(&address).await.map(drop).map_err(|e| format!("{host}: {e}"))
}

/// The base image made with mmdebstrap, imported once.
pub(super) async fn base(engine: &Engine, cache: &Path, step: &str, events: &Events) -> Result<String, InfraError> {
    let key = cache::key([ROOTFS, PACKAGES, SUITE]);
    let name = format!("kubewright-lab/base:{key}");
    if engine.api.inspect_image(&name).await.is_ok() {
        return Ok(name);
    }
    let tar = cache.join(format!("rootfs-{key}.tar"));
    if !tar.exists() {
        let new = cache.join(format!("rootfs-{key}.{}.tar", std::process::id()));
        let env = vec![("OUT", new.display().to_string()), ("SUITE", SUITE.to_owned()), ("PACKAGES", PACKAGES.to_owned())];
        Script { what: "building the nodes' root file system", step, text: ROOTFS, env }.run(cache, events).await?;
        tokio::fs::rename(&new, &tar).await.map_err(|e| failed("keeping the root file system", &e))?;
    }
    let file = tokio::fs::File::open(&tar).await.map_err(|e| failed("reading the root file system", &e))?;
    let body = bollard::body_try_stream(tokio_util::io::ReaderStream::with_capacity(file, 1 << 20));
    let options = CreateImageOptions { from_src: Some("-".to_owned()), repo: Some(name.clone()), ..Default::default() };
    let mut stream = std::pin::pin!(engine.api.create_image(Some(options), Some(body), None));
    while let Some(part) = stream.next().await {
        part.map_err(|e| failed("importing the base image", &e))?;
    }
    Ok(name)
}

async fn build(engine: &Engine, name: &str, base: &str) -> Result<(), InfraError> {
    let context = FILES
        .iter()
        .fold(Archive::new(), |archive, (path, mode, text)| archive.file(&format!("files/{path}"), *mode, text))
        .file("Dockerfile", 0o644, &format!("FROM {base}\n{DOCKERFILE}"));
    run_build(engine, name, context).await
}

/// Builds an image from a context.
pub(super) async fn run_build(engine: &Engine, name: &str, context: Archive) -> Result<(), InfraError> {
    let options =
        BuildImageOptions { dockerfile: "Dockerfile".to_owned(), t: Some(name.to_owned()), rm: true, forcerm: true, ..Default::default() };
    let mut stream = std::pin::pin!(engine.api.build_image(options, None, Some(bollard::body_full(context.finish().into()))));
    let mut said = String::new();
    while let Some(part) = stream.next().await {
        match part {
            Ok(part) => said.push_str(&part.stream.unwrap_or_default()),
            Err(e) => {
                let tail: Vec<&str> = said.lines().rev().take(8).collect();
                let tail: Vec<&str> = tail.into_iter().rev().collect();
                return Err(failed(&format!("building image {name}"), &format!("{e}\n{}", tail.join("\n"))));
            }
        }
    }
    Ok(())
}
