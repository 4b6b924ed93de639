//! Load balancers, target groups, listeners and targets: Elastic Load Balancing, whose creates are repeatable by name.

use super::{Account, Refusal, Res, list, refuse, tags_of};
use crate::wire::Form;
use std::{collections::BTreeSet, net::Ipv4Addr};

const ARN: &str = "arn:aws:elasticloadbalancing:eu-central-1:123456789012";

/// A resource of these kinds as the service writes it, without tags.
pub fn show(account: &Account, id: &str, r: &Res) -> String {
    let tag = |name: &str, field: &str| r.tag(name, field);
    match r.kind {
        "balancer" => {
            let zones: String = account
                .of("interface")
                .filter(|(_, i)| i.get("balancer") == id)
                .map(|(_, i)| {
                    let address =
                        format!("<LoadBalancerAddresses><member>{}</member></LoadBalancerAddresses>", i.tag("PrivateIPv4Address", "ip"));
                    format!("<member>{}{}{address}</member>", i.tag("SubnetId", "subnet"), i.tag("ZoneName", "zone"))
                })
                .collect();
            format!(
                "<member><LoadBalancerArn>{id}</LoadBalancerArn>{}{}{}<State>{}</State><AvailabilityZones>{zones}</AvailabilityZones>\
                 <SecurityGroups>{}</SecurityGroups><Type>network</Type></member>",
                tag("LoadBalancerName", "name"),
                tag("VpcId", "vpc"),
                tag("Scheme", "scheme"),
                tag("Code", "state"),
                tag("member", "group"),
            )
        }
        "targets" => format!(
            "<member><TargetGroupArn>{id}</TargetGroupArn>{}{}{}{}{}{}{}<Matcher>{}</Matcher><TargetType>ip</TargetType></member>",
            tag("TargetGroupName", "name"),
            tag("VpcId", "vpc"),
            tag("HealthCheckProtocol", "protocol"),
            tag("HealthCheckPath", "path"),
            tag("HealthCheckIntervalSeconds", "interval"),
            tag("HealthyThresholdCount", "healthy"),
            tag("UnhealthyThresholdCount", "unhealthy"),
            tag("HttpCode", "codes"),
        ),
        "listener" => format!(
            "<member><ListenerArn>{id}</ListenerArn>{}{}<DefaultActions><member><Type>forward</Type>{}</member></DefaultActions></member>",
            tag("Port", "port"),
            tag("Protocol", "protocol"),
            tag("TargetGroupArn", "targets"),
        ),
        _ => format!(
            "<member><Target>{}<Port>6443</Port></Target><TargetHealth>{}</TargetHealth></member>",
            tag("Id", "address"),
            tag("State", "state")
        ),
    }
}

/// Whether an action is of this service.
pub fn is_mine(form: &Form) -> bool {
    form.get("Version").is_some_and(|v| v == "2015-12-01")
}

