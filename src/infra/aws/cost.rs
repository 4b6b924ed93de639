//! What a cluster costs: on-demand prices as a dated table for the types that the examples use.

use super::wanted::Wanted;
use crate::infra::{Cost, CostLine};

/// The day of the prices below. They are public on-demand prices, without tax, in US dollars.
pub const PRICES_OF: &str = "2026-11-01";
/// Hours of a month, as AWS's own calculator counts.
const HOURS: f64 = 730.0;

/// Per hour: type, eu-central-1, us-east-1 (<https://aws.amazon.com/ec2/pricing/on-demand/>).
const INSTANCES: &[(&str, f64, f64)] = &[
    ("t3.small", 0.0240, 0.0208),
    ("t3.medium", 0.0480, 0.0416),
    ("t3.large", 0.0960, 0.0832),
    ("t3.xlarge", 0.1920, 0.1664),
    ("t4g.small", 0.0192, 0.0168),
    ("t4g.medium", 0.0384, 0.0336),
    ("m6i.large", 0.1150, 0.0960),
    ("m6i.xlarge", 0.2300, 0.1920),
    ("m7i.large", 0.1210, 0.1008),
    ("m7i.xlarge", 0.2419, 0.2016),
];

struct Region {
    nat_hour: f64,
    nat_gb: f64,
    gp3_gib_month: f64,
    ipv4_hour: f64,
    nlb_hour: f64,
    nlb_unit_hour: f64,
}

/// Per region (<https://aws.amazon.com/vpc/pricing/>, <https://aws.amazon.com/ebs/pricing/>,
/// <https://aws.amazon.com/elasticloadbalancing/pricing/>).
fn region(name: &str) -> Option<(Region, usize)> {
    match name {
        "eu-central-1" => Some((
            Region { nat_hour: 0.052, nat_gb: 0.052, gp3_gib_month: 0.0952, ipv4_hour: 0.005, nlb_hour: 0.027, nlb_unit_hour: 0.006 },
            0,
        )),
        "us-east-1" => Some((
            Region { nat_hour: 0.045, nat_gb: 0.045, gp3_gib_month: 0.08, ipv4_hour: 0.005, nlb_hour: 0.0225, nlb_unit_hour: 0.006 },
            1,
        )),
        _ => None,
    }
}

/// A volume's cost in a month; `None`: the region or the type is not in the table.
pub fn volume(region_name: &str, kind: &str, gib: i32) -> Option<f64> {
    (kind == "gp3").then(|| region(region_name)).flatten().map(|(prices, _)| prices.gp3_gib_month * f64::from(gib))
}

/// The cost of what is wanted.
pub fn cost(wanted: &Wanted, region_name: &str) -> Cost {
    let prices = region(region_name);
    let mut lines: Vec<CostLine> = Vec::new();
    for machine in &wanted.machines {
        let what = if machine.spot { format!("{} (spot)", machine.instance_type) } else { machine.instance_type.clone() };
        if let Some(line) = lines.iter_mut().find(|l| l.what == what) {
            line.count += 1;
            continue;
        }
        let hour = prices.as_ref().and_then(|(_, column)| {
            let row = INSTANCES.iter().find(|r| r.0 == machine.instance_type)?;
            Some(if *column == 0 { row.1 } else { row.2 })
        });
        let note = machine.spot.then(|| "on-demand price; spot is usually 50-70 % less".to_owned());
        lines.push(CostLine { what, count: 1, monthly_each: hour.map(|h| h * HOURS), note });
    }
    let gib = wanted.machines.iter().map(|m| u64::from(m.volume_gib)).sum();
    let price = |f: fn(&Region) -> f64| prices.as_ref().map(|(r, _)| f(r));
    lines.push(CostLine { what: "gp3 GiB".into(), count: gib, monthly_each: price(|r| r.gp3_gib_month), note: None });
    let per_gb = prices.as_ref().map(|(r, _)| format!("and {:.3} USD per GB through it", r.nat_gb));
    let nats = wanted.nats.len() as u64;
    if nats > 0 {
        lines.push(CostLine { what: "NAT gateway".into(), count: nats, monthly_each: price(|r| r.nat_hour * HOURS), note: per_gb });
    }
    let addresses = wanted.addresses.len() as u64;
    lines.push(CostLine { what: "public IPv4 address".into(), count: addresses, monthly_each: price(|r| r.ipv4_hour * HOURS), note: None });
    if wanted.balancer.is_some() {
        let note = prices.as_ref().map(|(r, _)| format!("and {:.3} USD per capacity unit and hour", r.nlb_unit_hour));
        let each = price(|r| r.nlb_hour * HOURS);
        lines.push(CostLine { what: "network load balancer".into(), count: 1, monthly_each: each, note });
    }
    #[expect(clippy::cast_precision_loss, reason = "counts of a cluster are far below 2^52")]
    let monthly = lines.iter().filter_map(|l| Some(l.monthly_each? * l.count as f64)).sum();
    let incomplete = lines.iter().any(|l| l.monthly_each.is_none());
    Cost { region: region_name.to_owned(), prices_of: PRICES_OF, lines, monthly, incomplete }
}
