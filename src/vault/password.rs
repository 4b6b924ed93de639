//! Where vault passwords come from: `--vault-password-file FILE`, `--vault-id [ID@]FILE` or `[ID@]prompt`.

use super::{Vault, VaultError};
use crate::text::Secret;
use std::path::{Path, PathBuf};

/// What a `--vault-id` names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Ask the user for the password of this id.
    Prompt(String),
    /// A file, or a program that prints the password.
    File(String, PathBuf),
}

impl Source {
    /// `prod@prompt`, `prod@file`, `file`. Without an id it is `default`.
    pub fn parse(text: &str) -> Self {
        let (id, rest) = text.split_once('@').unwrap_or(("default", text));
        let id = if id.is_empty() { "default" } else { id }.to_owned();
        match rest {
            "prompt" | "prompt_ask_vault_pass" => Self::Prompt(id),
            file => Self::File(id, PathBuf::from(file)),
        }
    }
}

impl Vault {
    /// Adds the password that a file holds, or that it prints where it is a program (as Ansible runs it, without arguments).
    pub fn add_file(&mut self, id: &str, path: &Path) -> Result<(), VaultError> {
        let failed = |why: String| VaultError::PasswordFile { path: path.display().to_string(), why };
        let bytes = if is_program(path) {
            let path = if path.components().count() == 1 { Path::new(".").join(path) } else { path.to_owned() };
            let output =
                std::process::Command::new(path).stderr(std::process::Stdio::inherit()).output().map_err(|e| failed(e.to_string()))?;
            if !output.status.success() {
                return Err(failed(format!("the program ended with {}", output.status)));
            }
            output.stdout
        } else {
            std::fs::read(path).map_err(|e| failed(e.to_string()))?
        };
        let text = String::from_utf8(bytes).map_err(|_| failed("it is not UTF-8 text".to_owned()))?;
        let password = text.trim();
        if password.is_empty() {
            return Err(failed("it is empty".to_owned()));
        }
        self.add(id, Secret::new(password.to_owned()));
        Ok(())
    }
}

fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
}

/// Vault text as a value for a YAML file, as `ansible-vault encrypt_string` prints it.
pub fn inline(name: Option<&str>, sealed: &str) -> String {
    let mut out = name.map(|name| format!("{name}: ")).unwrap_or_default();
    out.push_str("!vault |\n");
    for line in sealed.lines() {
        out.extend(["          ", line, "\n"]);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{Source, Vault, inline};
    use crate::text::SourceFile;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn sources() {
        assert_eq!(Source::parse("prod@prompt"), Source::Prompt("prod".into()));
        assert_eq!(Source::parse("a@b"), Source::File("a".into(), "b".into()));
        assert_eq!(Source::parse("~/.pass"), Source::File("default".into(), "~/.pass".into()));
    }

    #[test]
    fn files_and_programs_hold_passwords() {
        let dir = tempfile::tempdir().unwrap();
        let (file, program, empty) = (dir.path().join("file"), dir.path().join("program"), dir.path().join("empty"));
        std::fs::write(&file, "one\n").unwrap();
        std::fs::write(&program, "#!/bin/sh\necho one\n").unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o700)).unwrap();
        std::fs::write(&empty, "\n").unwrap();
        let (mut a, mut b) = (Vault::new(), Vault::new());
        a.add_file("default", &file).unwrap();
        b.add_file("default", &program).unwrap();
        let sealed = a.encrypt(b"x", None).unwrap();
        assert_eq!(b.decrypt_text(&sealed).unwrap().expose(), "x");
        assert!(a.add_file("default", &empty).unwrap_err().to_string().contains("it is empty"));
        assert!(a.add_file("default", &dir.path().join("none")).is_err());

        let yaml = crate::yaml::parse(&SourceFile::new("t", inline(Some("key"), &sealed))).unwrap();
        let node = yaml[0].get("key").unwrap();
        assert!(node.is_vault());
        assert_eq!(a.decrypt_text(node.as_str().unwrap()).unwrap().expose(), "x");
    }
}
