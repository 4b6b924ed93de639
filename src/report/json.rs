//! One event a line, for machines. JSON escapes whatever hosts say; durations are seconds.

use super::{
    display::{Renderer, Text},
    summary::Summary,
};
use crate::event::Event;
use serde_json::Value;

/// See the module.
pub(super) struct Json;

impl Renderer for Json {
    fn event(&mut self, event: &Event) -> Text {
        let mut value = serde_json::to_value(event).unwrap_or_default();
        if let Some(elapsed) = value.get_mut("elapsed") {
            let part = |name: &str| elapsed[name].as_f64().unwrap_or_default();
            *elapsed = Value::from(part("secs") + part("nanos") / 1e9);
        }
        Text::out(value.to_string() + "\n")
    }
    fn end(&mut self, _: &Summary) -> Text {
        Text::default()
    }
}
