//! Snapshots of etcd: intervals that keep their promise, recipients that exist.

use crate::{
    spec::{Backup, ClusterSpec, place::Places, recipient},
    text::{Problem, Problems},
};
use std::time::Duration;

pub(super) fn check(spec: &ClusterSpec, places: &Places<'_>, problems: &mut Problems) {
    let Some(backup) = &spec.backup else { return };
    let at = |field: &str| places.at(&format!("backup.{field}"));
    for text in &backup.recipients {
        if recipient(text).is_none() {
            let shown = if text.starts_with("AGE-SECRET-KEY-") { "a secret key" } else { text.as_str() };
            let problem = Problem::at(&at("recipient"), format!("{shown} is no recipient"));
            problems.push(problem.hint("the public half: age1… of `age-keygen`, or a line of a .pub file: ssh-ed25519 AAAA…"));
        }
    }
    intervals(backup, &at, problems);
    if !(2..=10_000).contains(&backup.keep) {
        problems.push(Problem::at(&at("keep"), format!("{} snapshots are not between 2 and 10000", backup.keep)));
    }
    for (field, target) in [("to", &backup.to), ("copy_to", &backup.copy_to)] {
        let Some(target) = target else { continue };
        let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.';
        if !(3..=63).contains(&target.bucket.len()) || !target.bucket.bytes().all(good) {
            let problem = Problem::at(&at(field), format!("`{}` is not the name of a bucket", target.bucket));
            problems.push(problem.hint("write it like s3://my-backups/prod: 3 to 63 lower-case letters, digits, dots and dashes"));
        }
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_./=".contains(&b);
        if !target.prefix.bytes().all(plain) {
            problems.push(Problem::at(&at(field), format!("`{}`: letters, digits and -_./= only", target.prefix)));
        }
    }
    if backup.copy_to.is_some()
        && backup.copy_to.as_ref().map(|t| (&t.bucket, &t.prefix)) == backup.to.as_ref().map(|t| (&t.bucket, &t.prefix))
    {
        problems.push(Problem::at(&at("copy_to"), "the copy goes where the first one goes").hint("name a bucket of another region"));
    }
}

/// What is written right after a snapshot began is safe when the next one has ended.
fn intervals(backup: &Backup, at: &dyn Fn(&str) -> crate::text::Span, problems: &mut Problems) {
    let human = |d: Duration| humantime::format_duration(d).to_string().replace(' ', "");
    let (every, timeout, rpo) = (backup.every, backup.timeout, backup.rpo);
    if every < Duration::from_mins(1) {
        problems.push(Problem::at(&at("every"), format!("{} is too often", human(every))).hint("every minute at most; 15m is the default"));
    } else if every + timeout > rpo {
        let worst = every + timeout;
        let problem = Problem::at(
            &at("every"),
            format!(
                "a snapshot every {} that may take {} loses up to {} of writes, and rpo promises {}",
                human(every),
                human(timeout),
                human(worst),
                human(rpo)
            ),
        );
        let fits = rpo.checked_sub(timeout).filter(|d| *d >= Duration::from_mins(1));
        problems.push(match fits {
            Some(fits) => problem.hint(format!("every: {} or less keeps it; or promise rpo: {}", human(fits), human(worst))),
            None => problem.hint(format!("promise rpo: {}, or give a snapshot less time (timeout)", human(worst))),
        });
    }
    if timeout < Duration::from_secs(10) {
        problems.push(Problem::at(&at("timeout"), format!("a snapshot may take longer than {}", human(timeout))));
    }
}
