//! kubeadm as modules: `kubeadm_joined`, `kubeadm_init`, `kubeadm_join`, `kubeadm_reset`. The work is in sh/kubernetes.sh:
//! crash-safe by a marker file, and watched, so that a kubelet that does not come up ends it within seconds, with the cause.

use super::{
    ArgError, ModuleDef, OptionType as T, TaskResult,
    args::{Opts, opt},
    outcome,
    script::Script,
};
use bytes::Bytes;
use minijinja::Value;

/// Whether the machine belongs to a cluster, and to which: `joined`, `ca_cert_hash`.
pub static KUBEADM_JOINED: ModuleDef = ModuleDef {
    names: &["kubeadm_joined"],
    options: &[],
    free_form: false,
    facts: &[],
    compile: |args, _| {
        Opts::read(&KUBEADM_JOINED, args)?;
        Ok(Script::new().look(
            "kw_kubeadm_joined_check",
            outcome::with(|result: &mut TaskResult, said, _| {
                let hash = public_key_hash(said.text.as_bytes()).unwrap_or_default();
                result.fields.insert("joined".into(), Value::from(!hash.is_empty()));
                result.fields.insert("ca_cert_hash".into(), Value::from(hash));
            }),
        ))
    },
};

/// `kubeadm init` with a configuration that never stands on a command line.
pub static KUBEADM_INIT: ModuleDef = ModuleDef {
    names: &["kubeadm_init"],
    options: &[opt("config", T::Raw).req(), opt("ignore_preflight_errors", T::List)],
    free_form: false,
    facts: &[],
    compile: |args, _| {
        let o = Opts::read(&KUBEADM_INIT, args)?;
        Ok(with_config(&o)?.work("kw_kubeadm_init_check", "kw_kubeadm_init_apply", outcome::plain()))
    },
};

/// `kubeadm join`; leftovers of another cluster or of an interrupted join are cleaned first.
pub static KUBEADM_JOIN: ModuleDef = ModuleDef {
    names: &["kubeadm_join"],
    options: &[opt("config", T::Raw).req(), opt("ignore_preflight_errors", T::List)],
    free_form: false,
    facts: &[],
    compile: |args, _| {
        let o = Opts::read(&KUBEADM_JOIN, args)?;
        Ok(with_config(&o)?.work("kw_kubeadm_join_check", "kw_kubeadm_join_apply", outcome::plain()))
    },
};

/// Takes off what kubeadm, Flannel and kube-proxy put on the machine.
pub static KUBEADM_RESET: ModuleDef = ModuleDef {
    names: &["kubeadm_reset"],
    options: &[],
    free_form: false,
    facts: &[],
    compile: |args, _| {
        Opts::read(&KUBEADM_RESET, args)?;
        Ok(Script::new().work("kw_kubeadm_reset_check", "kw_kubeadm_reset_apply", outcome::plain()))
    },
};

/// Pulls images before kubelet asks for them; `background: true` does not wait.
pub static CRI_IMAGE: ModuleDef = ModuleDef {
    names: &["cri_image"],
    options: &[opt("name", T::List).req(), opt("background", T::Bool)],
    free_form: false,
    facts: &[],
    compile: |args, _| {
        let o = Opts::read(&CRI_IMAGE, args)?;
        let images = o.list("name");
        if let Some(bad) = images.iter().find(|i| i.chars().any(char::is_whitespace)) {
            return Err(ArgError(format!("`{bad}` is not the name of an image")));
        }
        let script = Script::new().set("kw_images", &images.join(" ")).flag("kw_background", o.flag("background", false));
        Ok(script.work("kw_cri_image_check", "kw_cri_image_apply", outcome::plain()))
    },
};

fn with_config(o: &Opts) -> Result<Script, ArgError> {
    let config = o
        .text("config")
        .filter(|c| c.contains("kubeadm.k8s.io/"))
        .ok_or_else(|| ArgError("`config` is no kubeadm configuration".into()))?;
    let ignore = o.list("ignore_preflight_errors").join(",");
    Ok(Script::new().blob("kw_config", Bytes::from(config), true).set("kw_ignore", &ignore))
}

/// `sha256:HEX` over the DER of SubjectPublicKeyInfo: what `kubeadm join` calls the CA certificate's hash.
fn public_key_hash(pem: &[u8]) -> Option<String> {
    use sha2::Digest as _;
    let (_, pem) = x509_parser::pem::parse_x509_pem(pem).ok()?;
    let certificate = pem.parse_x509().ok()?;
    let digest = sha2::Sha256::digest(certificate.public_key().raw);
    Some(format!("sha256:{}", digest.iter().map(|b| format!("{b:02x}")).collect::<String>()))
}
