//! Shows what happens and what was found: the only place that writes to a terminal, a pipe or a log.
//!
//! [`Display::start`] consumes the event stream in one of four formats (live, plain, json, ansible) and keeps a log per
//! host beside it. Data goes to stdout, everything else to stderr. Whatever a host says is cleaned first ([`clean`]):
//! control characters and direction overrides never reach a terminal.

mod ansible;
mod clean;
mod critical_path;
mod display;
pub mod health;
mod json;
mod live;
mod log;
mod plain;
mod print;
mod summary;
#[cfg(test)]
mod tests;
mod words;

pub use clean::{clean, clean_line};
pub use display::{Display, Format, Options};
pub use print::{err, out, out_bytes, problems};
pub use summary::Summary;
pub use words::{duration, unified_diff};