/// Does it; `None`: not an action of this file.
pub fn act(account: &mut Account, action: &str, form: &Form) -> Result<Option<String>, Refusal> {
    if !is_mine(form) {
        return Ok(None);
    }
    let p = |name: &str| form.get(name).map_or("", String::as_str);
    let visible = |account: &Account, kind: &'static str, fits: &dyn Fn(&Res) -> bool| -> String {
        account.of(kind).filter(|(_, r)| r.visible <= account.now && fits(r)).map(|(id, r)| show(account, id, r)).collect()
    };
    let attribute = |key: &str, value: &str| format!("<Attributes><member><Key>{key}</Key><Value>{value}</Value></member></Attributes>");
    Ok(Some(match action {
        "DescribeLoadBalancers" | "DescribeTargetGroups" => {
            let (kind, set, code) = match action {
                "DescribeLoadBalancers" => ("balancer", "LoadBalancers", "LoadBalancerNotFound"),
                _ => ("targets", "TargetGroups", "TargetGroupNotFound"),
            };
            let names = list(form, "Names.member");
            let found = visible(account, kind, &|r| names.is_empty() || names.iter().any(|n| *n == r.get("name")));
            if found.is_empty() && !names.is_empty() {
                return refuse(code, "one or more not found");
            }
            format!("<{set}>{found}</{set}>")
        }
        "DescribeListeners" => {
            let id = p("LoadBalancerArn");
            account.find("balancer", id)?;
            format!("<Listeners>{}</Listeners>", visible(account, "listener", &|r| r.get("balancer") == id))
        }
        "DescribeTargetHealth" => {
            let id = p("TargetGroupArn");
            account.find("targets", id)?;
            format!("<TargetHealthDescriptions>{}</TargetHealthDescriptions>", visible(account, "target", &|r| r.get("targets") == id))
        }
        "DescribeLoadBalancerAttributes" => {
            let cross = account.find("balancer", p("LoadBalancerArn"))?.get("cross") == "true";
            attribute("load_balancing.cross_zone.enabled", &cross.to_string())
        }
        "DescribeTargetGroupAttributes" => {
            let keeps = account.find("targets", p("TargetGroupArn"))?.get("keeps") == "true";
            attribute("preserve_client_ip.enabled", &keeps.to_string())
        }
        "DescribeTags" => {
            let mut all = String::new();
            for id in list(form, "ResourceArns.member") {
                let kind = if id.contains(":loadbalancer/") { "balancer" } else { "targets" };
                let tags = &account.find(kind, id)?.tags;
                let tags: String = tags.iter().map(|(k, v)| format!("<member><Key>{k}</Key><Value>{v}</Value></member>")).collect();
                all.push_str(&format!("<member><ResourceArn>{id}</ResourceArn><Tags>{tags}</Tags></member>"));
            }
            format!("<TagDescriptions>{all}</TagDescriptions>")
        }
        "AddTags" => {
            let id = p("ResourceArns.member.1");
            let kind = if id.contains(":loadbalancer/") { "balancer" } else { "targets" };
            account.find_mut(kind, id)?.tags.extend(tags_of(form, "Tags.member"));
            String::new()
        }
        "CreateLoadBalancer" => format!("<LoadBalancers>{}</LoadBalancers>", load_balancer(account, form)?),
        "CreateTargetGroup" => format!("<TargetGroups>{}</TargetGroups>", target_group(account, form)?),
        "CreateListener" => {
            let (balancer, targets) = (p("LoadBalancerArn"), p("DefaultActions.member.1.TargetGroupArn"));
            account.find("balancer", balancer)?;
            account.find("targets", targets)?;
            let there = account.of("listener").find(|(_, l)| l.get("balancer") == balancer && l.get("port") == p("Port"));
            if let Some((id, l)) = there {
                if l.get("protocol") != p("Protocol") || l.get("targets") != targets {
                    return refuse("DuplicateListener", "a listener on this port exists");
                }
                return Ok(Some(format!("<Listeners>{}</Listeners>", show(account, id, l))));
            }
            let prefix = format!("{}/listener", balancer.replace(":loadbalancer/", ":listener/"));
            let fields = [("balancer", balancer), ("port", p("Port")), ("protocol", p("Protocol")), ("targets", targets)];
            let id = account.make("listener", &prefix, tags_of(form, "Tags.member"), &fields);
            format!("<Listeners>{}</Listeners>", show(account, &id, &account.all[&id]))
        }
        "ModifyListener" => {
            account.find("targets", p("DefaultActions.member.1.TargetGroupArn"))?;
            let listener = account.find_mut("listener", p("ListenerArn"))?;
            listener.f.insert("protocol", p("Protocol").into());
            listener.f.insert("targets", p("DefaultActions.member.1.TargetGroupArn").into());
            String::new()
        }
        "ModifyLoadBalancerAttributes" => {
            account.find_mut("balancer", p("LoadBalancerArn"))?.f.insert("cross", p("Attributes.member.1.Value").into());
            String::new()
        }
        "ModifyTargetGroupAttributes" => {
            account.find_mut("targets", p("TargetGroupArn"))?.f.insert("keeps", p("Attributes.member.1.Value").into());
            String::new()
        }
        "ModifyTargetGroup" => {
            let check = health_check(form);
            account.find_mut("targets", p("TargetGroupArn"))?.f.extend(check);
            String::new()
        }
        "SetSecurityGroups" => {
            account.find("group", p("SecurityGroups.member.1"))?;
            account.find_mut("balancer", p("LoadBalancerArn"))?.f.insert("group", p("SecurityGroups.member.1").into());
            String::new()
        }
        "RegisterTargets" => {
            let (targets, address) = (p("TargetGroupArn"), p("Targets.member.1.Id"));
            let vpc = account.find("targets", targets)?.get("vpc").to_owned();
            let inside = account.of("subnet").any(|(_, s)| s.get("vpc") == vpc && holds(s.get("cidr"), address));
            if !inside {
                return refuse("InvalidTarget", format!("{address} is not within the VPC"));
            }
            let there = account.of("target").find(|(_, t)| t.get("targets") == targets && t.get("address") == address);
            let id = match there.map(|(id, t)| (id.clone(), t.get("state") == "draining")) {
                Some((_, false)) => return Ok(Some(String::new())),
                Some((id, true)) => id,
                None => account.make("target", "target", tags_of(form, "-"), &[("targets", targets), ("address", address)]),
            };
            let (now, slow) = (account.now, account.slow);
            account.all.entry(id).and_modify(|t| {
                t.f.insert("state", "initial".into());
                t.then = Some((now + 2 * slow, "healthy"));
            });
            String::new()
        }
        "DeregisterTargets" => {
            let (targets, address) = (p("TargetGroupArn"), p("Targets.member.1.Id"));
            account.find("targets", targets)?;
            let (now, slow) = (account.now, account.slow);
            for t in account.all.values_mut().filter(|t| t.get("targets") == targets && t.get("address") == address) {
                t.f.insert("state", "draining".into());
                t.then = Some((now + slow, "deleted"));
            }
            String::new()
        }
        // Both succeed where there is none.
        "DeleteLoadBalancer" => {
            let id = p("LoadBalancerArn");
            account.all.remove(id);
            account.all.retain(|_, r| !(r.kind == "listener" && r.get("balancer") == id));
            // Its interfaces take their time.
            let (now, slow) = (account.now, account.slow);
            for i in account.all.values_mut().filter(|r| r.kind == "interface" && r.get("balancer") == id) {
                i.then = Some((now + slow, "deleted"));
            }
            String::new()
        }
        "DeleteTargetGroup" => {
            let id = p("TargetGroupArn");
            if account.of("listener").any(|(_, l)| l.get("targets") == id) {
                return refuse("ResourceInUse", "the target group is in use by a listener");
            }
            account.all.retain(|own, r| own != id && !(r.kind == "target" && r.get("targets") == id));
            String::new()
        }
        _ => return Ok(None),
    }))
}

