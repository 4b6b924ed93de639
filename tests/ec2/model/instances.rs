//! Instances, their types, images and volumes.

use super::{Account, Refusal, Res, list, refuse, specified};
use crate::wire::Form;

/// A resource of these kinds as EC2 writes it.
pub fn render(account: &Account, id: &str, r: &Res) -> Option<String> {
    let tag = |name: &str, field: &str| r.tag(name, field);
    Some(match r.kind {
        "instance" => {
            let address = account.of("address").find(|(_, a)| a.get("instance") == id).map(|(_, a)| a.get("ip"));
            format!(
                "<instanceId>{id}</instanceId>{}<instanceState><code>0</code>{}</instanceState>{}{}{}<placement>{}</placement>{}{}<launchTime>2026-11-21T10:00:{:02}Z</launchTime>{}\
                     <metadataOptions>{}{}</metadataOptions><groupSet><item>{}</item></groupSet>",
                tag("imageId", "image"),
                tag("name", "state"),
                tag("instanceType", "type"),
                tag("vpcId", "vpc"),
                tag("subnetId", "subnet"),
                tag("availabilityZone", "zone"),
                tag("privateIpAddress", "ip"),
                address.map_or_else(String::new, |a| format!("<ipAddress>{a}</ipAddress>")),
                r.visible % 60,
                if r.get("spot").is_empty() { "" } else { "<instanceLifecycle>spot</instanceLifecycle>" },
                tag("httpTokens", "tokens"),
                tag("httpPutResponseHopLimit", "hops"),
                tag("groupId", "group")
            )
        }
        "volume" => format!(
            "<volumeId>{id}</volumeId>{}<volumeType>gp3</volumeType><status>in-use</status><attachmentSet><item>{}</item></attachmentSet>",
            tag("size", "size"),
            tag("instanceId", "instance")
        ),
        _ => return None,
    })
}

