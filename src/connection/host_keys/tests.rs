//! known_hosts, with ssh-keygen as the oracle for names and hashes.

use super::{KnownKeys, glob};
use crate::connection::HostKeys;
use proptest::prelude::*;
use russh::keys::{
    Algorithm, PrivateKey, PublicKeyOrCertificate,
    key::safe_rng,
    ssh_key::certificate::{Builder, CertType},
};
use std::process::Command;

fn key() -> PrivateKey {
    PrivateKey::random(&mut safe_rng(), Algorithm::Ed25519).unwrap()
}

fn line(key: &PrivateKey) -> String {
    let text = key.public_key().to_openssh().unwrap();
    text.split(' ').take(2).collect::<Vec<_>>().join(" ")
}

fn known(text: &str, address: &str, port: u16) -> KnownKeys {
    KnownKeys::from_known_hosts(&[text.to_owned()], address, port)
}

fn accepts(known: &KnownKeys, key: &PrivateKey) -> bool {
    known.check(&PublicKeyOrCertificate::from(key.public_key().clone()), "host").is_ok()
}

/// What ssh-keygen finds for a name: it matches lines as ssh does.
fn openssh_finds(text: &str, name: &str) -> bool {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("known_hosts");
    std::fs::write(&file, text).unwrap();
    Command::new("ssh-keygen").arg("-F").arg(name).arg("-f").arg(&file).output().unwrap().status.success()
}

#[test]
fn names_match_as_in_openssh() {
    let (a, key_line) = (key(), String::new());
    let key_line = key_line + &line(&a);
    for (patterns, address, port) in [
        ("host", "host", 22),
        ("host", "HOST", 22),
        ("Host", "host", 22),
        ("host", "hosts", 22),
        ("other,host", "host", 22),
        ("h?st", "host", 22),
        ("*", "host", 22),
        ("*,!host", "host", 22),
        ("!host,*", "host", 22),
        ("!other,*", "host", 22),
        ("!other", "host", 22),
        ("[host]:2222", "host", 2222),
        ("[host]:2222", "host", 22),
        ("[host]:2222", "host", 2223),
        ("[*]:2222", "host", 2222),
        ("10.0.*.1?", "10.0.3.10", 22),
        ("10.0.*.1?", "10.0.3.1", 22),
    ] {
        let text = format!("# comment\n\nhost no-key\n  {patterns} {key_line} a comment\n");
        let name = if port == 22 { address.to_owned() } else { format!("[{address}]:{port}") };
        assert_eq!(accepts(&known(&text, address, port), &a), openssh_finds(&text, &name), "{patterns} for {name}");
    }
}

#[test]
fn hashed_names_are_those_of_ssh_keygen() {
    let (a, b) = (key(), key());
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("known_hosts");
    std::fs::write(&file, format!("host.example {}\n[10.0.0.10]:2222 {}\n", line(&a), line(&b))).unwrap();
    assert!(Command::new("ssh-keygen").arg("-H").arg("-f").arg(&file).output().unwrap().status.success());
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.starts_with("|1|"), "{text}");
    let load = |address: &str, port| KnownKeys::load(&HostKeys::KnownHosts(vec![file.clone()]), address, port).unwrap();
    assert!(accepts(&load("host.example", 22), &a) && !accepts(&load("host.example", 22), &b));
    assert!(accepts(&load("10.0.0.10", 2222), &b) && !accepts(&load("10.0.0.10", 22), &b));
    // OpenSSH falls back to the name without the port.
    assert!(accepts(&load("host.example", 2022), &a));
}

#[test]
fn revoked_keys_lose_whatever_else_is_said() {
    let a = key();
    let text = format!("host {0}\n@revoked * {0}\n", line(&a));
    let error = known(&text, "host", 22).check(&PublicKeyOrCertificate::from(a.public_key().clone()), "host").unwrap_err();
    assert!(error.contains("@revoked"), "{error}");
    assert!(accepts(&known(&format!("host {0}\n@revoked other {0}\n", line(&a)), "host", 22), &a));
    assert!(!accepts(&known(&format!("@unknown host {}\n", line(&a)), "host", 22), &a));
    assert!(!accepts(&known(&format!("@cert-authority host {}\n", line(&a)), "host", 22), &a), "an authority is no host key");
}

#[test]
fn certificates_need_authority_name_kind_and_time() {
    let (authority, host) = (key(), key());
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let cert = |kind, principal: &str, from: u64, to: u64| {
        let mut builder = Builder::new_with_random_nonce(&mut safe_rng(), host.public_key(), from, to).unwrap();
        builder.cert_type(kind).unwrap().valid_principal(principal).unwrap();
        builder.key_id("k").unwrap();
        PublicKeyOrCertificate::Certificate(builder.sign(&authority).unwrap())
    };
    let good = known(&format!("@cert-authority *.example {}\n", line(&authority)), "a.example", 22);
    let check = |shown: &PublicKeyOrCertificate| good.check(shown, "a.example");
    check(&cert(CertType::Host, "a.example", now - 60, now + 60)).unwrap();
    check(&cert(CertType::Host, "*.example", now - 60, now + 60)).unwrap();
    for bad in [
        cert(CertType::Host, "b.example", now - 60, now + 60),
        cert(CertType::User, "a.example", now - 60, now + 60),
        cert(CertType::Host, "a.example", now - 60, now - 30),
    ] {
        assert!(check(&bad).is_err());
    }
    let shown = cert(CertType::Host, "a.example", now - 60, now + 60);
    let stranger = known(&format!("@cert-authority * {}\n", line(&key())), "a.example", 22);
    assert!(stranger.check(&shown, "a.example").is_err());
    // The bare key inside counts when it is known itself.
    assert!(known(&format!("a.example {}\n", line(&host)), "a.example", 22).check(&shown, "a.example").is_ok());
    let revoked = known(&format!("@cert-authority * {0}\n@revoked * {0}\n", line(&authority)), "a.example", 22);
    assert!(revoked.check(&shown, "a.example").is_err());
}

#[test]
fn known_algorithms_are_offered_first_and_sha1_never() {
    let ecdsa = PrivateKey::random(&mut safe_rng(), Algorithm::Ecdsa { curve: russh::keys::EcdsaCurve::NistP256 }).unwrap();
    let algorithms = known(&format!("host {}\n", line(&ecdsa)), "host", 22).algorithms();
    assert_eq!(algorithms[0], ecdsa.algorithm());
    assert!(algorithms.contains(&Algorithm::Ed25519) && !algorithms.contains(&Algorithm::Rsa { hash: None }));
    assert!(known("", "host", 22).certificate_algorithms().is_empty());
}

proptest! {
    #[test]
    fn any_text_is_read_without_harm(text in "[ -~\\n@|*!,\\[\\]:]{0,200}", host in "[a-z0-9.*?\\[\\]]{0,12}", port: u16) {
        let found = known(&text, &host, port);
        prop_assert!(found.keys.is_empty());
    }

    #[test]
    fn a_star_matches_everything_between(a in "[a-c]{0,4}", b in "[a-c]{0,6}", c in "[a-c]{0,4}") {
        let text = format!("{a}{b}{c}");
        let pattern = format!("{a}*{c}");
        prop_assert!(glob(&pattern, &text));
        let (questions, longer) = ("?".repeat(text.len()), format!("{text}d"));
        prop_assert!(glob(&questions, &text));
        prop_assert!(!glob(&text, &longer));
    }
}
