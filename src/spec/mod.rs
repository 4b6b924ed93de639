//! What is wanted: `cluster.yaml` as typed, then defaults, then validation. A [`ClusterSpec`] that exists is valid.
//!
//! ```text
//! cluster.yaml ─ source (extends, deep merge) ─▶ one Node tree ─ read (types, defaults) ─▶ addresses ─ check ─▶ ClusterSpec
//! ```
//!
//! Every problem of every file is reported at once, each with its place: nothing is touched while one stands.

mod addresses;
mod check;
mod load;
mod nodes;
mod place;
mod read;
mod recipient;
mod scalars;
mod shapes;
mod source;
#[cfg(test)]
mod tests;
mod types;
mod versions;

pub use load::{FILE_NAMES, load, load_str, load_with};
pub use nodes::NodeSpec;
pub use recipient::recipient;
pub use shapes::{instance_shape, instance_types};
pub use types::*;
pub use versions::{DEFAULT_VERSION, MATRIX_DATE, Release, image_versions, release, releases};
