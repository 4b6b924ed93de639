//! What loading needs and gathers.

use super::{Files, Keywords, Role, Task, files};
use crate::{
    template::Templar,
    text::{Problem, Problems, SourceFile, Span},
    yaml::{self, Node},
};
use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

/// Opens an ansible-vault text; an error's text says why not.
pub type OpenVault = Arc<dyn Fn(&str) -> Result<String, String> + Send + Sync>;

/// How to load.
#[derive(Clone)]
pub struct LoadOptions {
    /// Where files come from.
    pub files: Arc<Files>,
    /// Checks templates.
    pub templar: Arc<Templar>,
    /// Where roles are looked for besides `roles/` beside the playbook.
    pub roles_path: Vec<PathBuf>,
    /// Old habits are errors, as in ansible-core 2.19.
    pub strict: bool,
    /// A task that uses what is not supported fails where it is reached, and not the whole playbook before it begins.
    pub allow_unsupported: bool,
    /// Opens `!vault` values and encrypted files.
    pub vault: OpenVault,
    /// Numbers tasks; dynamic includes go on counting.
    pub numbers: Arc<AtomicU32>,
}

impl LoadOptions {
    /// The disk only, no vault.
    pub fn new(templar: Arc<Templar>) -> Self {
        Self {
            files: Arc::default(),
            templar,
            roles_path: Vec::new(),
            strict: false,
            allow_unsupported: false,
            vault: Arc::new(|_| Err("this is encrypted, and no vault password was given".to_owned())),
            numbers: Arc::default(),
        }
    }
}

/// Reads playbooks, task files and roles; gathers every problem on the way.
pub struct Loader<'a> {
    pub(super) options: &'a LoadOptions,
    /// What is wrong.
    pub problems: Problems,
    /// What deserves a look.
    pub warnings: Problems,
    /// Tasks seen, and those with a module that is not known.
    pub(super) seen: (usize, usize),
    /// Files that are being read: they may not include themselves.
    pub(super) open: Vec<PathBuf>,
    /// Roles imported by tasks, with their handlers.
    pub(super) imported: Vec<(Arc<Role>, Vec<Arc<Task>>)>,
}

/// Where a task stands.
#[derive(Clone)]
pub(super) struct Context {
    pub(super) keywords: Arc<Keywords>,
    pub(super) role: Option<Arc<Role>>,
    pub(super) directory: PathBuf,
    pub(super) playbook_dir: PathBuf,
    pub(super) handlers: bool,
}

impl Context {
    pub(super) fn inside(&self, inner: &Keywords) -> Self {
        Self { keywords: Arc::new(self.keywords.inside(inner)), ..self.clone() }
    }
}

impl<'a> Loader<'a> {
    /// A loader that has seen nothing.
    pub fn new(options: &'a LoadOptions) -> Self {
        Self { options, problems: Problems::default(), warnings: Problems::default(), seen: (0, 0), open: Vec::new(), imported: Vec::new() }
    }

    pub(super) fn number(&self) -> u32 {
        self.options.numbers.fetch_add(1, Ordering::Relaxed)
    }

    /// An old habit: a warning, or with `strict` an error.
    pub(super) fn old_habit(&mut self, problem: Problem) {
        if self.options.strict { self.problems.push(problem) } else { self.warnings.push(problem.warning()) }
    }

    /// The documents of a YAML file; problems are noted, `at` is who wants it.
    pub(super) fn documents(&mut self, path: &Path, at: Option<&Span>) -> Vec<Node> {
        match self.options.files.read_text(path) {
            Ok(text) => self.parse(&path.display().to_string(), text),
            Err(why) => {
                let problem = at.map_or_else(|| Problem::new(&why), |span| Problem::at(span, &why));
                self.problems.push(problem);
                Vec::new()
            }
        }
    }

    pub(super) fn parse(&mut self, name: &str, text: String) -> Vec<Node> {
        let text = if text.starts_with("$ANSIBLE_VAULT;") {
            match (self.options.vault)(&text) {
                Ok(text) => text,
                Err(why) => {
                    self.problems.push(Problem::new(format!("{name}: {why}")));
                    return Vec::new();
                }
            }
        } else {
            text
        };
        match yaml::read(&SourceFile::new(name, text)) {
            Ok(parsed) => {
                self.warnings.extend(parsed.warnings);
                parsed.documents
            }
            Err(problems) => {
                self.problems.extend(problems);
                Vec::new()
            }
        }
    }

    /// `path` as seen from `directory`.
    pub(super) fn beside(directory: &Path, path: &str) -> PathBuf {
        files::normal(&directory.join(path))
    }
}
