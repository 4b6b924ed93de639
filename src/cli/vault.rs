//! `kubewright vault`, and the options of other commands that give vault passwords.

use super::{Exit, Failure};
use crate::{
    ops::{ansible_cfg::AnsibleCfg, vault as ops},
    report,
    text::{Problem, Secret},
    vault::{Source, Vault, inline},
};
use std::{io::Read as _, path::PathBuf};

/// Passwords for what is encrypted.
#[derive(Debug, Default, clap::Args)]
pub struct VaultArgs {
    /// File with the vault password, or a program that prints it
    #[arg(long, alias = "vault-pass-file", value_name = "FILE", help_heading = "Vault")]
    vault_password_file: Vec<PathBuf>,
    /// Vault password of an id: `ID@FILE` or `ID@prompt`
    #[arg(long, value_name = "ID@SOURCE", help_heading = "Vault")]
    vault_id: Vec<String>,
    /// Ask for the vault password
    #[arg(short = 'J', long, alias = "ask-vault-password", help_heading = "Vault")]
    ask_vault_pass: bool,
}

impl VaultArgs {
    /// The passwords, those of `ansible.cfg` first.
    pub(super) fn open(&self, cfg: &AnsibleCfg) -> Result<Vault, Failure> {
        let mut vault = Vault::new();
        for text in cfg.vault_ids.iter().chain(&self.vault_id) {
            add(&mut vault, &Source::parse(text))?;
        }
        let files = if self.vault_password_file.is_empty() { cfg.vault_password_file.as_slice() } else { &self.vault_password_file };
        for file in files {
            add(&mut vault, &Source::File("default".to_owned(), file.clone()))?;
        }
        if self.ask_vault_pass || (cfg.ask_vault_pass && vault.is_empty()) {
            add(&mut vault, &Source::Prompt("default".to_owned()))?;
        }
        Ok(vault)
    }
}

fn add(vault: &mut Vault, source: &Source) -> Result<(), Failure> {
    match source {
        Source::Prompt(id) => {
            let question = if id == "default" { "Vault password: ".to_owned() } else { format!("Vault password ({id}): ") };
            vault.add(id.clone(), Secret::new(super::global::ask_secret(&question)?));
            Ok(())
        }
        Source::File(id, file) => {
            let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
            let file = file.strip_prefix("~").map_or_else(|_| file.clone(), |rest| home.join(rest));
            vault.add_file(id, &file).map_err(|e| Problem::new(e.to_string()).into())
        }
    }
}

/// Encrypt and open files in the format of ansible-vault
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Args)]
struct Files {
    #[command(flatten)]
    passwords: VaultArgs,
    /// The files; `-` is standard input
    #[arg(required = true)]
    files: Vec<PathBuf>,
}

