//! Instances. What cannot be changed in place is refused with the way out; a zone without capacity leads to the next one.

use super::{
    api::Effect,
    errors::{Fault, Meaning},
    key_pair,
    plan::{self, Plan},
    read,
    run::Ctx,
    tags::{self, Tags, at_creation},
    token,
    user_data::user_data,
    vpc,
    wanted::{Wanted, WantedMachine},
    world::{Instance, World},
};
use aws_sdk_ec2::types::{
    AttributeBooleanValue, BlockDeviceMapping, EbsBlockDevice, HttpTokensState, IamInstanceProfileSpecification,
    InstanceInterruptionBehavior, InstanceMarketOptionsRequest, InstanceMetadataEndpointState, InstanceMetadataOptionsRequest,
    InstanceStateName, InstanceType, MarketType, ResourceType, SpotInstanceType, SpotMarketOptions, VolumeType,
};
use std::net::Ipv4Addr;

/// Calls.
#[derive(Clone, Debug)]
pub enum Work {
    /// Launches one.
    Create(Box<Launch>),
    /// IMDSv2 only, hop limit 1.
    Imds {
        /// The instance.
        id: String,
    },
    /// Starts a stopped one.
    Start {
        /// The instance.
        id: String,
    },
    /// Gives it its groups.
    Groups {
        /// The instance.
        id: String,
        /// Key of the group.
        group: String,
    },
    /// Termination protection and the tag that says so.
    Protect {
        /// The instance.
        id: String,
        /// On or off.
        on: bool,
    },
}

/// A launch.
#[derive(Clone, Debug)]
pub struct Launch {
    /// The machine.
    pub machine: WantedMachine,
    /// Subnets that existing volumes or addresses do not forbid: key and, where the spec has one, the address in it.
    pub places: Vec<(String, Option<Ipv4Addr>)>,
    /// Its tags.
    pub tags: Tags,
    /// Tags of its volume.
    pub volume_tags: Tags,
    /// The key pair's name.
    pub key_pair: String,
    /// How many of this name died before.
    pub generation: usize,
}

/// Adds what differs.
pub fn diff(wanted: &Wanted, world: &World, plan: &mut Plan) {
    for want in &wanted.machines {
        let mut tags = wanted.tags(&want.key);
        tags.extend(node_tags(want));
        tags.extend(want.tags.clone());
        match world.instance(&want.key) {
            Some(instance) => existing(want, instance, &tags, world, plan),
            None => launch(wanted, want, tags, world, plan),
        }
    }
}

fn node_tags(want: &WantedMachine) -> Tags {
    let role = want.group.trim_start_matches("security-group/");
    [(tags::ROLE, role), (tags::POOL, &want.pool), (tags::NODE, &want.name)]
        .into_iter()
        .map(|(k, v)| (k.to_owned(), v.to_owned()))
        .collect()
}

fn spec_hash(want: &WantedMachine) -> String {
    token(&[&want.instance_type, &want.volume_gib.to_string(), &want.spot.to_string()])[..16].to_owned()
}

