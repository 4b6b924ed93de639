//! The EC2 provider against two clouds: moto (a real endpoint by others) and a strict model of EC2 in memory.

#![expect(clippy::format_collect, clippy::cast_precision_loss, clippy::print_stdout, reason = "the model writes XML, the Gantt is shown")]

mod model;
mod moto;
mod server;
mod spec;
mod wire;

mod balancer;
mod end_to_end;
mod gantt;
mod golden;
mod kills;
mod lock;
mod others;
mod random;
mod refusals;

use kubewright::infra::{
    Change,
    aws::{Aws, api::Patience},
};
use model::Model;
use std::{sync::Arc, time::Duration};
use wire::Wire;

/// A provider over the model. Its waits are milliseconds, because the model's time is requests.
fn on_model() -> (Arc<Model>, Wire, Aws) {
    let model = Arc::new(Model::new());
    let wire = Wire::new(model.clone());
    let aws = Aws::with_config(&wire.config("http://ec2.test"), impatient());
    (model, wire, aws)
}

fn impatient() -> Patience {
    Patience {
        first: Duration::from_micros(200),
        most: Duration::from_millis(2),
        call: Duration::from_millis(1500),
        poll: Duration::from_micros(500),
        wait: Duration::from_secs(10),
        settle: Duration::from_millis(2),
    }
}

fn lines(changes: &[Change]) -> Vec<String> {
    changes.iter().map(|c| format!("{:?} {} {}: {}", c.action, c.kind, c.name, c.details.join("; "))).collect()
}
