//! Builds a step: variables (`kw_…`), then one of our functions for the check and one for the apply.

use super::{Finish, Step, Work, outcome};
use crate::{session::Blob, shell::Sh, text::Secret};
use bytes::Bytes;
use sha2::{Digest, Sha256};

/// Assignments that a step begins with, and what else it carries.
pub(super) struct Script {
    head: Sh,
    blobs: Vec<Blob>,
    stdin: Option<Secret<Bytes>>,
}

impl Script {
    pub(super) fn new() -> Self {
        Self { head: Sh::default(), blobs: Vec::new(), stdin: None }
    }

    /// `name='text'`
    pub(super) fn set(self, name: &'static str, text: &str) -> Self {
        self.set_sh(name, &Sh::word(text))
    }

    /// `name=WORD`, where the word is a piece of sh already.
    pub(super) fn set_sh(mut self, name: &'static str, word: &Sh) -> Self {
        self.head = self.head.then(&Sh::literal(name)).then(&Sh::literal("=")).then(word).then(&Sh::literal("\n"));
        self
    }

    /// `name=1` or `name=''`
    pub(super) fn flag(self, name: &'static str, on: bool) -> Self {
        self.set(name, if on { "1" } else { "" })
    }

    /// One item a line.
    pub(super) fn lines(self, name: &'static str, items: &[String]) -> Self {
        self.set(name, &items.join("\n"))
    }

    /// Positional parameters.
    pub(super) fn args(mut self, items: &[String]) -> Self {
        let words: Vec<Sh> = std::iter::once(Sh::literal("set --")).chain(items.iter().map(|i| Sh::word(i))).collect();
        self.head = self.head.then(&Sh::join(&words, " ")).then(&Sh::literal("\n"));
        self
    }

    /// A blob; `name` becomes its hash.
    pub(super) fn blob(mut self, name: &'static str, content: impl Into<Bytes>, secret: bool) -> Self {
        let blob = blob(content.into(), secret);
        let sha256 = blob.sha256.clone();
        if !self.blobs.contains(&blob) {
            self.blobs.push(blob);
        }
        self.set(name, &sha256)
    }

    pub(super) fn add_blob(mut self, content: impl Into<Bytes>) -> Self {
        let blob = blob(content.into(), false);
        if !self.blobs.contains(&blob) {
            self.blobs.push(blob);
        }
        self
    }

    pub(super) fn stdin(mut self, bytes: impl Into<Bytes>) -> Self {
        self.stdin = Some(Secret::new(bytes.into()));
        self
    }

    /// The step: `check` and `apply` are calls of our functions.
    pub(super) fn step(self, check: &'static str, apply: Option<&'static str>, finish: Finish) -> Step {
        self.step_sh(&Sh::literal(check), apply.map(Sh::literal), finish)
    }

    pub(super) fn step_sh(self, check: &Sh, apply: Option<Sh>, finish: Finish) -> Step {
        let check = self.head.then(check).then(&Sh::literal("\n"));
        let apply = apply.map(|a| a.then(&Sh::literal("\n")));
        Step { check, apply, blobs: self.blobs, stdin: self.stdin, finish }
    }

    /// [`Script::step`] as work.
    pub(super) fn work(self, check: &'static str, apply: &'static str, finish: Finish) -> Work {
        Work::Sh(self.step(check, Some(apply), finish))
    }

    /// Work that only looks.
    pub(super) fn look(self, check: &'static str, finish: Finish) -> Work {
        Work::Sh(self.step(check, None, finish))
    }

    /// Work whose result is the plain one.
    pub(super) fn plain(self, check: &'static str, apply: &'static str) -> Work {
        self.work(check, apply, outcome::plain())
    }
}

/// A blob by its hash.
pub(super) fn blob(content: Bytes, secret: bool) -> Blob {
    Blob { sha256: sha256(&content), content, secret }
}

/// Lower-case hex.
pub(super) fn sha256(content: &[u8]) -> String {
    hex(&Sha256::digest(content))
}

pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut out, b| {
        let _ = write!(out, "{b:02x}");
        out
    })
}
