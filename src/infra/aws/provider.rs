//! The provider: reads, compares, carries out, and looks again until nothing is left to do.

use super::{
    api::{Api, Effect, Patience},
    blockers, cost, destroy, diff,
    errors::{Fault, Meaning},
    facts::{self, Facts, Identity},
    key_pair,
    lock::KeyPairLock,
    machines, operator,
    plan::{Plan, Work},
    read, read_left, run, tags, target,
    wanted::Wanted,
    world::{self, World},
};
use crate::{
    event::Events,
    infra::{Change, Cost, InfraError, Machine, Provider, Provision, Volume, Volumes, lock::LockStore, operator_key},
    spec::{self, AwsSettings, ClusterSpec},
};
use async_trait::async_trait;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_ec2::types::Filter;
use ipnet::Ipv4Net;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};
use tokio::time::Instant;

/// A run that reads the world anew this often has a bug or an adversary.
const ROUNDS: u32 = 60;

/// EC2 in one region, with one identity.
#[derive(Clone, Debug)]
pub struct Aws {
    api: Api,
    operator: Vec<Ipv4Net>,
}

/// Everything that a person should see before anything is done.
#[derive(Clone, Debug)]
pub struct Survey {
    /// Whose account it is.
    pub identity: Identity,
    /// The region.
    pub region: String,
    /// What would be done.
    pub changes: Vec<Change>,
    /// Foreign rules, failed gateways, machines in other zones.
    pub notes: Vec<String>,
    /// What it costs.
    pub cost: Cost,
}

impl Aws {
    /// Credentials, profile, SSO and assumed roles by AWS's standard chain; the region is the spec's.
    pub async fn connect(settings: &AwsSettings) -> Result<Self, InfraError> {
        let mut loader = aws_config::defaults(BehaviorVersion::latest()).region(Region::new(settings.region.clone())).timeout_config(
            aws_config::timeout::TimeoutConfig::builder()
                .connect_timeout(Duration::from_secs(10))
                .operation_attempt_timeout(Duration::from_mins(1))
                .build(),
        );
        if let Some(profile) = &settings.profile {
            loader = loader.profile_name(profile);
        }
        if let Some(endpoint) = &settings.endpoint {
            loader = loader.endpoint_url(endpoint);
        }
        loader = loader.http_client(
            aws_smithy_http_client::Builder::new()
                .tls_provider(aws_smithy_http_client::tls::Provider::Rustls(aws_smithy_http_client::tls::rustls_provider::CryptoMode::Ring))
                .build_https(),
        );
        Ok(Self::with_config(&loader.load().await, Patience::default()))
    }

    /// Over a configuration of one's own; tests are impatient.
    pub fn with_config(config: &SdkConfig, patience: Patience) -> Self {
        Self { api: Api::new(config, patience), operator: Vec::new() }
    }

    /// The operator's own addresses, for `ssh_from: auto`.
    #[must_use]
    pub fn operator(mut self, addresses: Vec<Ipv4Net>) -> Self {
        self.operator = addresses;
        self
    }

    /// Who we are. Reads only.
    pub async fn identity(&self) -> Result<Identity, InfraError> {
        facts::identity(&self.api).await.map_err(|f| f.into_infra("asking AWS who we are"))
    }

    /// Account, plan, notes and cost at once. Reads only.
    pub async fn survey(&self, spec: &ClusterSpec) -> Result<Survey, InfraError> {
        let nothing = BTreeMap::new();
        let (identity, (_, wanted, plan)) = futures::try_join!(self.identity(), self.compare(spec, &nothing, None))?;
        let region = self.api.region.clone();
        Ok(Survey { identity, changes: plan.changes(), notes: plan.notes, cost: cost::cost(&wanted, &region), region })
    }

