//! What a cluster costs, as data.

use serde::Serialize;

/// One line of the table.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CostLine {
    /// What: `t3.small`, `NAT gateway`.
    pub what: String,
    /// How many (instances, GiB, addresses).
    pub count: u64,
    /// US dollars per piece and month; `None`: not in our table.
    pub monthly_each: Option<f64>,
    /// What the number leaves out.
    pub note: Option<String>,
}

/// The table of a cluster.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Cost {
    /// Region whose prices these are.
    pub region: String,
    /// Day of the prices.
    pub prices_of: &'static str,
    /// Lines.
    pub lines: Vec<CostLine>,
    /// US dollars per month of all lines that have a price.
    pub monthly: f64,
    /// Whether a line has no price: then `monthly` is too low.
    pub incomplete: bool,
}
