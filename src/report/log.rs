//! A log per host and one of the run: every event with its time and all output, readable with `less`.

use super::{
    clean::clean,
    display::{Format, Options},
    plain::Plain,
};
use crate::event::{Event, Kind, Output};
use std::{
    collections::HashMap,
    fs::{DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

/// See the module.
pub(super) struct Logs {
    dir: PathBuf,
    plain: Plain,
    files: HashMap<String, File>,
}

impl Logs {
    pub(super) fn new(dir: &Path) -> Self {
        let options = Options { verbosity: 2, diff: true, ..Options::new(Format::Plain) };
        Self { dir: dir.to_owned(), plain: Plain::new(&options), files: HashMap::new() }
    }

    pub(super) fn event(&mut self, event: &Event) -> io::Result<()> {
        let mut text = self.plain.lines(event);
        if let Kind::TaskFinished { output: Some(Output { rc, stdout, stderr }), .. } = &event.kind {
            for (name, said) in [("stdout", stdout), ("stderr", stderr)] {
                if !said.trim().is_empty() {
                    text.push_str(&format!("         {name} (exit {rc}):\n"));
                    for line in clean(said).lines() {
                        text.push_str(&format!("         > {line}\n"));
                    }
                }
            }
        }
        if text.is_empty() {
            return Ok(());
        }
        let line = format!("{} {text}", event.at.strftime("%H:%M:%S%.3f"));
        self.file("run")?.write_all(line.as_bytes())?;
        if let Some(host) = host_of(&event.kind) {
            self.file(host)?.write_all(line.as_bytes())?;
        }
        Ok(())
    }

    fn file(&mut self, host: &str) -> io::Result<&mut File> {
        // A host's name comes from outside: it names a file here and nothing else.
        let name: String = host.chars().map(|c| if c.is_ascii_alphanumeric() || "-_".contains(c) { c } else { '_' }).take(100).collect();
        if !self.files.contains_key(&name) {
            DirBuilder::new().recursive(true).mode(0o700).create(&self.dir)?;
            let path = self.dir.join(format!("{name}.log"));
            let file = OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
            self.files.insert(name.clone(), file);
        }
        self.files.get_mut(&name).ok_or_else(|| io::Error::other("log file was not kept"))
    }
}

fn host_of(kind: &Kind) -> Option<&str> {
    match kind {
        Kind::StepStarted { host, .. } => host.as_deref(),
        Kind::ItemFinished { host, .. } | Kind::TaskFinished { host, .. } | Kind::HostLost { host, .. } | Kind::Cause { host, .. } => {
            Some(host)
        }
        _ => None,
    }
}
