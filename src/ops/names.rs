//! Names of machines as people type them.

use super::OpsError;
use crate::text::{Problem, Problems, nearest};

/// All of them exist, or every one that does not is named with the nearest that does.
pub fn known(cluster: &str, typed: &[String], all: &[&str]) -> Result<(), OpsError> {
    let unknown = typed.iter().filter(|name| !all.contains(&name.as_str()));
    let problems: Vec<Problem> = unknown
        .map(|name| {
            let problem = Problem::new(format!("cluster {cluster} has no machine {name}"));
            match nearest(name, all.iter().copied()) {
                Some(near) => problem.hint(format!("did you mean {near}?")),
                None if all.is_empty() => problem.hint("it has no machines at all"),
                None => problem.hint(format!("there are {}", all.join(", "))),
            }
        })
        .collect();
    if problems.is_empty() { Ok(()) } else { Err(OpsError::Invalid(Problems(problems))) }
}

#[cfg(test)]
mod tests {
    use super::known;

    #[test]
    fn the_nearest_name_is_suggested() {
        let typed = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
        assert!(known("lab", &typed(&["worker-1"]), &["worker-1", "worker-2"]).is_ok());
        let error = known("lab", &typed(&["wroker-1", "x"]), &["worker-1", "worker-2"]).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        let text = error.to_string();
        assert!(text.contains("no machine wroker-1 (did you mean worker-1?)") && text.contains("there are worker-1, worker-2"), "{text}");
    }
}
