//! What a support bundle takes from a host: sections of one read-only program, each a file of the bundle.

use super::{access::Access, host};
use crate::shell::Sh;
use std::time::Duration;

const PROGRAM: &str = include_str!("collect.sh");
const DEADLINE: Duration = Duration::from_secs(60);

/// Files' names and texts as the host said them. Names are the host's, too: whoever writes them somewhere looks at them first.
///
/// # Errors
/// Why the host could not be looked at.
pub async fn collect(access: &dyn Access, since: Duration) -> Result<Vec<(String, String)>, String> {
    let seconds = (since.as_secs() + 1).to_string();
    let seen = host::run(access, &Sh::fill("KW_SECONDS={}\n", &[&seconds]), &Sh::literal(PROGRAM), DEADLINE).await?;
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
        for shell in ["dash", "bash"] {
            let check = std::process::Command::new(shell).args(["-n", "-c", PROGRAM]).output().unwrap();
            assert!(check.status.success(), "{shell}: {}", String::from_utf8_lossy(&check.stderr));
        }
        let writes: Vec<_> =
            PROGRAM.lines().filter(|l| !l.starts_with('#') && l.replace("2>/dev/null", "").replace("2>&1", "").contains('>')).collect();
        assert_eq!(writes, [""; 0]);
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