    /// Names of the clusters in this region, and how many machines each has. Reads only.
    async fn clusters(&self) -> Result<BTreeMap<String, usize>, InfraError> {
        let tagged = Filter::builder().name("tag-key").values(tags::CLUSTER).build();
        let ec2 = &self.api.ec2;
        let found = async {
            let vpcs = read::pages!(self.api, "DescribeVpcs", ec2.describe_vpcs().filters(tagged.clone()), vpcs);
            let reservations = read::pages!(self.api, "DescribeInstances", ec2.describe_instances().filters(tagged.clone()), reservations);
            Ok((vpcs, reservations))
        };
        let (vpcs, reservations) = found.await.map_err(|f: Fault| f.into_infra("looking for clusters"))?;
        let mut clusters = BTreeMap::new();
        for vpc in vpcs {
            if let Some(name) = tags::read(vpc.tags.as_deref()).remove(tags::CLUSTER) {
                clusters.entry(name).or_default();
            }
        }
        for instance in reservations.iter().flat_map(aws_sdk_ec2::types::Reservation::instances).map(read::instance) {
            if let (false, Some(name)) = (instance.state == "terminated", instance.own.tags.get(tags::CLUSTER)) {
                *clusters.entry(name.clone()).or_default() += 1;
            }
        }
        Ok(clusters)
    }

    async fn world(&self, spec: &ClusterSpec) -> Result<World, InfraError> {
        read::world(&self.api, &spec.name, &settings(spec)?.existing).await.map_err(|f| f.into_infra("reading the account"))
    }

    /// For a destroy: with what controllers in the cluster left.
    async fn world_and_what_is_left(&self, spec: &ClusterSpec) -> Result<World, InfraError> {
        let mut world = self.world(spec).await?;
        read_left::add(&self.api, &spec.name, &mut world)
            .await
            .map_err(|f| f.into_infra("looking for load balancers that the cluster left"))?;
        Ok(world)
    }

    /// Reads the world, waiting until it shows everything that this run has made (EC2: "Eventual consistency").
    async fn world_with(&self, spec: &ClusterSpec, made: &BTreeMap<String, String>) -> Result<World, InfraError> {
        let end = Instant::now() + self.api.patience.call;
        loop {
            let world = self.world(spec).await?;
            let mut shown = world.ids();
            shown.extend(world.dead.values().flatten().map(String::as_str));
            let Some(hidden) = made.keys().find(|id| !shown.contains(id.as_str())) else { return Ok(world) };
            if Instant::now() >= end {
                return Err(InfraError::Failed {
                    what: format!("looking at {hidden}"),
                    why: "EC2 made it but does not show it".to_owned(),
                    hint: Some("run the same command again".to_owned()),
                });
            }
            tokio::time::sleep(self.api.patience.settle / 4).await;
        }
    }

    /// `only`: the machines that it is about; the others, and what is wrong with them, are left out.
    async fn compare(
        &self,
        spec: &ClusterSpec,
        made: &BTreeMap<String, String>,
        only: Option<&[String]>,
    ) -> Result<(World, Wanted, Plan), InfraError> {
        let settings = settings(spec)?;
        let (world, facts, operator, key) = futures::try_join!(
            self.world_with(spec, made),
            self.facts(spec, settings),
            self.operator_addresses(spec),
            operator_key::public_keys(spec),
        )?;
        let wanted = Wanted::new(spec, settings, &facts, key, &operator)?;
        let mut plan = diff::diff(&wanted, &world);
        if let Some(names) = only {
            plan.limit(names);
        }
        if plan.refused.is_empty() {
            return Ok((world, wanted, plan));
        }
        Err(InfraError::Missing {
            what: plan.refused.join("\n"),
            hint: "nothing was changed; correct the specification, or replace what is named".to_owned(),
        })
    }

    async fn operator_addresses(&self, spec: &ClusterSpec) -> Result<Vec<Ipv4Net>, InfraError> {
        if !spec.access.ssh_from_auto || !self.operator.is_empty() {
            return Ok(self.operator.clone());
        }
        Ok(vec![operator::address().await?])
    }

    async fn facts(&self, spec: &ClusterSpec, settings: &AwsSettings) -> Result<Facts, InfraError> {
        let types = std::iter::once(&spec.control_plane).chain(&spec.pools).map(|p| p.instance_type.clone()).collect();
        facts::read(&self.api, settings, &types).await
    }

