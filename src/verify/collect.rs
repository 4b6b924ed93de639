//! What a support bundle takes from a host: sections of one read-only program, each a file of the bundle.

use super::{access::Access, host};
use std::time::Duration;

const PROGRAM: &str = include_str!("collect.sh");
const DEADLINE: Duration = Duration::from_secs(60);

/// Files' names and texts as the host said them. Names are the host's, too: whoever writes them somewhere looks at them first.
///
/// # Errors
/// Why the host could not be looked at.
pub async fn collect(access: &dyn Access, since: Duration) -> Result<Vec<(String, String)>, String> {
    let seen = host::run_since(access, since, PROGRAM, DEADLINE).await?;
    if seen.section("end").is_none() {
        let last = seen.names().last().unwrap_or("its beginning");
        return Err(format!("the program that collects ended early, at {last}"));
    }
    let names = seen.names().filter(|n| *n != "end");
    Ok(names.map(|name| (name.to_owned(), seen.section(name).unwrap_or_default().to_owned())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_runs_under_every_posix_shell_and_reads_only() {
        host::only_reads(PROGRAM, &[]);
    }

    #[test]
    fn secrets_are_not_even_read() {
        // Comments may name what is left out.
        let code: Vec<&str> = PROGRAM.lines().filter(|l| !l.starts_with('#')).collect();
        for secret in ["admin.conf", "kubelet.conf", ".key", "certs.d", "environ", "shadow", "-o json"] {
            assert!(!code.iter().any(|l| l.contains(secret)), "{secret}");
        }
    }
}