fn holds(cidr: &str, address: &str) -> bool {
    let net: ipnet::Ipv4Net = cidr.parse().unwrap();
    address.parse::<Ipv4Addr>().is_ok_and(|a| net.contains(&a))
}

fn fits_the_name(name: &str) -> Result<(), Refusal> {
    let fits = name.len() <= 32
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        && !name.contains("--")
        && !name.starts_with('-')
        && !name.ends_with('-')
        && !name.starts_with("internal-");
    if fits { Ok(()) } else { refuse("ValidationError", format!("'{name}' is no name")) }
}

/// The one that has this name already: the same request finds it, another is refused.
fn by_name(account: &Account, kind: &'static str, code: &'static str, form: &Form) -> Result<Option<String>, Refusal> {
    let Some((id, _)) = account.of(kind).find(|(_, r)| r.get("name") == form["Name"]) else { return Ok(None) };
    match account.tokens.get(id) {
        Some((before, _)) if before == form => Ok(Some(id.clone())),
        _ => refuse(code, "the name is taken"),
    }
}

fn load_balancer(account: &mut Account, form: &Form) -> Result<String, Refusal> {
    let p = |name: &str| form.get(name).map_or("", String::as_str);
    fits_the_name(p("Name"))?;
    if let Some(id) = by_name(account, "balancer", "DuplicateLoadBalancerName", form)? {
        return Ok(show(account, &id, &account.all[&id]));
    }
    let group = p("SecurityGroups.member.1").to_owned();
    account.find("group", &group)?;
    let mut zones = BTreeSet::new();
    let mut places = Vec::new();
    for n in 1.. {
        let Some(subnet) = form.get(&format!("SubnetMappings.member.{n}.SubnetId")) else { break };
        let address = p(&format!("SubnetMappings.member.{n}.PrivateIPv4Address"));
        let s = account.find("subnet", subnet)?.clone();
        let taken = account.all.values().any(|r| r.alive() && r.get("ip") == address && r.get("vpc") == s.get("vpc"));
        if !holds(s.get("cidr"), address) || taken {
            return refuse("InvalidConfigurationRequest", format!("{address} is not free in {subnet}"));
        }
        if !zones.insert(s.get("zone").to_owned()) {
            return refuse("InvalidConfigurationRequest", "a load balancer cannot be attached to multiple subnets in the same zone");
        }
        places.push((subnet.clone(), s, address.to_owned()));
    }
    let Some((_, first, _)) = places.first() else { return refuse("ValidationError", "no subnets") };
    let (vpc, name) = (first.get("vpc").to_owned(), p("Name"));
    let fields = [("name", name), ("vpc", &vpc), ("scheme", p("Scheme")), ("group", &group), ("state", "provisioning")];
    let id = account.make("balancer", &format!("{ARN}:loadbalancer/net/{name}/x"), tags_of(form, "Tags.member"), &fields);
    let (now, slow) = (account.now, account.slow);
    account.all.entry(id.clone()).and_modify(|r| r.then = Some((now + 3 * slow, "active")));
    let description = format!("ELB {}", id.split_once(":loadbalancer/").unwrap().1);
    for (subnet, s, address) in places {
        let fields = [
            ("balancer", id.as_str()),
            ("vpc", &vpc),
            ("subnet", &subnet),
            ("zone", s.get("zone")),
            ("group", &group),
            ("ip", &address),
            ("description", &description),
        ];
        account.make("interface", "eni", tags_of(form, "-"), &fields);
    }
    account.tokens.insert(id.clone(), (form.clone(), id.clone()));
    Ok(show(account, &id, &account.all[&id]))
}