fn launch(wanted: &Wanted, want: &WantedMachine, mut tags: Tags, world: &World, plan: &mut Plan) {
    let Some(image) = &want.image else {
        plan.refused.push(format!(
            "instance {}: no image for the type {}: the pinned image has another architecture, or Canonical has none in this region; set aws.ami",
            want.name, want.instance_type
        ));
        return;
    };
    tags.insert(tags::SPEC_HASH.to_owned(), spec_hash(want));
    let volume_key = format!("volume/{}", want.name);
    let volume_tags = wanted.tags(&volume_key);
    let places: Vec<(String, Option<Ipv4Addr>)> =
        want.subnets.iter().enumerate().map(|(i, key)| (key.clone(), want.address.filter(|_| i == 0))).collect();
    let mut details = vec![
        format!("type: {}{}", want.instance_type, if want.spot { " (spot)" } else { "" }),
        format!("image: {} ({})", image.id, image.name),
        format!("subnet: {}", want.subnets.first().map_or("", String::as_str)),
        format!("volume: {} GiB gp3, encrypted", want.volume_gib),
    ];
    details.extend(want.address.map(|a| format!("address: {a}")));
    let mut after: Vec<&str> = vec![vpc::KEY, key_pair::KEY, &want.group];
    after.extend(want.subnets.iter().map(String::as_str));
    let key_pair = world.adopted.get(key_pair::KEY).cloned().unwrap_or_else(|| wanted.key_pair_name());
    let generation = world.dead.get(&want.key).map_or(0, std::collections::BTreeSet::len);
    let launch = Launch { machine: want.clone(), places, tags, volume_tags, key_pair, generation };
    plan.create("instance", &want.key, &after, details, plan::Work::Instance(Work::Create(Box::new(launch))));
    if want.protected {
        // At launch already; the tag too.
        if let Some(plan::Op { work: plan::Work::Instance(Work::Create(launch)), .. }) = plan.ops.last_mut() {
            launch.tags.insert(tags::PROTECTED.to_owned(), "true".to_owned());
        }
    }
}

fn existing(want: &WantedMachine, instance: &Instance, tags: &Tags, world: &World, plan: &mut Plan) {
    let id = instance.own.id.clone();
    plan.keep("instance", &want.key, &instance.own, tags);
    for volume in world.volumes.iter().filter(|v| v.instance.as_ref() == Some(&id)) {
        plan.kept.insert(volume.own.id.clone());
        if volume.own.key == format!("volume/{}", want.name) && volume.size < i32::try_from(want.volume_gib).unwrap_or(i32::MAX) {
            plan.refused.push(format!(
                "instance {}: its volume of {} GiB cannot become {} GiB here: `kubewright node replace {}`",
                want.name, volume.size, want.volume_gib, want.name
            ));
        }
    }
    let mut refuse = |what: &str, is: &str, wants: &str| {
        plan.refused.push(format!(
            "instance {}: its {what} {is} cannot become {wants} in place: `kubewright node replace {}`",
            want.name, want.name
        ));
    };
    if instance.instance_type != want.instance_type {
        refuse("type", &instance.instance_type, &want.instance_type);
    }
    if instance.spot != want.spot {
        let word = |spot: bool| if spot { "spot" } else { "on-demand" };
        refuse("market", word(instance.spot), word(want.spot));
    }
    // One that went to another zone for lack of capacity could not take its address along.
    let at_home = want.subnets.first().and_then(|k| plan.ids.get(k)) == Some(&instance.subnet);
    if let (true, Some(address), Some(is)) = (at_home, want.address, instance.private_ip)
        && address != is
    {
        plan.refused.push(format!(
            "instance {}: its address {is} cannot become {address} in place: `kubewright node replace {}`",
            want.name, want.name
        ));
    }
    let group = plan.ids.get(&want.group).cloned();
    if group.is_none_or(|g| !instance.groups.contains(&g)) {
        let details = vec![format!("security groups: {} → {}", instance.groups.join(" "), want.group)];
        let work = Work::Groups { id: id.clone(), group: want.group.clone() };
        plan.part("instance", &format!("{}/groups", want.key), &[&want.group], false, details, plan::Work::Instance(work));
    }
    if instance.state == "running" && (!instance.imds_tokens || instance.imds_hops != 1) {
        let details = vec![format!(
            "metadata service: {}, hop limit {} → tokens required, hop limit 1",
            if instance.imds_tokens { "tokens required" } else { "tokens optional" },
            instance.imds_hops
        )];
        let work = Work::Imds { id: id.clone() };
        plan.part("instance", &format!("{}/imds", want.key), &[], false, details, plan::Work::Instance(work));
    }
    if instance.state == "stopped" {
        let work = Work::Start { id: id.clone() };
        plan.part(
            "instance",
            &format!("{}/start", want.key),
            &[],
            false,
            vec!["state: stopped → running".into()],
            plan::Work::Instance(work),
        );
    }
    let protected = instance.own.tags.get(tags::PROTECTED).is_some_and(|v| v == "true");
    if protected != want.protected {
        let word = |on: bool| if on { "on" } else { "off" };
        let details = vec![format!("termination protection: {} → {}", word(protected), word(want.protected))];
        let work = Work::Protect { id, on: want.protected };
        plan.part("instance", &format!("{}/protection", want.key), &[], false, details, plan::Work::Instance(work));
    }
}

