use super::{Vault, VaultError, is_encrypted};
use crate::text::Secret;
use proptest::prelude::*;

/// Made by ansible-vault of ansible-core 2.19.14 with password `test-password`; inside: `a: secret é\n`.
const V11: &str = "\
$ANSIBLE_VAULT;1.1;AES256
35373037336630326130353239373562626334346631656264336363353231623038326666386232
6533336464336131346633653462393365326461366164310a363462343963613732643065393636
35663064613039373938613638323534663665616564613833356634346634386331326333366530
3330333531356263630a366433306332396632373435333665346534663666633263346163383561
3137
";
/// The same by password `other`, id `prod`, indented as inside YAML.
const V12: &str = "  $ANSIBLE_VAULT;1.2;AES256;prod
  32666430306261666564643734346235393263333361376532366635613230373936383334303663
  6332396232353536643133643064646635663538353862330a346364633065613631386330326134
  33393435653831666336333035396631663533353839616235386235303437643236386435373339
  3762386433363934630a366431373838376138383938373964616531623336316662346462346136
  6466";

fn vault(passwords: &[(&str, &str)]) -> Vault {
    let mut vault = Vault::new();
    for (id, password) in passwords {
        vault.add(*id, Secret::new((*password).to_owned()));
    }
    vault
}

#[test]
fn opens_what_ansible_wrote() {
    let both = vault(&[("default", "test-password"), ("prod", "other")]);
    assert_eq!(both.decrypt_text(V11).unwrap().expose(), "a: secret é\n");
    assert_eq!(both.decrypt_text(V12).unwrap().expose(), "a: secret é\n");
    // The id is only a hint: any password may open it.
    assert_eq!(vault(&[("x", "no"), ("y", "other")]).decrypt_text(V12).unwrap().expose(), "a: secret é\n");
    assert!(is_encrypted(V11.as_bytes()) && !is_encrypted(b"a: 1"));
}

#[test]
fn says_why_not() {
    let error = |v: &Vault, text: &str| v.decrypt(text).unwrap_err().to_string();
    assert_eq!(error(&vault(&[]), V12), "a vault password is needed (vault id `prod`): give --vault-password-file or --ask-vault-pass");
    assert_eq!(error(&vault(&[("a", "b")]), V11), "none of the 1 vault passwords opens this");
    assert_eq!(vault(&[("a", "b")]).decrypt("plain").unwrap_err(), VaultError::NotEncrypted);
    let one = vault(&[("default", "test-password")]);
    assert!(error(&one, &V11.replace("AES256", "AES")).contains("cipher AES is not supported"));
    assert!(error(&one, &V11.replace("3137\n", "31x7\n")).contains("damaged"));
    assert!(error(&one, &V11.replace("3137\n", "3138\n")).contains("opens this"));
}

#[test]
fn what_is_sealed_opens_again() {
    let both = vault(&[("default", "one"), ("prod", "two")]);
    let sealed = both.encrypt(b"", Some("prod")).unwrap();
    assert!(sealed.starts_with("$ANSIBLE_VAULT;1.2;AES256;prod\n") && sealed.ends_with('\n') && sealed.lines().all(|l| l.len() <= 80));
    assert_eq!(both.decrypt(&sealed).unwrap().expose(), b"");
    let sealed = both.encrypt(&[b'x'; 16], None).unwrap();
    assert!(sealed.starts_with("$ANSIBLE_VAULT;1.1;AES256\n"));
    assert_eq!(vault(&[("any", "one")]).decrypt(&sealed).unwrap().expose(), &[b'x'; 16]);
    assert!(matches!(both.encrypt(b"x", Some("nobody")), Err(VaultError::NoPassword { .. })));
    assert!(!format!("{both:?}").contains("two"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn no_text_panics(text in "(\\$ANSIBLE_VAULT;1.1;AES256\\n)?[0-9a-fx\\né]{0,60}") {
        let _ = vault(&[]).decrypt(&text);
    }
}
