//! Docker's API, as far as the lab needs it, with errors that say what was being done.

use super::labels;
use crate::{infra::InfraError, spec::LabSettings};
use bollard::{
    Docker,
    container::LogOutput,
    exec::{CreateExecOptions, StartExecOptions, StartExecResults},
    models::{ContainerSummary, SystemInfo},
    query_parameters::{DownloadFromContainerOptions, ListContainersOptions, RemoveContainerOptions, UploadToContainerOptions},
};
use futures::StreamExt;
use std::{collections::HashMap, fmt::Display};

/// The engine.
#[derive(Clone, Debug)]
pub(super) struct Engine {
    pub(super) api: Docker,
}

/// What a command in a container said.
pub(super) struct Said {
    pub(super) rc: i64,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

impl Engine {
    /// A client; nothing is sent yet.
    pub(super) fn new(settings: &LabSettings) -> Result<Self, InfraError> {
        let api = match &settings.docker {
            Some(host) => Docker::connect_with_host(host),
            None => Docker::connect_with_defaults(),
        };
        api.map(|api| Self { api }).map_err(|e| unreachable(&e))
    }

    /// What the engine says about itself; the first call, so its error says what to do.
    pub(super) async fn info(&self) -> Result<SystemInfo, InfraError> {
        self.api.info().await.map_err(|e| unreachable(&e))
    }

    /// Containers of a cluster by role, the stopped ones included.
    pub(super) async fn containers(&self, cluster: &str, role: &str) -> Result<Vec<ContainerSummary>, InfraError> {
        let label = vec![format!("{}={cluster}", labels::CLUSTER), format!("{}={role}", labels::ROLE)];
        let options =
            ListContainersOptions { all: true, filters: Some(HashMap::from([("label".to_owned(), label)])), ..Default::default() };
        self.api.list_containers(Some(options)).await.map_err(|e| match e {
            e @ bollard::errors::Error::DockerResponseServerError { .. } => failed("listing containers", &e),
            e => unreachable(&e),
        })
    }

    /// Removes a container with its anonymous volumes; one that is gone already is fine.
    pub(super) async fn remove(&self, id: &str, name: &str) -> Result<(), InfraError> {
        let options = RemoveContainerOptions { v: true, force: true, link: false };
        match self.api.remove_container(id, Some(options)).await {
            Err(e) if status(&e) != Some(404) => Err(failed(&format!("removing container {name}"), &e)),
            _ => Ok(()),
        }
    }

    /// Unpacks a tar archive at the container's root. Not for machines that run: see [`read_file`](Self::read_file).
    pub(super) async fn upload(&self, id: &str, tar: Vec<u8>) -> Result<(), InfraError> {
        let options = UploadToContainerOptions { path: "/".to_owned(), ..Default::default() };
        self.api
            .upload_to_container(id, Some(options), bollard::body_full(tar.into()))
            .await
            .map_err(|e| failed(&format!("writing files into container {id}"), &e))
    }

    /// A file of a container; `None`: it has no such file.
    ///
    /// One that runs is asked by a command. For its archive API Docker (20.10 at least) mounts the container's `/etc/hosts` once
    /// more and takes it off again, and that shows inside: for a moment the file is empty there, and names of the cluster lead nowhere.
    pub(super) async fn read_file(&self, id: &str, path: &str) -> Result<Option<Vec<u8>>, InfraError> {
        // What `sh` says below, and cat never.
        const ABSENT: i64 = 44;
        let what = || format!("reading {path} of container {id}");
        match self.try_exec(id, &["sh", "-c", "[ -e \"$1\" ] || exit 44; exec cat \"$1\"", "sh", path]).await {
            Ok(said) if said.rc == 0 => Ok(Some(said.stdout.into_bytes())),
            Ok(said) if said.rc == ABSENT => Ok(None),
            Ok(said) => Err(failed(&what(), &said.stderr.trim())),
            // It does not run, or it is paused.
            Err(e) if status(&e) == Some(409) => self.download(id, path).await,
            Err(e) => Err(failed(&what(), &e)),
        }
    }

    /// Writes a small text into a running container, whole or not at all.
    pub(super) async fn write_file(&self, id: &str, path: &str, mode: &str, text: &str) -> Result<(), InfraError> {
        let script = "umask 077; printf %s \"$3\" >\"$1.new\" && chmod \"$2\" \"$1.new\" && mv -f \"$1.new\" \"$1\"";
        let said = self.exec(id, &["sh", "-c", script, "sh", path, mode, text]).await?;
        if said.rc == 0 { Ok(()) } else { Err(failed(&format!("writing {path} in container {id}"), &said.stderr.trim())) }
    }

    /// A file of a container, whether it runs or not; `None`: it has no such file.
    async fn download(&self, id: &str, path: &str) -> Result<Option<Vec<u8>>, InfraError> {
        let options = DownloadFromContainerOptions { path: path.to_owned() };
        let mut archive = Vec::new();
        let mut stream = std::pin::pin!(self.api.download_from_container(id, Some(options)));
        while let Some(part) = stream.next().await {
            match part {
                Ok(part) => archive.extend_from_slice(&part),
                Err(e) if status(&e) == Some(404) => return Ok(None),
                Err(e) => return Err(failed(&format!("reading {path} of container {id}"), &e)),
            }
        }
        Ok(super::archive::first_file(&archive))
    }

    /// Runs a command in a running container.
    pub(super) async fn exec(&self, id: &str, command: &[&str]) -> Result<Said, InfraError> {
        self.try_exec(id, command).await.map_err(|e| failed(&format!("running {} in container {id}", command.join(" ")), &e))
    }

    async fn try_exec(&self, id: &str, command: &[&str]) -> Result<Said, bollard::errors::Error> {
        let options = CreateExecOptions {
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            cmd: Some(command.to_vec()),
            user: Some("0"),
            ..Default::default()
        };
        let exec = self.api.create_exec(id, options).await?.id;
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        if let StartExecResults::Attached { mut output, .. } = self.api.start_exec(&exec, None::<StartExecOptions>).await? {
            while let Some(part) = output.next().await {
                match part? {
                    LogOutput::StdErr { message } => stderr.extend_from_slice(&message),
                    other => stdout.extend_from_slice(&other.into_bytes()),
                }
            }
        }
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        let rc = self.api.inspect_exec(&exec).await?.exit_code.unwrap_or(-1);
        Ok(Said { rc, stdout: text(stdout), stderr: text(stderr) })
    }
}

/// The HTTP status that Docker answered with.
pub(super) fn status(e: &bollard::errors::Error) -> Option<u16> {
    match e {
        bollard::errors::Error::DockerResponseServerError { status_code, .. } => Some(*status_code),
        _ => None,
    }
}

/// A step that failed, in Docker's words.
pub(super) fn failed(what: &str, why: &dyn Display) -> InfraError {
    InfraError::Failed { what: what.to_owned(), why: why.to_string(), hint: None }
}

fn unreachable(why: &dyn Display) -> InfraError {
    InfraError::Missing {
        what: format!("the lab needs Docker, and its engine does not answer: {why}"),
        hint: "start it (systemctl start docker, or hack/engine.sh), check that you may use its socket (group docker), or set provider.docker or DOCKER_HOST".to_owned(),
    }
}