impl Work {
    pub(super) async fn run(&self, ctx: &Ctx<'_>) -> Result<Option<String>, Fault> {
        let ec2 = &ctx.api.ec2;
        match self {
            Self::Create(launch) => launch.run(ctx).await.map(Some),
            Self::Imds { id } => {
                ctx.api
                    .call("ModifyInstanceMetadataOptions", Effect::Repeatable, || {
                        ec2.modify_instance_metadata_options()
                            .instance_id(id)
                            .http_tokens(HttpTokensState::Required)
                            .http_put_response_hop_limit(1)
                            .send()
                    })
                    .await?;
                Ok(None)
            }
            Self::Start { id } => {
                ctx.api.call("StartInstances", Effect::Repeatable, || ec2.start_instances().instance_ids(id).send()).await?;
                Ok(None)
            }
            Self::Groups { id, group } => {
                let group = ctx.id(group)?;
                ctx.api
                    .call("ModifyInstanceAttribute", Effect::Repeatable, || {
                        ec2.modify_instance_attribute().instance_id(id).groups(&group).send()
                    })
                    .await?;
                Ok(None)
            }
            Self::Protect { id, on } => {
                let value = AttributeBooleanValue::builder().value(*on).build();
                ctx.api
                    .call("ModifyInstanceAttribute", Effect::Repeatable, || {
                        ec2.modify_instance_attribute().instance_id(id).disable_api_termination(value.clone()).send()
                    })
                    .await?;
                ctx.create_tags(id, &[(tags::PROTECTED.to_owned(), on.to_string())].into()).await?;
                Ok(None)
            }
        }
    }
}

/// Waits until no network interface of theirs can be left.
pub(super) async fn wait_terminated(ctx: &Ctx<'_>, ids: &[String]) -> Result<(), Fault> {
    ctx.api
        .wait_for("DescribeInstances", "the instances are terminated", async || {
            let call = || ctx.api.ec2.describe_instances().set_instance_ids(Some(ids.to_vec())).send();
            match ctx.api.call("DescribeInstances", Effect::Takes, call).await {
                Err(fault) if fault.meaning == Meaning::NotFound => Ok(Some(())),
                Err(fault) => Err(fault),
                Ok(found) => {
                    let all = found
                        .reservations()
                        .iter()
                        .flat_map(aws_sdk_ec2::types::Reservation::instances)
                        .all(|i| i.state().and_then(|s| s.name()) == Some(&InstanceStateName::Terminated));
                    Ok(all.then_some(()))
                }
            }
        })
        .await
}

impl Launch {
    async fn run(&self, ctx: &Ctx<'_>) -> Result<String, Fault> {
        let mut last = None;
        for (n, (subnet, address)) in self.places.iter().enumerate() {
            match self.in_subnet(ctx, subnet, *address).await {
                Ok(id) => {
                    if n > 0 {
                        ctx.events.warn(format!("{} went to {subnet}: no capacity where it belongs", self.machine.name));
                    }
                    return Ok(id);
                }
                Err(fault) if fault.meaning == Meaning::Capacity => {
                    ctx.events.note(format!("{}: no {} in {subnet} now: {}", self.machine.name, self.machine.instance_type, fault.message));
                    last = Some(fault);
                }
                Err(fault) => return Err(fault),
            }
        }
        let fault = last.unwrap_or_else(|| Fault::found("RunInstances", "the pool has no subnet"));
        let tried = self.places.iter().map(|(s, _)| s.as_str()).collect::<Vec<_>>().join(", ");
        Err(Fault { message: format!("{} (tried {tried})", fault.message), ..fault })
    }

