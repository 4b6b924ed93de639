//! VPCs and subnets.

use super::{Account, Refusal, Res, refuse, specified};
use crate::wire::Form;

/// A resource of these kinds as EC2 writes it.
pub fn render(_: &Account, id: &str, r: &Res) -> Option<String> {
    let tag = |name: &str, field: &str| r.tag(name, field);
    Some(match r.kind {
        "vpc" => format!("<vpcId>{id}</vpcId>{}", tag("cidrBlock", "cidr")),
        "subnet" => format!(
            "<subnetId>{id}</subnetId>{}{}{}<mapPublicIpOnLaunch>{}</mapPublicIpOnLaunch>",
            tag("vpcId", "vpc"),
            tag("cidrBlock", "cidr"),
            tag("availabilityZone", "zone"),
            !r.get("public").is_empty()
        ),
        _ => return None,
    })
}

/// Does it; `None`: not an action of this file.
pub fn act(account: &mut Account, action: &str, form: &Form) -> Result<Option<String>, Refusal> {
    let p = |name: &str| form.get(name).map_or("", String::as_str);
    Ok(Some(match action {
        "DescribeVpcs" => account.set("vpcSet", &account.describe("vpc", form, "VpcId")?),
        "DescribeSubnets" => account.set("subnetSet", &account.describe("subnet", form, "SubnetId")?),
        "CreateVpc" => {
            let id = account.make("vpc", "vpc", specified(form, "vpc"), &[("cidr", p("CidrBlock"))]);
            format!("<vpc><vpcId>{id}</vpcId></vpc>")
        }
        "ModifyVpcAttribute" => {
            let vpc = account.find_mut("vpc", p("VpcId"))?;
            if form.contains_key("EnableDnsHostnames.Value") {
                vpc.f.insert("hostnames", "true".into());
            }
            String::new()
        }
        "DescribeVpcAttribute" => {
            let vpc = account.find("vpc", p("VpcId"))?;
            let (name, value) = match p("Attribute") {
                "enableDnsSupport" => ("enableDnsSupport", true),
                _ => ("enableDnsHostnames", !vpc.get("hostnames").is_empty()),
            };
            format!("<vpcId>{}</vpcId><{name}><value>{value}</value></{name}>", p("VpcId"))
        }
        "DeleteVpc" => {
            let id = p("VpcId");
            account.find("vpc", id)?;
            let inside =
                account.all.values().find(|r| r.alive() && r.get("vpc") == id && matches!(r.kind, "subnet" | "igw" | "table" | "group"));
            if let Some(r) = inside {
                return refuse("DependencyViolation", format!("the vpc has a {}", r.kind));
            }
            account.all.remove(id);
            String::new()
        }
        "CreateSubnet" => {
            let vpc = p("VpcId");
            account.find("vpc", vpc)?;
            if account.of("subnet").any(|(_, s)| s.get("vpc") == vpc && s.get("cidr") == p("CidrBlock")) {
                return refuse("InvalidSubnet.Conflict", "the CIDR conflicts with another subnet");
            }
            let fields = [("vpc", vpc), ("cidr", p("CidrBlock")), ("zone", p("AvailabilityZone"))];
            let id = account.make("subnet", "subnet", specified(form, "subnet"), &fields);
            format!("<subnet><subnetId>{id}</subnetId></subnet>")
        }
        "ModifySubnetAttribute" => {
            account.find_mut("subnet", p("SubnetId"))?.f.insert("public", "true".into());
            String::new()
        }
        "DeleteSubnet" => {
            let id = p("SubnetId");
            account.find("subnet", id)?;
            if account.all.values().any(|r| r.alive() && matches!(r.kind, "instance" | "nat" | "interface") && r.get("subnet") == id) {
                return refuse("DependencyViolation", "the subnet has dependencies");
            }
            account.all.retain(|own, r| own != id && !(r.kind == "association" && r.get("subnet") == id));
            String::new()
        }
        _ => return Ok(None),
    }))
}