/// Does it; `None`: not an action of this file.
pub fn act(account: &mut Account, action: &str, form: &Form) -> Result<Option<String>, Refusal> {
    let p = |name: &str| form.get(name).map_or("", String::as_str);
    let now = account.now;
    Ok(Some(match action {
        "DescribeInstances" => {
            let found = account.set("instancesSet", &account.describe("instance", form, "InstanceId")?);
            format!("<reservationSet><item>{found}</item></reservationSet>")
        }
        "DescribeInstanceTypeOfferings" => {
            let items: String = list(form, "Filter.1.Value")
                .into_iter()
                .filter(|t| t.starts_with("t3.") || t.starts_with("t4g."))
                .flat_map(|t| {
                    ["a", "b", "c"].map(|z| format!("<item><instanceType>{t}</instanceType><location>eu-central-1{z}</location></item>"))
                })
                .collect();
            format!("<instanceTypeOfferingSet>{items}</instanceTypeOfferingSet>")
        }
        "DescribeInstanceTypes" => {
            let items: String = list(form, "Filter.1.Value")
                    .into_iter()
                    .map(|t| {
                        let arch = if t.starts_with("t4g") { "arm64" } else { "x86_64" };
                        format!("<item><instanceType>{t}</instanceType><processorInfo><supportedArchitectures><item>{arch}</item></supportedArchitectures></processorInfo></item>")
                    })
                    .collect();
            format!("<instanceTypeSet>{items}</instanceTypeSet>")
        }
        "DescribeImages" => {
            let image = |id: &str, arch: &str| {
                format!(
                    "<item><imageId>{id}</imageId><name>noble-{arch}</name><architecture>{arch}</architecture><creationDate>2026-10-01</creationDate><rootDeviceName>/dev/sda1</rootDeviceName></item>"
                )
            };
            let all = [("ami-0new", "x86_64"), ("ami-0arm", "arm64")];
            let pinned = list(form, "ImageId");
            if pinned.iter().any(|id| all.iter().all(|(known, _)| id != known)) {
                return refuse("InvalidAMIID.NotFound", format!("the image id '{pinned:?}' does not exist"));
            }
            let chosen: String = all
                .iter()
                .filter(|(id, _)| pinned.is_empty() || pinned.iter().any(|p| p == id))
                .map(|(id, arch)| image(id, arch))
                .collect();
            format!("<imagesSet>{chosen}</imagesSet>")
        }
        "RunInstances" => {
            if let Some(id) = account.by_token(action, form)? {
                return Ok(Some(account.set("instancesSet", &[(&id, &account.all[&id])])));
            }
            let subnet = account.find("subnet", p("SubnetId"))?.clone();
            account.find("group", p("SecurityGroupId.1"))?;
            if !account.of("key").any(|(_, k)| k.get("name") == p("KeyName") && k.visible <= now) {
                return refuse("InvalidKeyPair.NotFound", "no such key pair");
            }
            if account.full_zones.contains(subnet.get("zone")) {
                return refuse("InsufficientInstanceCapacity", format!("no capacity in {}", subnet.get("zone")));
            }
            let used = |ip: &str| {
                account.of("instance").chain(account.of("interface")).any(|(_, i)| i.get("ip") == ip && i.get("vpc") == subnet.get("vpc"))
            };
            let ip = match p("PrivateIpAddress") {
                "" => (100..255).map(|host| subnet.get("cidr").replace("0/24", &host.to_string())).find(|ip| !used(ip)).expect("room"),
                ip if used(ip) => return refuse("InvalidIPAddress.InUse", format!("{ip} is in use")),
                ip => ip.to_owned(),
            };
            let fields = [
                ("vpc", subnet.get("vpc")),
                ("subnet", p("SubnetId")),
                ("zone", subnet.get("zone")),
                ("group", p("SecurityGroupId.1")),
                ("type", p("InstanceType")),
                ("image", p("ImageId")),
                ("ip", &ip),
                ("state", "pending"),
                ("tokens", p("MetadataOptions.HttpTokens")),
                ("hops", p("MetadataOptions.HttpPutResponseHopLimit")),
                ("spot", p("InstanceMarketOptions.MarketType")),
                ("protected", if p("DisableApiTermination") == "true" { "true" } else { "" }),
            ];
            let id = account.make("instance", "i", specified(form, "instance"), &fields);
            let slow = account.slow;
            account.all.entry(id.clone()).and_modify(|r| r.then = Some((now + slow, "running")));
            account.make(
                "volume",
                "vol",
                specified(form, "volume"),
                &[("instance", &id), ("size", p("BlockDeviceMapping.1.Ebs.VolumeSize"))],
            );
            account.remember(action, form, &id);
            account.set("instancesSet", &[(&id, &account.all[&id])])
        }
        "TerminateInstances" => {
            let ids: Vec<String> = list(form, "InstanceId").into_iter().cloned().collect();
            for id in &ids {
                if account.find("instance", id)?.get("protected") == "true" {
                    return refuse("OperationNotPermitted", "termination protection is on");
                }
            }
            for id in &ids {
                let slow = account.slow;
                let instance = account.find_mut("instance", id)?;
                if instance.get("state") != "shutting-down" {
                    instance.f.insert("state", "shutting-down".into());
                    instance.then = Some((now + slow, "terminated"));
                }
            }
            "<instancesSet/>".to_owned()
        }
        "ModifyInstanceAttribute" => {
            let value = p("DisableApiTermination.Value").to_owned();
            let instance = account.find_mut("instance", p("InstanceId"))?;
            if !value.is_empty() {
                instance.f.insert("protected", value);
            }
            if !p("GroupId.1").is_empty() {
                instance.f.insert("group", p("GroupId.1").into());
            }
            String::new()
        }
        "ModifyInstanceMetadataOptions" => {
            let instance = account.find_mut("instance", p("InstanceId"))?;
            instance.f.insert("tokens", p("HttpTokens").into());
            instance.f.insert("hops", p("HttpPutResponseHopLimit").into());
            String::new()
        }
        "DescribeVolumes" => account.set("volumeSet", &account.describe("volume", form, "VolumeId")?),
        "DeleteVolume" => {
            let volume = account.find("volume", p("VolumeId"))?;
            if !volume.get("instance").is_empty() {
                return refuse("VolumeInUse", "it is attached");
            }
            account.all.remove(p("VolumeId"));
            String::new()
        }
        _ => return Ok(None),
    }))
}
