//! Between the SDK and a cloud: every request is seen, counted, and can be made to go wrong.

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_ec2::config::{Credentials, SharedCredentialsProvider};
use aws_smithy_runtime_api::{
    client::{
        http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn},
        orchestrator::{HttpRequest, HttpResponse},
        result::ConnectorError,
    },
    http::StatusCode,
};
use aws_smithy_types::body::SdkBody;
use futures::future::BoxFuture;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};
use tokio::sync::Notify;

/// A request's form: `Action`, `Filter.1.Name`, …
pub type Form = BTreeMap<String, String>;
/// Status and body.
pub type Answer = (u16, String);

/// Something that answers EC2's query protocol.
pub trait Cloud: Send + Sync {
    /// Answers one request.
    fn answer<'a>(&'a self, form: &'a Form) -> BoxFuture<'a, Answer>;
}

/// What to do with one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Let it pass.
    None,
    /// Refuse it before it takes effect.
    Refuse(u16, &'static str),
    /// Let it take effect and lose the answer.
    LoseAnswer,
    /// Let it take effect, then the tool is killed.
    Kill,
}

type Chooser = Box<dyn Fn(&Form) -> Fault + Send + Sync>;

/// The layer. Clones share everything.
#[derive(Clone)]
pub struct Wire {
    cloud: Arc<dyn Cloud>,
    chooser: Arc<Mutex<Chooser>>,
    log: Arc<Mutex<Vec<Form>>>,
    latency: Arc<Mutex<std::time::Duration>>,
    /// Told when a [`Fault::Kill`] came.
    pub killed: Arc<Notify>,
}

impl std::fmt::Debug for Wire {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Wire")
    }
}

impl Wire {
    pub fn new(cloud: Arc<dyn Cloud>) -> Self {
        let chooser: Chooser = Box::new(|_| Fault::None);
        Self { cloud, chooser: Arc::new(Mutex::new(chooser)), log: Arc::default(), latency: Arc::default(), killed: Arc::default() }
    }

    /// From now on, `choose` decides about every request.
    pub fn faults(&self, choose: impl Fn(&Form) -> Fault + Send + Sync + 'static) {
        *self.chooser.lock().unwrap() = Box::new(choose);
    }

    /// Every answer takes this long.
    pub fn latency(&self, latency: std::time::Duration) {
        *self.latency.lock().unwrap() = latency;
    }

    /// The requests so far; the list starts anew.
    pub fn take_log(&self) -> Vec<Form> {
        std::mem::take(&mut self.log.lock().unwrap())
    }

    /// A configuration of the SDK that talks over this wire only.
    pub fn config(&self, endpoint: &str) -> SdkConfig {
        let wire = self.clone();
        let client = http_client_fn(move |_, _| SharedHttpConnector::new(wire.clone()));
        SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("eu-central-1"))
            .endpoint_url(endpoint)
            .credentials_provider(SharedCredentialsProvider::new(Credentials::for_tests()))
            .sleep_impl(aws_smithy_async())
            .http_client(client)
            .build()
    }
}

fn aws_smithy_async() -> aws_sdk_ec2::config::SharedAsyncSleep {
    aws_sdk_ec2::config::SharedAsyncSleep::new(Sleep)
}

#[derive(Debug)]
struct Sleep;

impl aws_sdk_ec2::config::AsyncSleep for Sleep {
    fn sleep(&self, duration: std::time::Duration) -> aws_sdk_ec2::config::Sleep {
        aws_sdk_ec2::config::Sleep::new(tokio::time::sleep(duration))
    }
}

impl HttpConnector for Wire {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let wire = self.clone();
        HttpConnectorFuture::new(async move {
            let form = form(request.body().bytes().unwrap_or_default());
            wire.log.lock().unwrap().push(form.clone());
            let latency = *wire.latency.lock().unwrap();
            if !latency.is_zero() {
                tokio::time::sleep(latency).await;
            }
            let fault = (wire.chooser.lock().unwrap())(&form);
            let (status, body) = match fault {
                Fault::Refuse(status, code) => (status, error(&form, code, "refused by the test")),
                Fault::None => wire.cloud.answer(&form).await,
                Fault::LoseAnswer => {
                    wire.cloud.answer(&form).await;
                    return Err(ConnectorError::io("the connection was reset".into()));
                }
                Fault::Kill => {
                    wire.cloud.answer(&form).await;
                    wire.killed.notify_one();
                    std::future::pending().await
                }
            };
            let status = StatusCode::try_from(status).map_err(|e| ConnectorError::other(e.into(), None))?;
            Ok(HttpResponse::new(status, SdkBody::from(body)))
        })
    }
}

/// Reads a form body.
pub fn form(body: &[u8]) -> Form {
    let text = String::from_utf8_lossy(body);
    let decode = |s: &str| {
        let mut bytes = Vec::new();
        let mut rest = s.bytes();
        while let Some(b) = rest.next() {
            match b {
                b'+' => bytes.push(b' '),
                b'%' => {
                    let hex: Vec<u8> = rest.by_ref().take(2).collect();
                    bytes.push(u8::from_str_radix(std::str::from_utf8(&hex).unwrap(), 16).unwrap());
                }
                b => bytes.push(b),
            }
        }
        String::from_utf8(bytes).unwrap()
    };
    text.split('&').filter_map(|pair| pair.split_once('=')).map(|(k, v)| (decode(k), decode(v))).collect()
}

/// Writes a form body.
pub fn body(form: &Form) -> String {
    let encode = |s: &str| {
        s.bytes()
            .map(|b| if b.is_ascii_alphanumeric() || b"-._~".contains(&b) { char::from(b).to_string() } else { format!("%{b:02X}") })
            .collect::<String>()
    };
    form.iter().map(|(k, v)| format!("{}={}", encode(k), encode(v))).collect::<Vec<_>>().join("&")
}

/// An error in the form of the service that was asked.
pub fn error(form: &Form, code: &str, message: &str) -> String {
    if form.get("Version").is_some_and(|v| v == "2015-12-01") {
        let error = format!("<Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>");
        return format!(
            "<ErrorResponse xmlns=\"http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/\">{error}<RequestId>r</RequestId></ErrorResponse>"
        );
    }
    format!(
        "<?xml version=\"1.0\"?><Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error></Errors><RequestID>r</RequestID></Response>"
    )
}

/// Whether a request changes anything.
pub fn changes(form: &Form) -> bool {
    let action = form["Action"].as_str();
    !action.starts_with("Describe") && !action.starts_with("Get")
}
