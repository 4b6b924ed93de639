//! Lists of tasks and blocks.

use super::{Block, Entries, Entry, Keywords, Loader, Role, context::Context, keywords::Keys};
use crate::{text::Problem, text::nearest, yaml::Node};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

impl Loader<'_> {
    /// A list of tasks and blocks.
    pub(super) fn entries(&mut self, node: &Node, ctx: &Context, out: &mut Vec<Entry>) {
        let Some(items) = node.items() else {
            if !node.is_null() {
                self.problems.push(Problem::at(&node.span, format!("a list of tasks is expected, this is {}", node.kind())));
            }
            return;
        };
        for item in items {
            if item.is_null() {
                continue;
            }
            if item.entries().is_none() {
                self.problems.push(Problem::at(&item.span, format!("a task is a mapping, this is {}", item.kind())));
            } else if ["block", "rescue", "always"].iter().any(|k| item.get(k).is_some()) {
                self.block(item, ctx, out);
            } else {
                self.task(item, ctx, out);
            }
        }
    }

    /// The same as a finished list.
    pub(super) fn section(&mut self, node: Option<&Node>, ctx: &Context) -> Entries {
        let mut out = Vec::new();
        if let Some(node) = node {
            self.entries(node, ctx, &mut out);
        }
        out.into()
    }

    fn block(&mut self, node: &Node, ctx: &Context, out: &mut Vec<Entry>) {
        let mut keys = Keys::new(node);
        let span = keys.entries.first().map_or_else(|| node.span.clone(), |(k, _)| k.span.clone());
        let name = keys.take("name").and_then(Node::as_text);
        let (body, rescue, always) = (keys.take("block"), keys.take("rescue"), keys.take("always"));
        let mut own = self.keywords(&mut keys);
        if let Some(notify) = keys.take("notify") {
            own.notify = vec![self.raw(notify)];
        }
        for (key, _) in keys.entries {
            let text = key.as_text().unwrap_or_default();
            let problem = Problem::at(&key.span, format!("`{text}` is not a keyword of a block"));
            self.problems.push(match nearest(&text, super::task::KEYWORDS.iter().copied()) {
                Some(near) => problem.hint(format!("did you mean `{near}`?")),
                None => problem,
            });
        }
        if body.is_none() {
            self.problems.push(Problem::at(&span, "`rescue` and `always` need a `block`"));
        }
        let inner = ctx.inside(&own);
        if rescue.is_none() && always.is_none() {
            if let Some(body) = body {
                self.entries(body, &inner, out);
            }
            return;
        }
        let body = self.section(body, &inner);
        let rescue = self.section(rescue, &inner);
        let always = self.section(always, &inner);
        out.push(Entry::Block(Arc::new(Block { name, span, body, rescue, always })));
    }

    /// The tasks of a file.
    pub(super) fn task_file(&mut self, path: &Path, at: Option<&crate::text::Span>, ctx: &Context, out: &mut Vec<Entry>) {
        if self.open.iter().any(|p| p == path) || self.open.len() > 60 {
            let problem = Problem::new(format!("{} imports itself", path.display()));
            self.problems.push(Problem { span: at.cloned(), ..problem });
            return;
        }
        self.open.push(path.to_owned());
        let ctx = Context { directory: path.parent().unwrap_or_else(|| Path::new("")).to_owned(), ..ctx.clone() };
        for document in self.documents(path, at) {
            self.entries(&document, &ctx, out);
        }
        self.open.pop();
    }

    /// The tasks of a dynamic include, loaded when its name is known.
    pub fn include(
        &mut self,
        path: &Path,
        keywords: Arc<Keywords>,
        role: Option<Arc<Role>>,
        playbook_dir: &Path,
        handlers: bool,
    ) -> Entries {
        let directory = PathBuf::new();
        let ctx = Context { keywords, role, directory, playbook_dir: playbook_dir.to_owned(), handlers };
        let mut out = Vec::new();
        self.task_file(path, None, &ctx, &mut out);
        out.into()
    }
}
