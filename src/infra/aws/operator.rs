//! `ssh_from: auto`: the address under which the internet sees the operator.

use crate::infra::InfraError;
use aws_smithy_http_client::{
    Connector,
    tls::{Provider, rustls_provider::CryptoMode},
};
use aws_smithy_runtime_api::client::{http::HttpConnector, orchestrator::HttpRequest};
use aws_smithy_types::byte_stream::ByteStream;
use ipnet::Ipv4Net;
use std::{net::Ipv4Addr, time::Duration};

/// AWS's own service for this: it answers with the caller's address and nothing else.
const SERVICE: &str = "https://checkip.amazonaws.com/";

/// Asks which address we come from.
pub async fn address() -> Result<Ipv4Net, InfraError> {
    let missing = |why: String| InfraError::Missing {
        what: format!("access.ssh_from is auto, but {SERVICE} does not say which address we come from: {why}"),
        hint: "write the ranges that may use SSH into access.ssh_from".to_owned(),
    };
    let request = HttpRequest::get(SERVICE).map_err(|e| missing(e.to_string()))?;
    let connector = Connector::builder().tls_provider(Provider::Rustls(CryptoMode::Ring)).build();
    let asked = async {
        let response = connector.call(request).await.map_err(|e| e.to_string())?;
        let bytes = ByteStream::new(response.into_body()).collect().await.map_err(|e| e.to_string())?.to_vec();
        parse(&String::from_utf8_lossy(&bytes))
    };
    match tokio::time::timeout(Duration::from_secs(10), asked).await {
        Ok(found) => found.map_err(missing),
        Err(_) => Err(missing("no answer within 10 s".to_owned())),
    }
}

fn parse(text: &str) -> Result<Ipv4Net, String> {
    let address: Ipv4Addr = text.trim().parse().map_err(|_| format!("it answers {:?}", text.chars().take(80).collect::<String>()))?;
    Ok(Ipv4Net::from(address))
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn only_an_address_is_believed() {
        assert_eq!(parse("203.0.113.7\n").unwrap().to_string(), "203.0.113.7/32");
        assert!(parse("<html>Please sign in to the hotel's network</html>").is_err());
    }
}