    async fn converge(
        &self,
        spec: &ClusterSpec,
        planned: Option<&[Change]>,
        only: Option<&[String]>,
        events: &Events,
    ) -> Result<Provision, InfraError> {
        let mut made = BTreeMap::new();
        let mut last: Option<(String, Fault)> = None;
        // A cluster that may run already keeps its API while it gets its first balancer.
        let mut runs = false;
        for round in 0..ROUNDS {
            let (world, wanted, mut plan) = self.compare(spec, &made, only).await?;
            runs |=
                round == 0 && world.instances.iter().any(|i| i.own.tags.get(tags::POOL).is_some_and(|p| p == ClusterSpec::CONTROL_PLANE));
            if plan.ops.is_empty() {
                if runs && wanted.balancer.is_some() && !target::serves(&world.load_balancers, &world.target_groups) {
                    let wait = target::wait(&self.api, &spec.name);
                    let wait = async { wait.await.map_err(|f| f.into_infra("waiting for the API's load balancer")) };
                    events.step("aws/load-balancer/api/serves", "wait for the API's load balancer", None, wait).await?;
                }
                return Ok(machines::provision(&world, spec));
            }
            if let (0, Some(planned)) = (round, planned)
                && plan.changes() != planned
            {
                return Err(InfraError::Missing {
                    what: "the account has changed since the plan was made".to_owned(),
                    hint: "nothing was done; look at the new plan".to_owned(),
                });
            }
            with_operator_key(spec, &wanted, &mut plan).await?;
            let mut outcome = run::run(&self.api, &plan, events).await;
            made.append(&mut outcome.made);
            let deleted = plan.ops.iter().filter_map(|op| op.key.strip_prefix("delete/"));
            made.retain(|id, _| !deleted.clone().any(|d| d == id));
            for (what, fault) in outcome.faults {
                if !worth_another_look(fault.meaning) {
                    return Err(with_what_was_made(fault.into_infra(&what), &made));
                }
                events.note(format!("{what}: {fault}; looking again"));
                last = Some((what, fault));
            }
            if last.is_some() {
                tokio::time::sleep(self.api.patience.settle).await;
            }
        }
        Err(last.map_or_else(
            || InfraError::Failed { what: "provisioning".to_owned(), why: "the account keeps changing".to_owned(), hint: None },
            |(what, fault)| fault.into_infra(&what),
        ))
    }

    /// What a destroy takes away: everything but foreign rules and, if they are to stay, volumes of PVCs. Rules of our own groups
    /// go with these.
    fn ours<'w>(spec: &ClusterSpec, world: &'w World, volumes: Volumes) -> BTreeSet<&'w str> {
        let own_groups: BTreeSet<&str> = world.groups.iter().map(|g| g.own.id.as_str()).collect();
        let mut ids = world.ids();
        ids.retain(|id| {
            let rule = world.rules.iter().find(|r| r.id == *id);
            let rule_stays = rule.is_some_and(|r| r.tags.get(tags::CLUSTER) != Some(&spec.name) || own_groups.contains(r.group.as_str()));
            let volume_stays = volumes == Volumes::Retain && world.volumes.iter().any(|v| v.own.id == *id && v.dynamic);
            !rule_stays && !volume_stays
        });
        ids
    }

    async fn tear_down(&self, spec: &ClusterSpec, volumes: Volumes, events: &Events) -> Result<Vec<Change>, InfraError> {
        let mut done: Vec<Change> = Vec::new();
        let mut last: Option<(String, Fault)> = None;
        let mut empty = 0;
        let mut left = String::new();
        let mut in_use_since = None;
        let end = Instant::now() + self.api.patience.wait * 2;
        while Instant::now() < end {
            let world = self.world_and_what_is_left(spec).await?;
            let ids = Self::ours(spec, &world, volumes);
            if ids.is_empty() {
                // Seen twice, because what an interrupted run made may not be visible at once.
                empty += 1;
                if empty == 2 {
                    return Ok(done);
                }
                tokio::time::sleep(self.api.patience.settle).await;
                continue;
            }
            empty = 0;
            left = world.owned().into_iter().map(|(kind, own)| format!("{kind} {}", own.id)).collect::<Vec<_>>().join(", ");
            let mut plan = Plan::default();
            destroy::plan(&world, &ids, &mut plan);
            for change in plan.changes() {
                if !done.contains(&change) {
                    done.push(change);
                }
            }
            let outcome = run::run(&self.api, &plan, events).await;
            for (what, fault) in outcome.faults {
                if fault.meaning == Meaning::InUse {
                    // Interfaces of load balancers and functions go minutes after their owners.
                    let since: &mut Instant = in_use_since.get_or_insert_with(Instant::now);
                    if since.elapsed() < self.api.patience.call {
                        last = Some((what, fault));
                        continue;
                    }
                    let found =
                        blockers::find(&self.api, &world, &spec.name).await.map_err(|f| f.into_infra("looking for what is in the way"))?;
                    return Err(InfraError::Failed {
                        what,
                        why: format!("others still use it: {fault}"),
                        hint: (!found.is_empty()).then(|| format!("these are not ours:\n{}", found.join("\n"))),
                    });
                } else if !worth_another_look(fault.meaning) && fault.meaning != Meaning::WrongState {
                    return Err(fault.into_infra(&what));
                }
                events.note(format!("{what}: {fault}; looking again"));
                last = Some((what, fault));
            }
            if last.is_some() {
                tokio::time::sleep(self.api.patience.settle).await;
            }
        }
        Err(last.map_or_else(
            || InfraError::Failed {
                what: "destroying".to_owned(),
                why: format!("still there after {} s: {left}", (self.api.patience.wait * 2).as_secs()),
                hint: None,
            },
            |(what, fault)| fault.into_infra(&what),
        ))
    }
}