    async fn in_subnet(&self, ctx: &Ctx<'_>, subnet: &str, address: Option<Ipv4Addr>) -> Result<String, Fault> {
        let m = &self.machine;
        let (vpc, subnet, group) = (ctx.id(vpc::KEY)?, ctx.id(subnet)?, ctx.id(&m.group)?);
        let data = user_data(&m.name)?;
        let mut tags = self.tags.clone();
        tags.insert(tags::HOST_KEY.to_owned(), data.host_key.clone());
        tags.insert(tags::HOST_KEY_ONCE.to_owned(), "true".to_owned());
        let image = m.image.as_ref().ok_or_else(|| Fault::found("RunInstances", "no image"))?;
        for generation in self.generation.. {
            let token = token(&[&vpc, &subnet, &m.key, &generation.to_string()]);
            let call = || {
                let mut call = ctx
                    .api
                    .ec2
                    .run_instances()
                    .min_count(1)
                    .max_count(1)
                    .client_token(&token)
                    .image_id(&image.id)
                    .instance_type(InstanceType::from(m.instance_type.as_str()))
                    .key_name(&self.key_pair)
                    .subnet_id(&subnet)
                    .security_group_ids(&group)
                    .set_private_ip_address(address.map(|a| a.to_string()))
                    .user_data(data.encoded.expose())
                    .disable_api_termination(m.protected)
                    .metadata_options(imds())
                    .block_device_mappings(root(&image.root_device, m.volume_gib))
                    .tag_specifications(at_creation(ResourceType::Instance, &tags))
                    .tag_specifications(at_creation(ResourceType::Volume, &self.volume_tags));
                if let Some(profile) = &m.profile {
                    call = call.iam_instance_profile(IamInstanceProfileSpecification::builder().name(profile).build());
                }
                if m.spot {
                    call = call.instance_market_options(spot());
                }
                call.send()
            };
            let made = ctx.api.call("RunInstances", Effect::Repeatable, call).await?;
            let Some(instance) = made.instances().first().map(read::instance) else { break };
            if instance.state != "terminated" && instance.state != "shutting-down" {
                return Ok(instance.own.id);
            }
            // The token found one that is gone: the next generation is new.
        }
        Err(Fault::found("RunInstances", "the answer names no instance"))
    }
}

/// IMDSv2 only; pods are one hop too far away.
fn imds() -> InstanceMetadataOptionsRequest {
    InstanceMetadataOptionsRequest::builder()
        .http_tokens(HttpTokensState::Required)
        .http_put_response_hop_limit(1)
        .http_endpoint(InstanceMetadataEndpointState::Enabled)
        .build()
}

fn root(device: &str, gib: u32) -> BlockDeviceMapping {
    let ebs = EbsBlockDevice::builder()
        .volume_type(VolumeType::Gp3)
        .volume_size(i32::try_from(gib).unwrap_or(i32::MAX))
        .encrypted(true)
        .delete_on_termination(true)
        .build();
    BlockDeviceMapping::builder().device_name(device).ebs(ebs).build()
}

/// A one-time request, terminated on interruption: a persistent one would start machines that nobody knows.
fn spot() -> InstanceMarketOptionsRequest {
    let options = SpotMarketOptions::builder()
        .spot_instance_type(SpotInstanceType::OneTime)
        .instance_interruption_behavior(InstanceInterruptionBehavior::Terminate)
        .build();
    InstanceMarketOptionsRequest::builder().market_type(MarketType::Spot).spot_options(options).build()
}
