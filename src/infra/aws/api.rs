//! One way to call EC2: paced, retried as the call allows, classified.

use super::errors::{Fault, Meaning};
use aws_sdk_ec2::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::http::Response;
use backon::{ExponentialBuilder, Retryable};
use std::{error::Error, sync::Arc, time::Duration};
use tokio::{sync::Semaphore, time::Instant};

/// How long we wait for what. All are upper bounds or pauses, jittered where they repeat.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// First pause before a call is repeated.
    pub first: Duration,
    /// Longest pause before a call is repeated.
    pub most: Duration,
    /// Deadline of one call with all its repetitions.
    pub call: Duration,
    /// Pause between two looks at something that takes its time.
    pub poll: Duration,
    /// Deadline of what takes its time: a NAT gateway, an instance, its end.
    pub wait: Duration,
    /// How long new things may stay invisible to reads.
    pub settle: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            first: Duration::from_millis(300),
            most: Duration::from_secs(15),
            call: Duration::from_mins(3),
            poll: Duration::from_secs(3),
            wait: Duration::from_mins(15),
            settle: Duration::from_secs(4),
        }
    }
}

impl Patience {
    /// All times divided by `by`: for tests against a cloud that is that much faster.
    #[must_use]
    pub fn divided(self, by: u32) -> Self {
        Self {
            first: self.first / by,
            most: self.most / by,
            call: self.call / by,
            poll: self.poll / by,
            wait: self.wait / by,
            settle: self.settle / by,
        }
    }
}

/// What repeating a call does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Nothing: it reads, sets a value, or carries a client token.
    Repeatable,
    /// It would do it twice: after an unknown outcome the world must be read first.
    Once,
    /// It takes something away: that it is gone already is success, that it is in use passes.
    Takes,
}

/// The clients, and the pace at which they are used.
#[derive(Clone, Debug)]
pub struct Api {
    /// EC2.
    pub ec2: aws_sdk_ec2::Client,
    /// Load balancers.
    pub elb: aws_sdk_elasticloadbalancingv2::Client,
    /// Who we are.
    pub sts: aws_sdk_sts::Client,
    /// The region, for messages and commands.
    pub region: String,
    /// Waiting times.
    pub patience: Patience,
    gate: Arc<Semaphore>,
}

impl Api {
    /// Clients over one configuration. The SDK's own retries are off: ours know what a call does.
    pub fn new(config: &aws_config::SdkConfig, patience: Patience) -> Self {
        let off = aws_config::retry::RetryConfig::disabled();
        let ec2 = aws_sdk_ec2::config::Builder::from(config).retry_config(off.clone()).build();
        let elb = aws_sdk_elasticloadbalancingv2::config::Builder::from(config).retry_config(off.clone()).build();
        let sts = aws_sdk_sts::config::Builder::from(config).retry_config(off).build();
        Self {
            ec2: aws_sdk_ec2::Client::from_conf(ec2),
            elb: aws_sdk_elasticloadbalancingv2::Client::from_conf(elb),
            sts: aws_sdk_sts::Client::from_conf(sts),
            region: config.region().map_or_else(String::new, ToString::to_string),
            patience,
            gate: Arc::new(Semaphore::new(12)),
        }
    }

    /// Makes one call, repeated as `effect` allows, until it succeeds, fails for good or its deadline passes.
    pub async fn call<T, E, F, Fut>(&self, action: &'static str, effect: Effect, f: F) -> Result<T, Fault>
    where
        F: Fn() -> Fut,
        Fut: Future<Output = Result<T, SdkError<E, Response>>>,
        E: ProvideErrorMetadata + Error + 'static,
    {
        let begun = Instant::now();
        (|| async {
            // Nobody closes the gate, so a permit always comes.
            let _permit = self.gate.acquire().await.ok();
            // On the heap: the SDK's futures are large, and many calls are under way at once.
            Box::pin(f()).await.map_err(|e| Fault::of(action, &e))
        })
        .retry(self.backoff())
        .when(|fault| match fault.meaning {
            Meaning::Throttled => true,
            Meaning::NotFound | Meaning::WrongState => effect != Effect::Takes,
            Meaning::Unknown => effect != Effect::Once,
            // Soon the world is read again instead: what is in the way may be ours and only now visible.
            Meaning::InUse => effect == Effect::Takes && begun.elapsed() < self.patience.settle * 4,
            _ => false,
        })
        .await
    }

    /// Looks again and again until `look` finds something, at most [`Patience::wait`].
    pub async fn wait_for<T, F, Fut>(&self, action: &'static str, what: &str, look: F) -> Result<T, Fault>
    where
        F: Fn() -> Fut,
        Fut: Future<Output = Result<Option<T>, Fault>>,
    {
        let end = Instant::now() + self.patience.wait;
        loop {
            if let Some(found) = look().await? {
                return Ok(found);
            }
            if Instant::now() >= end {
                return Err(Fault::found(action, format!("{what}: not so after {} s", self.patience.wait.as_secs())));
            }
            tokio::time::sleep(self.patience.poll).await;
        }
    }

    fn backoff(&self) -> ExponentialBuilder {
        ExponentialBuilder::new()
            .with_jitter()
            .with_min_delay(self.patience.first)
            .with_max_delay(self.patience.most)
            .without_max_times()
            .with_total_delay(Some(self.patience.call))
    }
}

/// A deletion's result, where being gone already is success.
pub fn gone_is_fine<T>(result: Result<T, Fault>) -> Result<(), Fault> {
    match result {
        Err(fault) if fault.meaning != Meaning::NotFound => Err(fault),
        _ => Ok(()),
    }
}