/// Outcomes that only the world itself can explain: an answer that got lost, something that exists but was not shown.
fn worth_another_look(meaning: Meaning) -> bool {
    matches!(meaning, Meaning::Unknown | Meaning::Duplicate | Meaning::TokenUsed | Meaning::NotFound)
}

/// What this run made before it stopped stays: it is named, and how it goes.
fn with_what_was_made(error: InfraError, made: &BTreeMap<String, String>) -> InfraError {
    let InfraError::Failed { what, why, hint } = error else { return error };
    let keys: BTreeSet<&str> = made.values().map(String::as_str).filter(|key| !key.starts_with("rule/")).collect();
    let stays = (!keys.is_empty()).then(|| {
        let keys = keys.into_iter().collect::<Vec<_>>().join(", ");
        format!("made before that: {keys}; the same command goes on from there, `kubewright destroy` takes it away")
    });
    let hint = hint.into_iter().chain(stays).collect::<Vec<_>>().join("\n");
    InfraError::Failed { what, why, hint: (!hint.is_empty()).then_some(hint) }
}

/// Makes the operator's key if the plan imports one that does not exist.
async fn with_operator_key(spec: &ClusterSpec, wanted: &Wanted, plan: &mut Plan) -> Result<(), InfraError> {
    if wanted.operator_keys.is_some() {
        return Ok(());
    }
    for op in &mut plan.ops {
        if let Work::KeyPair(key_pair::Work::Import { public_key, .. }) = &mut op.work {
            *public_key = operator_key::ensure(spec).await?.swap_remove(0);
        }
    }
    Ok(())
}

fn settings(spec: &ClusterSpec) -> Result<&AwsSettings, InfraError> {
    match &spec.provider {
        spec::Provider::Aws(settings) => Ok(settings),
        _ => Err(InfraError::Missing { what: "this cluster is not on AWS".to_owned(), hint: "set `provider: aws`".to_owned() }),
    }
}

#[async_trait]
impl Provider for Aws {
    async fn plan(&self, spec: &ClusterSpec) -> Result<Vec<Change>, InfraError> {
        Ok(self.compare(spec, &BTreeMap::new(), None).await?.2.changes())
    }

    async fn apply(&self, spec: &ClusterSpec, events: &Events) -> Result<Provision, InfraError> {
        self.converge(spec, None, None, events).await
    }

    async fn apply_planned(&self, spec: &ClusterSpec, planned: &[Change], events: &Events) -> Result<Provision, InfraError> {
        self.converge(spec, Some(planned), None, events).await
    }

    async fn apply_machines(&self, spec: &ClusterSpec, names: &[String], events: &Events) -> Result<Provision, InfraError> {
        self.converge(spec, None, Some(names), events).await
    }

    async fn delete_machine(&self, spec: &ClusterSpec, machine: &Machine, events: &Events) -> Result<(), InfraError> {
        let world = self.world(spec).await?;
        let ids: BTreeSet<&str> = world.instances.iter().map(|i| i.own.id.as_str()).filter(|id| *id == machine.id).collect();
        let mut plan = Plan::default();
        destroy::plan(&world, &ids, &mut plan);
        // First nobody is sent there any more.
        let mut before = Plan::default();
        target::deregister(&world, machine.private_address, &mut before);
        for plan in [before, plan] {
            if let Some((what, fault)) = run::run(&self.api, &plan, events).await.faults.into_iter().next() {
                return Err(fault.into_infra(&what));
            }
        }
        Ok(())
    }

