//! Key pairs, tags, and who asks.

use super::{Account, Refusal, Res, list, refuse, specified, tags_of};
use crate::wire::Form;

/// A resource of these kinds as EC2 writes it.
pub fn render(_: &Account, id: &str, r: &Res) -> Option<String> {
    let tag = |name: &str, field: &str| r.tag(name, field);
    Some(match r.kind {
        "key" => {
            format!("<keyPairId>{id}</keyPairId>{}<keyFingerprint>x</keyFingerprint>{}", tag("keyName", "name"), tag("publicKey", "public"))
        }
        _ => return None,
    })
}

/// Does it; `None`: not an action of this file.
pub fn act(account: &mut Account, action: &str, form: &Form) -> Result<Option<String>, Refusal> {
    let p = |name: &str| form.get(name).map_or("", String::as_str);
    let now = account.now;
    Ok(Some(match action {
            "GetCallerIdentity" => "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult><Arn>arn:aws:iam::123456789012:user/test</Arn><UserId>u</UserId><Account>123456789012</Account></GetCallerIdentityResult></GetCallerIdentityResponse>".to_owned(),
            "DescribeKeyPairs" => account.set("keySet", &account.describe("key", form, "KeyPairId")?),
            "ImportKeyPair" => {
                if account.of("key").any(|(_, k)| k.get("name") == p("KeyName")) {
                    return refuse("InvalidKeyPair.Duplicate", "the name is taken");
                }
                let decoded = base64_text(p("PublicKeyMaterial"));
                let id = account.make("key", "key", specified(form, "key-pair"), &[("name", p("KeyName")), ("public", &decoded)]);
                format!("<keyPairId>{id}</keyPairId>")
            }
            "DeleteKeyPair" => {
                let named = |id: &str, k: &Res| if p("KeyPairId").is_empty() { k.get("name") == p("KeyName") } else { id == p("KeyPairId") };
                account.all.retain(|id, k| !(k.kind == "key" && named(id, k)));
                "<return>true</return>".to_owned()
            }
            "DescribeTags" => {
                let items: String = account
                    .all
                    .iter()
                    .filter(|(_, r)| r.alive())
                    .filter_map(|(id, r)| r.tags.get(p("Filter.1.Value.1")).map(|v| format!("<item><resourceId>{id}</resourceId><resourceType>vpc</resourceType><value>{v}</value></item>")))
                    .collect();
                format!("<tagSet>{items}</tagSet>")
            }
            "CreateTags" | "DeleteTags" => {
                for id in list(form, "ResourceId") {
                    let tags = tags_of(form, "Tag");
                    let Some(res) = account.all.get_mut(id).filter(|r| r.visible <= now) else {
                        return refuse("InvalidID.NotFound", format!("{id} does not exist"));
                    };
                    if action == "CreateTags" {
                        res.tags.extend(tags);
                    } else {
                        res.tags.retain(|k, _| !tags.contains_key(k));
                    }
                }
                "<return>true</return>".to_owned()
            }
            _ => return Ok(None),
    }))
}

fn base64_text(text: &str) -> String {
    use base64::{Engine, prelude::BASE64_STANDARD};
    String::from_utf8(BASE64_STANDARD.decode(text).unwrap()).unwrap()
}
