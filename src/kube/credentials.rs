//! Who we are to the API: a client certificate and the cluster's CA, in and out of kubeconfig text.

use super::{KubeError, documents};
use crate::text::Secret;
use base64::{Engine, engine::general_purpose::STANDARD};

/// A client certificate, its key, and the CA that the server is checked against. All PEM.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// The cluster's CA; nothing else is trusted.
    pub ca: Vec<u8>,
    /// Client certificate, with intermediates if there are any.
    pub certificate: Vec<u8>,
    /// Its private key.
    pub key: Secret<Vec<u8>>,
}

impl Credentials {
    /// Reads the current context of a kubeconfig with embedded data, as kubeadm writes it. Returns the server's URL too.
    pub fn from_kubeconfig(text: &str) -> Result<(Self, String), KubeError> {
        let bad = |what: &str, why: &str| KubeError::Credentials { what: what.to_owned(), why: why.to_owned() };
        let config = documents(text)?.into_iter().next().unwrap_or_default();
        let named = |list: &str, name: &str, field: &str| {
            let entry = config[list].as_array()?.iter().find(|e| e["name"] == name)?;
            Some(entry[field].clone())
        };
        let current = config["current-context"].as_str().unwrap_or_default();
        let context = named("contexts", current, "context").ok_or_else(|| bad("kubeconfig", "no current context"))?;
        let of = |list: &str, field: &str| {
            named(list, context[field].as_str().unwrap_or_default(), field)
                .ok_or_else(|| bad("kubeconfig", &format!("the context's {field} is missing")))
        };
        let (cluster, user) = (of("clusters", "cluster")?, of("users", "user")?);
        let decode = |from: &serde_json::Value, what: &str| {
            let data = from[what].as_str().ok_or_else(|| bad(what, "not embedded in the kubeconfig"))?;
            STANDARD.decode(data.trim()).map_err(|e| bad(what, &e.to_string()))
        };
        let credentials = Self {
            ca: decode(&cluster, "certificate-authority-data")?,
            certificate: decode(&user, "client-certificate-data")?,
            key: Secret::new(decode(&user, "client-key-data")?),
        };
        Ok((credentials, cluster["server"].as_str().unwrap_or_default().to_owned()))
    }
}

/// A kubeconfig's text for these credentials. It holds the key: write it 0600.
/// `server` is a URL; `tls_server_name` is set where the URL is a tunnel's.
pub fn kubeconfig(cluster: &str, user: &str, server: &str, tls_server_name: Option<&str>, credentials: &Credentials) -> Secret<String> {
    let mut entry = serde_json::json!({"certificate-authority-data": STANDARD.encode(&credentials.ca), "server": server});
    if let Some(name) = tls_server_name {
        entry["tls-server-name"] = name.into();
    }
    let context = format!("{user}@{cluster}");
    let value = serde_json::json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": cluster, "cluster": entry}],
        "users": [{"name": user, "user": {
            "client-certificate-data": STANDARD.encode(&credentials.certificate),
            "client-key-data": STANDARD.encode(credentials.key.expose()),
        }}],
        "contexts": [{"name": context, "context": {"cluster": cluster, "user": user}}],
        "current-context": context,
    });
    // JSON is YAML; one entry a line reads well enough and quotes everything.
    Secret::new(serde_json::to_string_pretty(&value).unwrap_or_default() + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_we_write_can_be_read_back() {
        let written = Credentials { ca: b"ca".to_vec(), certificate: b"cert".to_vec(), key: Secret::new(b"key".to_vec()) };
        let text = kubeconfig("lab", "kubewright-admin", "https://127.0.0.1:16443", Some("lab.kubewright.internal"), &written);
        let (read, server) = Credentials::from_kubeconfig(text.expose()).unwrap();
        assert_eq!((read.ca, read.certificate, server.as_str()), (written.ca, written.certificate, "https://127.0.0.1:16443"));
        assert_eq!(read.key.expose(), written.key.expose());
    }

    #[test]
    fn a_kubeconfig_without_embedded_data_is_refused_by_name() {
        let text = "clusters: [{name: c, cluster: {server: https://x}}]\nusers: [{name: u, user: {}}]\n\
                    contexts: [{name: x, context: {cluster: c, user: u}}]\ncurrent-context: x\n";
        let error = Credentials::from_kubeconfig(text).unwrap_err().to_string();
        assert_eq!(error, "certificate-authority-data: not embedded in the kubeconfig");
    }
}