    async fn about(&self, spec: &ClusterSpec) -> Result<Vec<String>, InfraError> {
        let survey = self.survey(spec).await?;
        let more = if survey.cost.incomplete { "more than " } else { "" };
        let mut lines = vec![
            format!("account {} as {}, region {}", survey.identity.account, survey.identity.arn, survey.region),
            format!(
                "about {more}{:.2} USD a month (prices of {}; traffic and taxes not counted)",
                survey.cost.monthly, survey.cost.prices_of
            ),
        ];
        lines.extend(survey.notes);
        Ok(lines)
    }

    async fn cost(&self, spec: &ClusterSpec) -> Result<Option<Cost>, InfraError> {
        Ok(Some(self.survey(spec).await?.cost))
    }

    async fn list(&self, _: &ClusterSpec) -> Result<BTreeMap<String, usize>, InfraError> {
        self.clusters().await
    }

    fn has_controllers(&self) -> bool {
        true
    }

    async fn volumes(&self, spec: &ClusterSpec) -> Result<Vec<Volume>, InfraError> {
        let world = self.world(spec).await?;
        let region = &self.api.region;
        let volume = |v: &world::Volume| Volume {
            id: v.own.id.clone(),
            size_gib: u32::try_from(v.size).unwrap_or_default(),
            kind: v.kind.clone(),
            monthly: cost::volume(region, &v.kind, v.size),
            delete: format!("aws ec2 delete-volume --region {region} --volume-id {}", v.own.id),
        };
        Ok(world.volumes.iter().filter(|v| v.dynamic).map(volume).collect())
    }

    async fn plan_destroy(&self, spec: &ClusterSpec, volumes: Volumes) -> Result<Vec<Change>, InfraError> {
        let world = self.world_and_what_is_left(spec).await?;
        let mut plan = Plan::default();
        destroy::plan(&world, &Self::ours(spec, &world, volumes), &mut plan);
        Ok(plan.changes())
    }

    fn lock(&self, spec: &ClusterSpec) -> Option<Box<dyn LockStore>> {
        Some(Box::new(KeyPairLock { api: self.api.clone(), cluster: spec.name.clone() }))
    }

    async fn discover(&self, spec: &ClusterSpec) -> Result<Provision, InfraError> {
        Ok(machines::provision(&self.world(spec).await?, spec))
    }

    async fn publish_host_keys(&self, _: &ClusterSpec, machine: &Machine, current: &str, pending: Option<&str>) -> Result<(), InfraError> {
        let wrap = |f: Fault| f.into_infra(&format!("publishing the host key of {}", machine.name));
        let mut keys = tags::Tags::from([(tags::HOST_KEY.to_owned(), current.to_owned())]);
        keys.extend(pending.map(|key| (tags::HOST_KEY_PENDING.to_owned(), key.to_owned())));
        let (api, id) = (&self.api, &machine.id);
        api.call("CreateTags", Effect::Repeatable, || api.ec2.create_tags().resources(id).set_tags(Some(tags::write(&keys))).send())
            .await
            .map_err(wrap)?;
        if pending.is_none() {
            // Not before the new key is published: killed in between, the next run finds it pending and goes on.
            let gone = [tags::HOST_KEY_PENDING, tags::HOST_KEY_ONCE].map(|key| aws_sdk_ec2::types::Tag::builder().key(key).build());
            api.call("DeleteTags", Effect::Repeatable, || api.ec2.delete_tags().resources(id).set_tags(Some(gone.to_vec())).send())
                .await
                .map_err(wrap)?;
        }
        Ok(())
    }

    async fn destroy(&self, spec: &ClusterSpec, volumes: Volumes, events: &Events) -> Result<Vec<Change>, InfraError> {
        if spec.protected {
            return Err(InfraError::Missing {
                what: format!("the cluster {} is protected", spec.name),
                hint: "nothing was deleted; set `protected: false` first".to_owned(),
            });
        }
        self.tear_down(spec, volumes, events).await
    }
}
