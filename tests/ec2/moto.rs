//! moto: an EC2 by others, as a server on loopback, with a strict layer for what it does not enforce.

use crate::{
    server::Server,
    wire::{Answer, Cloud, Form, body, error},
};
use aws_smithy_http_client::Connector;
use aws_smithy_runtime_api::client::{
    http::{HttpConnector, SharedHttpConnector},
    orchestrator::HttpRequest,
};
use aws_smithy_types::{body::SdkBody, byte_stream::ByteStream};
use futures::{FutureExt, future::BoxFuture};
use std::{collections::BTreeMap, sync::Mutex};

/// A running server; it ends with this value.
pub struct Moto {
    server: Server,
    client: SharedHttpConnector,
    /// Calls with a client token: the request, and what was answered.
    tokens: Mutex<BTreeMap<String, (Form, Answer)>>,
}

impl Moto {
    /// Starts it.
    pub fn start() -> Self {
        let client = SharedHttpConnector::new(Connector::builder().build_http());
        Self { server: Server::start("127.0.0.1"), client, tokens: Mutex::default() }
    }

    /// Its URL.
    pub fn url(&self) -> String {
        self.server.url()
    }

    async fn send(&self, form: &Form) -> Answer {
        let service = match form["Version"].as_str() {
            "2011-06-15" => "sts",
            "2015-12-01" => "elasticloadbalancing",
            _ => "ec2",
        };
        let mut request = HttpRequest::new(SdkBody::from(body(form)));
        request.set_method("POST").unwrap();
        request.set_uri(self.url() + "/").unwrap();
        let headers = request.headers_mut();
        headers.insert("content-type", "application/x-www-form-urlencoded");
        let scope =
            format!("AWS4-HMAC-SHA256 Credential=TEST/20260101/eu-central-1/{service}/aws4_request, SignedHeaders=host, Signature=0");
        headers.insert("authorization", scope);
        let response = self.client.call(request).await.expect("moto answers");
        let status = response.status().as_u16();
        let bytes = ByteStream::new(response.into_body()).collect().await.expect("moto's answer is whole").to_vec();
        (status, String::from_utf8(bytes).unwrap())
    }

    /// Ids of `tag` in a describe call with one filter.
    async fn ids(&self, action: &str, tag: &str, filters: &[(&str, &str)]) -> Vec<String> {
        let mut form: Form = [("Action".into(), action.into()), ("Version".into(), "2016-11-15".into())].into();
        for (n, (k, v)) in filters.iter().enumerate() {
            form.insert(format!("Filter.{}.Name", n + 1), (*k).into());
            for (m, v) in v.split(',').enumerate() {
                form.insert(format!("Filter.{}.Value.{}", n + 1, m + 1), v.into());
            }
        }
        let (_, text) = self.send(&form).await;
        let open = format!("<{tag}>");
        text.split(&open).skip(1).filter_map(|rest| rest.split('<').next()).map(str::to_owned).collect()
    }

    /// What real EC2 would refuse: deleting what is in use.
    async fn in_use(&self, form: &Form) -> bool {
        const ALIVE: (&str, &str) = ("instance-state-name", "pending,running,stopping,stopped,shutting-down");
        match form["Action"].as_str() {
            "DeleteSubnet" => {
                let subnet = &form["SubnetId"];
                !self.ids("DescribeInstances", "instanceId", &[("subnet-id", subnet), ALIVE]).await.is_empty()
                    || !self
                        .ids("DescribeNatGateways", "natGatewayId", &[("subnet-id", subnet), ("state", "pending,available,deleting")])
                        .await
                        .is_empty()
            }
            "DeleteSecurityGroup" => {
                let group = &form["GroupId"];
                let referring = self.ids("DescribeSecurityGroups", "groupId", &[("ip-permission.group-id", group)]).await;
                !self.ids("DescribeInstances", "instanceId", &[("instance.group-id", group), ALIVE]).await.is_empty()
                    || (!referring.is_empty()
                        && self.ids("DescribeSecurityGroups", "ownerId", &[("ip-permission.group-id", group)]).await.len() > 1)
            }
            "DetachInternetGateway" => {
                let vpc = &form["VpcId"];
                !self.ids("DescribeInstances", "ipOwnerId", &[("vpc-id", vpc), ALIVE]).await.is_empty()
            }
            _ => false,
        }
    }
}

impl Cloud for Moto {
    fn answer<'a>(&'a self, form: &'a Form) -> BoxFuture<'a, Answer> {
        async move {
            if self.in_use(form).await {
                return (400, error(form, "DependencyViolation", "it has dependencies and cannot be deleted"));
            }
            let Some(token) = form.get("ClientToken") else { return self.send(form).await };
            let token = format!("{}/{token}", form["Action"]);
            let known = self.tokens.lock().unwrap().get(&token).cloned();
            match known {
                Some((before, answer)) if before == *form => answer,
                Some(_) => (400, error(form, "IdempotentParameterMismatch", "the client token was used with other parameters")),
                None => {
                    let answer = self.send(form).await;
                    if answer.0 == 200 {
                        self.tokens.lock().unwrap().insert(token, (form.clone(), answer.clone()));
                    }
                    answer
                }
            }
        }
        .boxed()
    }
}
