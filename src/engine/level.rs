//! Where a host is: a stack of lists of tasks, with blocks, includes and handlers as its levels.

use super::{play::Position, scope::Locals};
use crate::playbook::{Block, Entries, Entry, Task};
use std::sync::Arc;

/// One list being gone through.
#[derive(Clone)]
pub(super) struct Level {
    pub(super) entries: Entries,
    pub(super) at: usize,
    pub(super) seq: u32,
    pub(super) locals: Arc<Locals>,
    pub(super) kind: Kind,
}

#[derive(Clone)]
pub(super) enum Kind {
    /// A play, or what was included.
    Plain,
    /// A block with rescue or always.
    Block(Arc<Block>, Section, Option<Arc<Failure>>),
    /// Handlers being flushed.
    Handlers,
    /// Several includes, one after the other.
    Sequence(Arc<[(Entries, Arc<Locals>)]>),
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Section {
    Body,
    Rescue,
    Always,
}

/// A task that failed and what it said.
pub(super) struct Failure {
    pub(super) task: Arc<Task>,
    pub(super) message: String,
}

/// What comes next.
pub(super) enum Next {
    Entry(Entry),
    /// An `always` is through, and the failure before it goes on.
    Raise(Arc<Failure>),
    End,
}

impl Level {
    pub(super) fn new(entries: Entries, locals: Arc<Locals>, kind: Kind) -> Self {
        Self { entries, at: 0, seq: 0, locals, kind }
    }

    fn enter(&mut self, entries: &Entries, section: Section, failure: Option<Arc<Failure>>) {
        if let Kind::Block(block, ..) = &self.kind {
            let block = Arc::clone(block);
            self.kind = Kind::Block(block, section, failure);
        }
        self.entries = Arc::clone(entries);
        self.at = 0;
        self.seq += 1;
    }
}

/// The stack.
#[derive(Clone, Default)]
pub(super) struct Stack(pub(super) Vec<Level>);

impl Stack {
    pub(super) fn push(&mut self, level: Level) {
        self.0.push(level);
    }

    /// Leaves the current entry behind.
    pub(super) fn advance(&mut self) {
        if let Some(top) = self.0.last_mut() {
            top.at += 1;
        }
    }

    pub(super) fn locals(&self) -> Arc<Locals> {
        self.0.last().map(|l| Arc::clone(&l.locals)).unwrap_or_default()
    }

    pub(super) fn position(&self) -> Position {
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        self.0.iter().flat_map(|l| [l.seq, number(l.at)]).collect()
    }

    pub(super) fn in_handlers(&self) -> bool {
        self.0.iter().any(|l| matches!(l.kind, Kind::Handlers))
    }

    /// Removes the top level and its entry in the level below.
    pub(super) fn pop(&mut self) {
        self.0.pop();
        self.advance();
    }

    /// The next entry, levels that are through closed on the way.
    pub(super) fn next(&mut self) -> Next {
        loop {
            let Some(top) = self.0.last_mut() else { return Next::End };
            if let Some(entry) = top.entries.get(top.at) {
                return Next::Entry(entry.clone());
            }
            match top.kind.clone() {
                Kind::Sequence(all) => {
                    let following = usize::try_from(top.seq).unwrap_or(usize::MAX).saturating_add(1);
                    if let Some((entries, locals)) = all.get(following) {
                        top.entries = Arc::clone(entries);
                        top.locals = Arc::clone(locals);
                        top.at = 0;
                        top.seq += 1;
                        continue;
                    }
                }
                Kind::Block(block, Section::Body, _) => {
                    // Rescue is number 1, always number 2, for all hosts.
                    top.seq += 1;
                    top.enter(&block.always, Section::Always, None);
                    continue;
                }
                Kind::Block(block, Section::Rescue, _) => {
                    top.enter(&block.always, Section::Always, None);
                    continue;
                }
                Kind::Block(_, Section::Always, Some(failure)) => return Next::Raise(failure),
                _ => {}
            }
            self.pop();
        }
    }

    /// A failure: goes to the nearest rescue or always. `Some(true)`: rescued, `Some(false)`: an always runs first,
    /// `None`: nothing takes it.
    pub(super) fn raise(&mut self, failure: &Arc<Failure>) -> Option<bool> {
        while let Some(top) = self.0.last_mut() {
            if let Kind::Block(block, section, _) = top.kind.clone() {
                if section == Section::Body && !block.rescue.is_empty() {
                    top.enter(&block.rescue, Section::Rescue, Some(Arc::clone(failure)));
                    return Some(true);
                }
                if section != Section::Always && !block.always.is_empty() {
                    top.seq = 1;
                    top.enter(&block.always, Section::Always, Some(Arc::clone(failure)));
                    return Some(false);
                }
            }
            self.0.pop();
        }
        None
    }
}
