//! The way in: sources → a playbook, or everything that is wrong with it.

use super::{LoadOptions, Loader, Playbook, PlaybookSource};
use crate::text::{Problem, Problems};

/// How much of a playbook can be run, in tasks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Support {
    /// Tasks seen.
    pub tasks: usize,
    /// Those that use something unknown.
    pub unsupported: usize,
}

/// Loads playbooks one after the other into one run. Touches nothing but files of the operator's side.
///
/// # Errors
/// Every problem of every file; where modules or keywords are not supported, the last one says which share is.
pub fn load(sources: &[PlaybookSource], options: &LoadOptions) -> Result<Playbook, Problems> {
    let mut loader = Loader::new(options);
    let mut plays = Vec::new();
    for source in sources {
        loader.source(source, &mut plays);
    }
    let support = Support { tasks: loader.seen.0, unsupported: loader.seen.1 };
    let mut problems = loader.problems;
    if support.unsupported > 0 {
        let share = 100 * (support.tasks - support.unsupported) / support.tasks.max(1);
        let Support { tasks, unsupported } = support;
        let said = format!("{unsupported} of {tasks} tasks use something that is not supported ({share} % of the playbook is)");
        if problems.has_errors() {
            let problem = Problem::new(format!("{said}; nothing was run"));
            let hint = "with --allow-unsupported such a task fails where it is reached, and nothing else is refused";
            problems.push(if options.allow_unsupported { problem } else { problem.hint(hint) });
        } else {
            loader.warnings.push(Problem::new(format!("{said}; a host fails where it reaches one")).warning());
        }
    }
    problems.into_result(Playbook { plays, warnings: loader.warnings.0 })
}