#[derive(Debug, clap::Args)]
struct Sealing {
    /// Under the password of this id, where several are given
    #[arg(long, value_name = "ID")]
    encrypt_vault_id: Option<String>,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Encrypt files where they are
    Encrypt {
        #[command(flatten)]
        files: Files,
        #[command(flatten)]
        sealing: Sealing,
        /// Write here instead; `-` is standard output
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Put files back into the open where they are
    Decrypt {
        #[command(flatten)]
        files: Files,
        /// Write here instead; `-` is standard output
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Print what encrypted files hold
    View(Files),
    /// Open an encrypted file in $EDITOR
    Edit(Files),
    /// Give encrypted files another password
    Rekey {
        #[command(flatten)]
        files: Files,
        /// File with the new password, or a program that prints it
        #[arg(long, value_name = "FILE", conflicts_with = "new_vault_id")]
        new_vault_password_file: Option<PathBuf>,
        /// Id and source of the new password: `ID@FILE` or `ID@prompt`
        #[arg(long, value_name = "ID@SOURCE")]
        new_vault_id: Option<String>,
    },
    /// Print a text, read from standard input, as an encrypted value for a YAML file
    EncryptString {
        #[command(flatten)]
        passwords: VaultArgs,
        #[command(flatten)]
        sealing: Sealing,
        /// Name of the variable
        #[arg(short, long, value_name = "NAME")]
        name: Option<String>,
    },
}

pub(super) fn run(args: Args) -> Result<Exit, Failure> {
    let cfg = AnsibleCfg::read()?;
    match args.action {
        Action::Encrypt { files, sealing, output } => {
            let (vault, id) = sealing_vault(&files.passwords, &sealing, &cfg)?;
            for file in places(&files.files)? {
                let text = ops::encrypt(&vault, &file.path, id.as_deref())?;
                put(&file, output.as_ref(), text.as_bytes())?;
            }
        }
        Action::Decrypt { files, output } => {
            let vault = files.passwords.or_ask(&cfg)?;
            for file in places(&files.files)? {
                put(&file, output.as_ref(), ops::decrypt(&vault, &file.path)?.expose())?;
            }
        }
        Action::View(files) => {
            let vault = files.passwords.or_ask(&cfg)?;
            for file in places(&files.files)? {
                report::out_bytes(ops::decrypt(&vault, &file.path)?.expose());
            }
        }
        Action::Edit(files) => {
            let vault = files.passwords.or_ask(&cfg)?;
            let editor = ["VISUAL", "EDITOR"].iter().find_map(|v| std::env::var(v).ok().filter(|v| !v.is_empty()));
            let editor = editor.unwrap_or_else(|| "vi".to_owned());
            for file in &files.files {
                if !ops::edit(&vault, file, &editor)? {
                    report::err(&format!("{}: nothing was changed\n", file.display()));
                }
            }
        }
        Action::Rekey { files, new_vault_password_file, new_vault_id } => {
            let vault = files.passwords.or_ask(&cfg)?;
            let source = match (new_vault_id, new_vault_password_file) {
                (Some(text), _) => Source::parse(&text),
                (None, Some(file)) => Source::File("default".to_owned(), file),
                (None, None) => Source::Prompt("default".to_owned()),
            };
            let mut new = Vault::new();
            match source {
                Source::Prompt(id) => new.add(id, new_password()?),
                source @ Source::File(..) => add(&mut new, &source)?,
            }
            // All of them can be opened, or none is touched.
            let texts: Vec<String> = files.files.iter().map(|f| ops::rekey(&vault, &new, f, None)).collect::<Result<_, _>>()?;
            for (file, text) in files.files.iter().zip(texts) {
                ops::put(file, text.as_bytes())?;
            }
        }
        Action::EncryptString { passwords, sealing, name } => {
            let (vault, id) = sealing_vault(&passwords, &sealing, &cfg)?;
            let plain = stdin()?;
            let text = vault.encrypt(&plain, id.as_deref()).map_err(|e| Problem::new(e.to_string()))?;
            report::out(&inline(name.as_deref(), &text));
        }
    }
    Ok(Exit::Done)
}

impl VaultArgs {
    fn or_ask(&self, cfg: &AnsibleCfg) -> Result<Vault, Failure> {
        let mut vault = self.open(cfg)?;
        if vault.is_empty() {
            add(&mut vault, &Source::Prompt("default".to_owned()))?;
        }
        Ok(vault)
    }
}

/// Passwords to encrypt with, and the one that is meant.
fn sealing_vault(passwords: &VaultArgs, sealing: &Sealing, cfg: &AnsibleCfg) -> Result<(Vault, Option<String>), Failure> {
    let mut vault = passwords.open(cfg)?;
    if vault.is_empty() {
        vault.add("default", new_password()?);
    }
    let ids = vault.ids();
    match &sealing.encrypt_vault_id {
        Some(id) if !vault.has(id) => {
            Err(Problem::new(format!("there is no password for vault id {id}")).hint(format!("there are: {}", ids.join(", "))).into())
        }
        None if ids.len() > 1 => {
            Err(Problem::new(format!("several vault ids are given: {}", ids.join(", "))).hint("say which with --encrypt-vault-id").into())
        }
        id => Ok((vault, id.clone())),
    }
}

fn new_password() -> Result<Secret<String>, Failure> {
    let first = super::global::ask_secret("New vault password: ")?;
    if first.is_empty() {
        return Err(Problem::new("the password is empty").into());
    }
    if super::global::ask_secret("Confirm new vault password: ")? != first {
        return Err(Problem::new("the passwords differ").into());
    }
    Ok(Secret::new(first))
}

/// A file, or standard input in a file of its own.
struct Place {
    path: PathBuf,
    /// Standard input: what comes of it goes to standard output.
    input: Option<tempfile::NamedTempFile>,
}

fn places(files: &[PathBuf]) -> Result<Vec<Place>, Failure> {
    let place = |path: &PathBuf| {
        if path.as_os_str() != "-" {
            return Ok(Place { path: path.clone(), input: None });
        }
        let file = tempfile::NamedTempFile::new()?;
        std::fs::write(file.path(), stdin()?)?;
        Ok(Place { path: file.path().to_owned(), input: Some(file) })
    };
    files.iter().map(place).collect()
}

fn stdin() -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::io::stdin().read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn put(from: &Place, output: Option<&PathBuf>, content: &[u8]) -> Result<(), Failure> {
    match output {
        Some(path) if path.as_os_str() != "-" => ops::put(path, content)?,
        None if from.input.is_none() => ops::put(&from.path, content)?,
        _ => report::out_bytes(content),
    }
    Ok(())
}