fn health_check(form: &Form) -> [(&'static str, String); 6] {
    let p = |name: &str| form.get(name).cloned().unwrap_or_default();
    [
        ("protocol", p("HealthCheckProtocol")),
        ("path", p("HealthCheckPath")),
        ("interval", p("HealthCheckIntervalSeconds")),
        ("healthy", p("HealthyThresholdCount")),
        ("unhealthy", p("UnhealthyThresholdCount")),
        ("codes", p("Matcher.HttpCode")),
    ]
}

fn target_group(account: &mut Account, form: &Form) -> Result<String, Refusal> {
    let p = |name: &str| form.get(name).map_or("", String::as_str);
    fits_the_name(p("Name"))?;
    if let Some(id) = by_name(account, "targets", "DuplicateTargetGroupName", form)? {
        return Ok(show(account, &id, &account.all[&id]));
    }
    if account.find("vpc", p("VpcId")).is_err() {
        return refuse("ValidationError", format!("The VPC ID '{}' is not found", p("VpcId")));
    }
    if p("TargetType") != "ip" || p("Protocol") != "TCP" {
        account.offences.push("client addresses are kept at first: a control plane cannot reach itself".to_owned());
    }
    let id = account.make(
        "targets",
        &format!("{ARN}:targetgroup/{}/x", p("Name")),
        tags_of(form, "Tags.member"),
        &[("name", p("Name")), ("vpc", p("VpcId"))],
    );
    account.all.entry(id.clone()).and_modify(|r| r.f.extend(health_check(form)));
    account.tokens.insert(id.clone(), (form.clone(), id.clone()));
    Ok(show(account, &id, &account.all[&id]))
}
