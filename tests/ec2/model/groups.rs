//! Security groups, their rules, and network interfaces.

use super::{Account, Refusal, Res, list, refuse, specified};
use crate::wire::Form;
use std::collections::BTreeMap;

/// A resource of these kinds as EC2 writes it.
pub fn render(_: &Account, id: &str, r: &Res) -> Option<String> {
    let tag = |name: &str, field: &str| r.tag(name, field);
    Some(match r.kind {
        "group" => format!("<groupId>{id}</groupId>{}{}<ownerId>123456789012</ownerId>", tag("groupName", "name"), tag("vpcId", "vpc")),
        "rule" => {
            let source = r.get("source");
            let source = if source.starts_with("sg-") {
                format!("<referencedGroupInfo><groupId>{source}</groupId></referencedGroupInfo>")
            } else {
                format!("<cidrIpv4>{source}</cidrIpv4>")
            };
            format!(
                "<securityGroupRuleId>{id}</securityGroupRuleId>{}<isEgress>{}</isEgress>{}{}{}{source}{}",
                tag("groupId", "group"),
                r.get("egress") == "true",
                tag("ipProtocol", "protocol"),
                tag("fromPort", "from"),
                tag("toPort", "to"),
                tag("description", "description")
            )
        }
        "interface" => format!(
            "<networkInterfaceId>{id}</networkInterfaceId>{}<ownerId>amazon-elb</ownerId>{}",
            tag("description", "description"),
            tag("vpcId", "vpc")
        ),
        _ => return None,
    })
}

/// Does it; `None`: not an action of this file.
pub fn act(account: &mut Account, action: &str, form: &Form) -> Result<Option<String>, Refusal> {
    let p = |name: &str| form.get(name).map_or("", String::as_str);
    Ok(Some(match action {
        "DescribeSecurityGroups" => account.set("securityGroupInfo", &account.describe("group", form, "GroupId")?),
        "DescribeSecurityGroupRules" => account.set("securityGroupRuleSet", &account.describe("rule", form, "SecurityGroupRuleId")?),
        "CreateSecurityGroup" => {
            let (name, vpc) = (p("GroupName"), p("VpcId"));
            account.find("vpc", vpc)?;
            if account.of("group").any(|(_, g)| g.get("name") == name && g.get("vpc") == vpc) {
                return refuse("InvalidGroup.Duplicate", "the name is taken");
            }
            let id = account.make("group", "sg", specified(form, "security-group"), &[("name", name), ("vpc", vpc)]);
            let fields =
                [("group", id.as_str()), ("egress", "true"), ("protocol", "-1"), ("from", "-1"), ("to", "-1"), ("source", "0.0.0.0/0")];
            account.make("rule", "sgr", BTreeMap::new(), &fields);
            format!("<groupId>{id}</groupId>")
        }
        "AuthorizeSecurityGroupIngress" | "AuthorizeSecurityGroupEgress" => {
            account.find("group", p("GroupId"))?;
            let source =
                form.get("IpPermissions.1.IpRanges.1.CidrIp").or(form.get("IpPermissions.1.Groups.1.GroupId")).cloned().unwrap_or_default();
            if source.starts_with("sg-") {
                account.find("group", &source)?;
            }
            let egress = (action == "AuthorizeSecurityGroupEgress").to_string();
            let description = form
                .get("IpPermissions.1.IpRanges.1.Description")
                .or(form.get("IpPermissions.1.Groups.1.Description"))
                .cloned()
                .unwrap_or_default();
            if !description.chars().all(|c| c.is_ascii_alphanumeric() || " ._-:/()#,@[]+=&;{}!$*".contains(c)) {
                return refuse("InvalidParameterValue", format!("invalid description '{description}'"));
            }
            let fields = [
                ("group", p("GroupId")),
                ("egress", &egress),
                ("protocol", p("IpPermissions.1.IpProtocol")),
                ("from", p("IpPermissions.1.FromPort")),
                ("to", p("IpPermissions.1.ToPort")),
                ("source", &source),
                ("description", &description),
            ];
            if account.of("rule").any(|(_, r)| fields[..6].iter().all(|(k, v)| r.get(k) == *v)) {
                return refuse("InvalidPermission.Duplicate", "the rule exists");
            }
            let id = account.make("rule", "sgr", specified(form, "security-group-rule"), &fields);
            format!(
                "<return>true</return><securityGroupRuleSet><item><securityGroupRuleId>{id}</securityGroupRuleId></item></securityGroupRuleSet>"
            )
        }
        "ModifySecurityGroupRules" => {
            let r = |name: &str| p(&format!("SecurityGroupRule.1.SecurityGroupRule.{name}")).to_owned();
            let source = if r("CidrIpv4").is_empty() { r("ReferencedGroupId") } else { r("CidrIpv4") };
            let new = [
                ("protocol", r("IpProtocol")),
                ("from", r("FromPort")),
                ("to", r("ToPort")),
                ("source", source),
                ("description", r("Description")),
            ];
            let rule = account.find_mut("rule", p("SecurityGroupRule.1.SecurityGroupRuleId"))?;
            rule.f.extend(new);
            "<return>true</return>".to_owned()
        }
        "RevokeSecurityGroupIngress" | "RevokeSecurityGroupEgress" => {
            for id in list(form, "SecurityGroupRuleId") {
                account.find("rule", id)?;
            }
            for id in list(form, "SecurityGroupRuleId") {
                account.all.remove(id);
            }
            "<return>true</return>".to_owned()
        }
        "DeleteSecurityGroup" => {
            let id = p("GroupId");
            account.find("group", id)?;
            let used = account.of("instance").chain(account.of("interface")).any(|(_, i)| i.get("group") == id)
                || account.of("rule").any(|(_, r)| r.get("source") == id && r.get("group") != id);
            if used {
                return refuse("DependencyViolation", "the group has a dependent object");
            }
            account.all.retain(|own, r| own != id && !(r.kind == "rule" && r.get("group") == id));
            String::new()
        }
        "DescribeNetworkInterfaces" => account.set("networkInterfaceSet", &account.describe("interface", form, "NetworkInterfaceId")?),
        _ => return Ok(None),
    }))
}
