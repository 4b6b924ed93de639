//! Route tables and their subnets.

use super::{Account, Refusal, Res, refuse, specified};
use crate::wire::Form;
use std::collections::BTreeMap;

/// A resource of these kinds as EC2 writes it.
pub fn render(account: &Account, id: &str, r: &Res) -> Option<String> {
    let tag = |name: &str, field: &str| r.tag(name, field);
    Some(match r.kind {
        "table" => {
            let route = r.f.get("route").map_or_else(String::new, |to| {
                let name = if to.starts_with("nat-") { "natGatewayId" } else { "gatewayId" };
                let there = account.all.get(to).is_some_and(Res::alive);
                let state = if there { "active" } else { "blackhole" };
                format!("<item><destinationCidrBlock>0.0.0.0/0</destinationCidrBlock><{name}>{to}</{name}><state>{state}</state></item>")
            });
            let associations: String = account
                .of("association")
                .filter(|(_, a)| a.get("table") == id)
                .map(|(aid, a)| {
                    format!("<item><routeTableAssociationId>{aid}</routeTableAssociationId><subnetId>{}</subnetId></item>", a.get("subnet"))
                })
                .collect();
            format!(
                "<routeTableId>{id}</routeTableId>{}<routeSet>{route}</routeSet><associationSet>{associations}</associationSet>",
                tag("vpcId", "vpc")
            )
        }
        _ => return None,
    })
}

/// Does it; `None`: not an action of this file.
pub fn act(account: &mut Account, action: &str, form: &Form) -> Result<Option<String>, Refusal> {
    let p = |name: &str| form.get(name).map_or("", String::as_str);
    Ok(Some(match action {
        "DescribeRouteTables" => account.set("routeTableSet", &account.describe("table", form, "RouteTableId")?),
        "CreateRouteTable" => {
            account.find("vpc", p("VpcId"))?;
            let id = match account.by_token(action, form)? {
                Some(id) => id,
                None => account.make("table", "rtb", specified(form, "route-table"), &[("vpc", p("VpcId"))]),
            };
            account.remember(action, form, &id);
            format!("<routeTable><routeTableId>{id}</routeTableId></routeTable>")
        }
        "CreateRoute" | "ReplaceRoute" => {
            let target = form.get("GatewayId").or(form.get("NatGatewayId")).cloned().unwrap_or_default();
            if target.starts_with("nat-") && account.find("nat", &target)?.get("state") != "available" {
                return refuse("InvalidNatGatewayID.NotFound", "the gateway is not available");
            }
            if target.starts_with("igw-") {
                account.find("igw", &target)?;
            }
            let table = account.find_mut("table", p("RouteTableId"))?;
            match (action, table.f.contains_key("route")) {
                ("CreateRoute", true) => return refuse("RouteAlreadyExists", "the route exists"),
                ("ReplaceRoute", false) => return refuse("InvalidParameterValue", "there is no such route"),
                _ => table.f.insert("route", target),
            };
            "<return>true</return>".to_owned()
        }
        "AssociateRouteTable" => {
            account.find("table", p("RouteTableId"))?;
            account.find("subnet", p("SubnetId"))?;
            if let Some((id, a)) = account.of("association").find(|(_, a)| a.get("subnet") == p("SubnetId")) {
                if a.get("table") == p("RouteTableId") {
                    return Ok(Some(format!("<associationId>{id}</associationId>")));
                }
                return refuse("Resource.AlreadyAssociated", "the subnet has another table");
            }
            let tags = BTreeMap::from([("kubewright.dev/cluster".to_owned(), String::new())]);
            let id = account.make("association", "rtbassoc", tags, &[("table", p("RouteTableId")), ("subnet", p("SubnetId"))]);
            format!("<associationId>{id}</associationId>")
        }
        "ReplaceRouteTableAssociation" => {
            account.find("table", p("RouteTableId"))?;
            let Some(mut moved) = account.all.remove(p("AssociationId")) else {
                return refuse("InvalidAssociationID.NotFound", "no such association");
            };
            moved.f.insert("table", p("RouteTableId").into());
            account.ids += 1;
            let id = format!("rtbassoc-{:08x}", account.ids);
            account.all.insert(id.clone(), moved);
            format!("<newAssociationId>{id}</newAssociationId>")
        }
        "DisassociateRouteTable" => {
            if account.all.remove(p("AssociationId")).is_none() {
                return refuse("InvalidAssociationID.NotFound", "no such association");
            }
            String::new()
        }
        "DeleteRouteTable" => {
            let id = p("RouteTableId");
            account.find("table", id)?;
            if account.of("association").any(|(_, a)| a.get("table") == id) {
                return refuse("DependencyViolation", "it has subnets");
            }
            account.all.remove(id);
            String::new()
        }
        _ => return Ok(None),
    }))
}
