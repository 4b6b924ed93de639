//! What EC2's errors mean for us, in one place.
//! Codes: <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html>.

use crate::infra::InfraError;
use aws_sdk_ec2::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::http::Response;
use std::error::Error;

/// What a failed call means for what comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// Too many requests: nothing was done; slow down and repeat.
    Throttled,
    /// The answer is missing or a server error: it may have been done.
    Unknown,
    /// Something referred to is not there, or not yet visible.
    NotFound,
    /// It is there already: made by a run whose traces are not yet visible, or by others.
    Duplicate,
    /// The same client token was used with other parameters: an earlier run made it already.
    TokenUsed,
    /// Others still use it.
    InUse,
    /// Not in the state for this call: a pending instance, a pending gateway.
    WrongState,
    /// No machine of this type in this zone now.
    Capacity,
    /// The account's limit.
    Quota,
    /// A permission is missing.
    Denied,
    /// No credentials, or credentials that no longer work.
    Credentials,
    /// The name of the endpoint does not exist, or there is no network.
    Unreachable,
    /// Anything else: repeating it gives the same answer.
    Final,
}

/// One failed API call.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{action}: {message}{}", code.as_ref().map(|c| format!(" ({c})")).unwrap_or_default())]
pub struct Fault {
    /// The call: `CreateVpc`.
    pub action: &'static str,
    /// EC2's code, where there is one.
    pub code: Option<String>,
    /// EC2's message, or what happened on the way.
    pub message: String,
    /// What it means.
    pub meaning: Meaning,
}

impl Fault {
    /// Classifies what the SDK reports.
    pub fn of<E>(action: &'static str, error: &SdkError<E, Response>) -> Self
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        match error {
            SdkError::ServiceError(context) => {
                let code = context.err().code().map(str::to_owned);
                let status = context.raw().status().as_u16();
                let meaning = match &code {
                    // Elastic Load Balancing says so of a VPC that it does not see yet.
                    Some(code) if code == "ValidationError" && context.err().message().is_some_and(|m| m.contains("is not found")) => {
                        Meaning::NotFound
                    }
                    Some(code) => meaning_of(code, status),
                    None if status >= 500 => Meaning::Unknown,
                    None => Meaning::Final,
                };
                let message = context.err().message().map_or_else(|| format!("HTTP status {status}"), str::to_owned);
                Self { action, code, message, meaning }
            }
            SdkError::ConstructionFailure(_) => {
                let message = chain(error);
                let meaning = if is_about_credentials(&message) { Meaning::Credentials } else { Meaning::Final };
                Self { action, code: None, message, meaning }
            }
            _ => {
                let message = chain(error);
                let meaning = if is_about_credentials(&message) {
                    Meaning::Credentials
                } else if message.contains("dns error") {
                    Meaning::Unreachable
                } else {
                    Meaning::Unknown
                };
                Self { action, code: None, message, meaning }
            }
        }
    }

    /// A failure that we found ourselves in an answer.
    pub fn found(action: &'static str, message: impl Into<String>) -> Self {
        Self { action, code: None, message: message.into(), meaning: Meaning::Final }
    }

    /// The same failure with what it is for a person: what was being done, and a way out.
    pub fn into_infra(self, what: &str) -> InfraError {
        let hint = match self.meaning {
            Meaning::Denied => {
                Some(format!("allow {} to this identity; docs/iam-policy.json is the least policy that works", self.denied_action()))
            }
            Meaning::Credentials => {
                Some("sign in again (`aws sso login`, new session keys) or set AWS_PROFILE; then run the same command".to_owned())
            }
            Meaning::Quota => Some("raise this quota of the account (Service Quotas) or free some, then run the same command".to_owned()),
            Meaning::Capacity => Some("choose another instance type or zone, or try later".to_owned()),
            Meaning::Unreachable => Some("is aws.region a region, and is there a network?".to_owned()),
            Meaning::Throttled | Meaning::Unknown => Some("run the same command again: it continues where this stopped".to_owned()),
            _ => None,
        };
        InfraError::Failed { what: what.to_owned(), why: self.to_string(), hint }
    }

    /// The IAM action that is missing: from the message where it says so, else the call's own.
    fn denied_action(&self) -> String {
        self.message
            .split("perform: ")
            .nth(1)
            .and_then(|rest| rest.split_whitespace().next())
            .map_or_else(|| iam_action(self.action), str::to_owned)
    }
}

/// The IAM action behind a call.
pub fn iam_action(action: &str) -> String {
    let balancing = ["LoadBalancer", "TargetGroup", "Listener", "RegisterTargets", "DeregisterTargets", "TargetHealth"];
    let service = match action {
        "GetCallerIdentity" => "sts",
        "AddTags" | "DescribeTags" | "SetSecurityGroups" => "elasticloadbalancing",
        _ if balancing.iter().any(|word| action.contains(word)) => "elasticloadbalancing",
        _ => "ec2",
    };
    format!("{service}:{action}")
}

fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut at = error.source();
    while let Some(e) = at {
        text.push_str(": ");
        text.push_str(&e.to_string());
        at = e.source();
    }
    text
}

fn is_about_credentials(message: &str) -> bool {
    let m = message.to_ascii_lowercase();
    m.contains("credential") || m.contains("sso token") || m.contains("sso session")
}

fn meaning_of(code: &str, status: u16) -> Meaning {
    match code {
        "RequestLimitExceeded" | "Throttling" | "ThrottlingException" | "RequestThrottled" | "SlowDown" | "EC2ThrottledException" => {
            Meaning::Throttled
        }
        "InternalError" | "InternalFailure" | "ServiceUnavailable" | "Unavailable" | "RequestTimeout" | "ServiceUnavailableException" => {
            Meaning::Unknown
        }
        "UnauthorizedOperation" | "AccessDenied" | "AccessDeniedException" => Meaning::Denied,
        "ExpiredToken"
        | "ExpiredTokenException"
        | "RequestExpired"
        | "AuthFailure"
        | "InvalidClientTokenId"
        | "UnrecognizedClientException"
        | "SignatureDoesNotMatch"
        | "MissingAuthenticationToken"
        | "OptInRequired" => Meaning::Credentials,
        "InsufficientInstanceCapacity" | "InsufficientHostCapacity" | "InsufficientFreeAddressesInSubnet" | "SpotMaxPriceTooLow" => {
            Meaning::Capacity
        }
        // "Your requested instance type is not supported in your requested Availability Zone".
        "Unsupported" => Meaning::Capacity,
        "IdempotentParameterMismatch" => Meaning::TokenUsed,
        "DependencyViolation"
        | "ResourceInUse"
        | "InvalidIPAddress.InUse"
        | "VolumeInUse"
        | "InvalidNetworkInterface.InUse"
        | "CannotDelete" => Meaning::InUse,
        "IncorrectInstanceState"
        | "IncorrectState"
        | "Gateway.NotAttached"
        | "InvalidInstanceID"
        | "IncorrectSpotRequestState"
        | "NatGatewayMalformed" => Meaning::WrongState,
        "InvalidSubnet.Conflict" | "RouteAlreadyExists" => Meaning::Duplicate,
        // Elastic Load Balancing's, which have no dot.
        c if c.ends_with("NotFound") => Meaning::NotFound,
        c if c.starts_with("Duplicate") => Meaning::Duplicate,
        c if c.starts_with("TooMany") => Meaning::Quota,
        c if c.ends_with(".Duplicate") || c.ends_with(".AlreadyAssociated") || c.ends_with("AlreadyExists") => Meaning::Duplicate,
        c if c.ends_with("LimitExceeded") => Meaning::Quota,
        _ if status >= 500 => Meaning::Unknown,
        _ => Meaning::Final,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_told_apart() {
        for (code, status, meaning) in [
            ("RequestLimitExceeded", 503, Meaning::Throttled),
            ("VcpuLimitExceeded", 400, Meaning::Quota),
            ("AddressLimitExceeded", 400, Meaning::Quota),
            ("InvalidVpcID.NotFound", 400, Meaning::NotFound),
            ("InvalidPermission.Duplicate", 400, Meaning::Duplicate),
            ("Resource.AlreadyAssociated", 400, Meaning::Duplicate),
            ("InsufficientInstanceCapacity", 500, Meaning::Capacity),
            ("UnauthorizedOperation", 403, Meaning::Denied),
            ("SomethingNew", 500, Meaning::Unknown),
            ("InvalidParameterValue", 400, Meaning::Final),
            ("LoadBalancerNotFound", 400, Meaning::NotFound),
            ("DuplicateTargetGroupName", 400, Meaning::Duplicate),
            ("ResourceInUse", 400, Meaning::InUse),
            ("TooManyLoadBalancers", 400, Meaning::Quota),
        ] {
            assert_eq!(meaning_of(code, status), meaning, "{code}");
        }
    }

    #[test]
    fn a_missing_permission_is_named() {
        let mut fault = Fault {
            action: "RunInstances",
            code: Some("UnauthorizedOperation".into()),
            message: "User: arn:aws:iam::1:user/x is not authorized to perform: ec2:CreateTags on resource: *".into(),
            meaning: Meaning::Denied,
        };
        assert_eq!(fault.denied_action(), "ec2:CreateTags");
        fault.message = "You are not authorized to perform this operation.".into();
        assert_eq!(fault.denied_action(), "ec2:RunInstances");
        for (action, is) in [
            ("CreateLoadBalancer", "elasticloadbalancing:CreateLoadBalancer"),
            ("RegisterTargets", "elasticloadbalancing:RegisterTargets"),
            ("CreateTags", "ec2:CreateTags"),
            ("CreateSecurityGroup", "ec2:CreateSecurityGroup"),
        ] {
            assert_eq!(iam_action(action), is);
        }
    }
}
