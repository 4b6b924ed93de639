//! Internet gateways, Elastic IPs and NAT gateways.

use super::{Account, Refusal, Res, refuse, specified};
use crate::wire::Form;

/// A resource of these kinds as EC2 writes it.
pub fn render(_: &Account, id: &str, r: &Res) -> Option<String> {
    let tag = |name: &str, field: &str| r.tag(name, field);
    Some(match r.kind {
        "igw" => {
            let attached = tag("vpcId", "vpc");
            let item = if attached.is_empty() { attached } else { format!("<item>{attached}<state>available</state></item>") };
            format!("<internetGatewayId>{id}</internetGatewayId><attachmentSet>{item}</attachmentSet>")
        }
        "address" => format!(
            "<allocationId>{id}</allocationId>{}{}{}",
            tag("publicIp", "ip"),
            tag("associationId", "association"),
            tag("instanceId", "instance")
        ),
        "nat" => {
            format!("<natGatewayId>{id}</natGatewayId>{}{}{}", tag("vpcId", "vpc"), tag("subnetId", "subnet"), tag("state", "state"))
        }
        _ => return None,
    })
}

/// Does it; `None`: not an action of this file.
pub fn act(account: &mut Account, action: &str, form: &Form) -> Result<Option<String>, Refusal> {
    let p = |name: &str| form.get(name).map_or("", String::as_str);
    let now = account.now;
    Ok(Some(match action {
        "DescribeInternetGateways" => account.set("internetGatewaySet", &account.describe("igw", form, "InternetGatewayId")?),
        "CreateInternetGateway" => {
            let id = account.make("igw", "igw", specified(form, "internet-gateway"), &[]);
            format!("<internetGateway><internetGatewayId>{id}</internetGatewayId></internetGateway>")
        }
        "AttachInternetGateway" => {
            let (id, vpc) = (p("InternetGatewayId"), p("VpcId"));
            account.find("vpc", vpc)?;
            if account.has_gateway(vpc) || !account.find("igw", id)?.get("vpc").is_empty() {
                return refuse("Resource.AlreadyAssociated", "already attached");
            }
            account.find_mut("igw", id)?.f.insert("vpc", vpc.into());
            String::new()
        }
        "DetachInternetGateway" => {
            let (id, vpc) = (p("InternetGatewayId"), p("VpcId"));
            if account.find("igw", id)?.get("vpc") != vpc {
                return refuse("Gateway.NotAttached", "not attached");
            }
            let mapped =
                account.of("address").any(|(_, a)| account.all.get(a.get("holder")).is_some_and(|h| h.alive() && h.get("vpc") == vpc));
            if mapped {
                return refuse("DependencyViolation", "the network has some mapped public addresses");
            }
            account.find_mut("igw", id)?.f.remove("vpc");
            String::new()
        }
        "DeleteInternetGateway" => {
            if !account.find("igw", p("InternetGatewayId"))?.get("vpc").is_empty() {
                return refuse("DependencyViolation", "it is attached");
            }
            account.all.remove(p("InternetGatewayId"));
            String::new()
        }
        "DescribeAddresses" => account.set("addressesSet", &account.describe("address", form, "AllocationId")?),
        "AllocateAddress" => {
            let ip = format!("198.51.100.{}", account.ids % 250 + 1);
            let id = account.make("address", "eipalloc", specified(form, "elastic-ip"), &[("ip", &ip)]);
            format!("<allocationId>{id}</allocationId><publicIp>{ip}</publicIp>")
        }
        "AssociateAddress" => {
            let instance = account.find("instance", p("InstanceId"))?;
            if instance.get("state") != "running" {
                return refuse("InvalidInstanceID", "the pending instance is not in a valid state for this operation");
            }
            if !account.has_gateway(instance.get("vpc")) {
                return refuse("Gateway.NotAttached", "the network is not attached to any internet gateway");
            }
            let address = account.find_mut("address", p("AllocationId"))?;
            address.f.insert("instance", p("InstanceId").into());
            address.f.insert("holder", p("InstanceId").into());
            address.f.insert("association", format!("eipassoc-{}", p("AllocationId")));
            "<return>true</return>".to_owned()
        }
        "DisassociateAddress" => {
            let found = account.all.values_mut().find(|a| a.kind == "address" && a.get("association") == p("AssociationId"));
            let Some(address) = found else { return refuse("InvalidAssociationID.NotFound", "no such association") };
            for field in ["association", "instance", "holder"] {
                address.f.remove(field);
            }
            String::new()
        }
        "ReleaseAddress" => {
            if !account.find("address", p("AllocationId"))?.get("holder").is_empty() {
                return refuse("InvalidIPAddress.InUse", "the address is in use");
            }
            account.all.remove(p("AllocationId"));
            String::new()
        }
        "DescribeNatGateways" => account.set("natGatewaySet", &account.describe("nat", form, "NatGatewayId")?),
        "CreateNatGateway" => {
            if let Some(id) = account.by_token(action, form)? {
                let state = account.all[&id].get("state").to_owned();
                return Ok(Some(format!("<natGateway><natGatewayId>{id}</natGatewayId><state>{state}</state></natGateway>")));
            }
            let vpc = account.find("subnet", p("SubnetId"))?.get("vpc").to_owned();
            if !account.find("address", p("AllocationId"))?.get("holder").is_empty() {
                return refuse("Resource.AlreadyAssociated", "the address is already associated");
            }
            if !account.has_gateway(&vpc) {
                account.offences.push("a NAT gateway was made in a VPC without an internet gateway".to_owned());
            }
            let fields = [("vpc", vpc.as_str()), ("subnet", p("SubnetId")), ("state", "pending")];
            let id = account.make("nat", "nat", specified(form, "natgateway"), &fields);
            let slow = account.slow;
            account.all.entry(id.clone()).and_modify(|r| r.then = Some((now + 3 * slow, "available")));
            account.all.entry(p("AllocationId").to_owned()).and_modify(|a| {
                a.f.insert("holder", id.clone());
                a.f.insert("association", format!("eipassoc-{}", p("AllocationId")));
            });
            account.remember(action, form, &id);
            format!("<natGateway><natGatewayId>{id}</natGatewayId><state>pending</state></natGateway>")
        }
        "DeleteNatGateway" => {
            let slow = account.slow;
            let nat = account.find_mut("nat", p("NatGatewayId"))?;
            if nat.get("state") != "deleting" {
                nat.f.insert("state", "deleting".into());
                nat.then = Some((now + slow, "deleted"));
            }
            String::new()
        }
        _ => return Ok(None),
    }))
}
