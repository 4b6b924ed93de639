//! The whole run: plays one after the other, each on its hosts; groups of independent plays side by side.

use super::{
    Connector, RunOptions, RunSummary, Services, builtin, connect, lookups,
    play::PlayRun,
    runner::Runner,
    scope::{Frame, HostPlay, TaskScope},
    value,
    world::{Host, World},
};
use crate::{
    event::{Events, Kind},
    inventory::{Inventory, Raw},
    playbook::{LoadOptions, Play, Playbook, Strategy},
};
use futures::{StreamExt, stream::FuturesUnordered};
use indexmap::IndexSet;
use std::{path::PathBuf, sync::Arc, time::Instant};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// What a run needs from outside.
pub struct Context {
    /// Makes shells.
    pub connector: Arc<dyn Connector>,
    /// Work that needs a cluster's API or a person.
    pub services: Arc<dyn Services>,
    /// How the playbook was loaded; dynamic includes are loaded the same way.
    pub load: LoadOptions,
}

/// Runs a playbook on an inventory's hosts, to its end. Cancelling stops it at the next safe point.
pub async fn run(
    playbook: &Playbook,
    inventory: Inventory,
    context: Context,
    options: &RunOptions,
    events: &Events,
    cancel: CancellationToken,
) -> RunSummary {
    let begun = Instant::now();
    let templar = lookups::templar(&context.load.files, &context.load.vault);
    let world = World::new(context, inventory, options.clone(), events.clone(), cancel, templar);
    let mut summary = RunSummary::default();
    let mut rest = &playbook.plays[..];
    while let Some(first) = rest.first() {
        if world.cancel.is_cancelled() || !summary.errors.is_empty() {
            break;
        }
        let independent = |p: &&Arc<Play>| p.strategy == Strategy::Independent;
        let count = if independent(&first) { rest.iter().take_while(independent).count() } else { 1 };
        let (group, after) = rest.split_at(count);
        rest = after;
        if !play_group(&world, group, &mut summary).await {
            break;
        }
    }
    world.jobs.wait().await;
    finish(&world, &mut summary);
    events.emit(Kind::Recap { hosts: summary.counts.iter().map(|(h, c)| (h.clone(), *c)).collect(), elapsed: begun.elapsed() });
    summary
}

fn finish(world: &World, summary: &mut RunSummary) {
    let mut names: IndexSet<String> = world.with_inventory(|i| i.hosts.keys().cloned().collect());
    names.extend(world.names());
    for name in names {
        let host = world.host(&name);
        let data = host.data();
        if data.touched {
            summary.counts.insert(name.clone(), data.counts);
        }
        if let Some(why) = &data.unreachable {
            summary.unreachable.insert(name.clone(), why.clone());
        } else if let Some(why) = &data.failed {
            summary.failed.insert(name.clone(), why.clone());
        }
    }
    summary.cancelled = world.cancel.is_cancelled();
}

/// The hosts of a play that still take part, in its order.
pub(super) fn hosts_of(world: &Arc<World>, play: &Play) -> Result<Vec<String>, String> {
    let scope = play_scope(world);
    let pattern = world.templar.render_value(&play.hosts.value, &scope).map_err(|e| format!("{}: hosts: {e}", play.span))?;
    let pattern = value::as_list(&pattern).join(",");
    if pattern.trim().is_empty() {
        return Err(format!("{}: hosts is empty", play.span));
    }
    let limit = world.options.limit.as_deref();
    let mut hosts = world.with_inventory(|i| i.select_limited(&pattern, limit)).map_err(|e| format!("{}: {e}", play.span))?;
    for warning in world.with_inventory(|i| i.unmatched(&pattern)) {
        world.events.warn(warning.to_string());
    }
    match play.order.as_deref() {
        Some("sorted") => hosts.sort(),
        Some("reverse_sorted") => {
            hosts.sort();
            hosts.reverse();
        }
        Some("reverse_inventory") => hosts.reverse(),
        Some("shuffle") => {
            use rand::seq::SliceRandom;
            hosts.shuffle(&mut rand::rng());
        }
        _ => {}
    }
    hosts.retain(|h| world.host(h).data().alive());
    Ok(hosts)
}

/// The scope of something that no host is known for: extra variables and `groups`.
fn play_scope(world: &Arc<World>) -> TaskScope {
    let frame = Frame {
        world: Arc::clone(world),
        host: world.host("localhost"),
        run: None,
        own: Arc::default(),
        task: None,
        locals: Arc::default(),
    };
    TaskScope::new(frame, Vec::new())
}

/// Runs one play, or consecutive independent ones side by side. `false`: nobody is left for the rest.
async fn play_group(world: &Arc<World>, group: &[Arc<Play>], summary: &mut RunSummary) -> bool {
    let independent = group.first().is_some_and(|p| p.strategy == Strategy::Independent);
    let mut plays = Vec::new();
    let mut everyone: IndexSet<String> = IndexSet::new();
    for play in group {
        match hosts_of(world, play) {
            Ok(hosts) => {
                everyone.extend(hosts.iter().cloned());
                plays.push((Arc::clone(play), hosts));
            }
            Err(why) => {
                world.events.emit(Kind::Warning { message: why.clone() });
                summary.errors.push(why);
                return false;
            }
        }
    }
    if everyone.is_empty() {
        for (play, _) in &plays {
            world.events.emit(Kind::PlayStarted { name: title(world, play), hosts: Vec::new() });
        }
        return true;
    }
    for host in &everyone {
        world.host(host).data().done = false;
    }
    if !independent {
        for (play, hosts) in plays {
            if !linear(world, &play, hosts).await {
                return false;
            }
        }
        return true;
    }
    for host in &everyone {
        world.host(host).data().touched = true;
    }
    // `serial` of an independent play: so many hosts are in it at the same time, whoever comes first.
    let gate = |play: &Play, hosts: &[String]| {
        let size = batches(world, play, hosts).first().map_or(0, Vec::len);
        (size < hosts.len()).then(|| Arc::new(Semaphore::new(size)))
    };
    let runs: Vec<(Arc<PlayRun>, Option<Arc<Semaphore>>)> = plays
        .into_iter()
        .map(|(play, hosts)| {
            let gate = gate(&play, &hosts);
            (PlayRun::new(world, play, hosts.clone(), hosts, &play_scope(world)), gate)
        })
        .collect();
    for (run, _) in &runs {
        world.events.emit(Kind::PlayStarted { name: title(world, &run.play), hosts: run.batch.clone() });
    }
    let mut walking: FuturesUnordered<_> = everyone
        .iter()
        .map(|name| {
            let (host, runs) = (world.host(name), runs.clone());
            async move {
                for (run, gate) in runs.iter().filter(|(r, _)| r.batch.contains(&host.name)) {
                    if host.data().alive() && !world.cancel.is_cancelled() {
                        let _turn = match gate {
                            Some(gate) => gate.acquire().await.ok(),
                            None => None,
                        };
                        one(world, &host, run).await;
                    } else {
                        run.left(&host.name, true);
                    }
                }
                host.data().done = true;
                world.changed();
            }
        })
        .collect();
    while walking.next().await.is_some() {}
    everyone.iter().any(|h| world.host(h).data().alive())
}

/// Runs a play batch by batch.
async fn linear(world: &Arc<World>, play: &Arc<Play>, hosts: Vec<String>) -> bool {
    for batch in batches(world, play, &hosts) {
        let batch: Vec<String> = batch.into_iter().filter(|h| world.host(h).data().alive()).collect();
        if batch.is_empty() {
            continue;
        }
        let run = PlayRun::new(world, Arc::clone(play), hosts.clone(), batch, &play_scope(world));
        world.events.emit(Kind::PlayStarted { name: title(world, play), hosts: run.batch.clone() });
        let everyone: Vec<Arc<Host>> = run.batch.iter().map(|h| world.host(h)).collect();
        for host in &everyone {
            host.data().touched = true;
        }
        let mut walking: FuturesUnordered<_> = everyone.iter().map(|host| one(world, host, &run)).collect();
        while walking.next().await.is_some() {}
        let alive = run.batch.iter().filter(|h| world.host(h).data().alive()).count();
        if alive == 0 || world.cancel.is_cancelled() {
            return false;
        }
        if run.ended() && run.batch.len() == run.all.len() {
            break;
        }
    }
    true
}

/// `serial`: numbers and percentages, the last one repeated.
fn batches(world: &Arc<World>, play: &Play, hosts: &[String]) -> Vec<Vec<String>> {
    let scope = play_scope(world);
    let sizes: Vec<usize> = play
        .serial
        .iter()
        .filter_map(|v| world.templar.render_value(v, &scope).ok())
        .flat_map(|v| {
            if v.kind() == minijinja::value::ValueKind::Seq { v.try_iter().map(Iterator::collect).unwrap_or_default() } else { vec![v] }
        })
        .map(|v| {
            let text = value::as_text(&v);
            match text.trim().strip_suffix('%') {
                Some(share) => hosts.len() * value::as_count(&minijinja::Value::from(share)).unwrap_or(100) / 100,
                None => text.trim().parse().unwrap_or(0),
            }
        })
        .collect();
    let mut out = Vec::new();
    let mut rest = hosts;
    let mut number = 0;
    while !rest.is_empty() {
        let size = sizes.get(number).or(sizes.last()).copied().unwrap_or(0);
        // 0 and less than one host mean: all, or at least one.
        let size = if sizes.is_empty() || (size == 0 && !play.serial.iter().any(|v| value::as_text(v).contains('%'))) {
            rest.len()
        } else {
            size.max(1)
        };
        let (batch, after) = rest.split_at(size.min(rest.len()));
        out.push(batch.to_vec());
        rest = after;
        number += 1;
    }
    out
}

fn title(world: &Arc<World>, play: &Play) -> String {
    let Some(name) = &play.name else { return value::as_list(&play.hosts.value).join(",") };
    world.templar.render(name, &play_scope(world)).map_or_else(|_| name.clone(), |v| value::as_text(&v))
}

/// One host through one play.
async fn one(world: &Arc<World>, host: &Arc<Host>, run: &Arc<PlayRun>) {
    let mut runner = Runner::new(Arc::clone(world), Arc::clone(host), Arc::clone(run), HostPlay::default());
    if runner.prepare().await {
        runner.go().await;
    } else {
        run.left(&host.name, !host.data().alive());
    }
}

impl Runner {
    /// Files of variables, answers and facts, before the first task. `false`: the host is lost already.
    async fn prepare(&mut self) -> bool {
        let play = Arc::clone(&self.run.play);
        let scope = self.scope(None, Arc::default());
        let gathers = match super::plan::flag(&self.world, &scope, play.gather_facts.as_ref()) {
            Ok(gathers) => gathers.unwrap_or(self.world.options.gather_facts),
            Err(e) => {
                self.world.warn_once(&format!("{}: gather_facts: {e}", play.span));
                true
            }
        };
        if gathers && !self.gather_first().await {
            return false;
        }
        self.answers().await;
        self.vars_files()
    }

    async fn answers(&mut self) {
        for prompt in &self.run.play.vars_prompt {
            if self.world.options.extra_vars.contains_key(&prompt.name) {
                continue;
            }
            let answer = self.world.answer(prompt).await;
            let mut own = HostPlay { vars: self.own.vars.clone(), roles: self.own.roles.clone() };
            own.vars.insert(prompt.name.clone(), Raw { value: answer, span: None });
            self.own = Arc::new(own);
        }
    }

    fn vars_files(&mut self) -> bool {
        let play = Arc::clone(&self.run.play);
        for raw in &play.vars_files {
            let scope = self.scope(None, Arc::default());
            let names = match self.world.templar.render_value(&raw.value, &scope) {
                Ok(names) => value::as_list(&names),
                Err(e) => {
                    self.world.warn_once(&format!("{}: this file of variables is passed over: {e}", play.span));
                    continue;
                }
            };
            let files = &self.world.load.files;
            let places: Vec<PathBuf> = names.iter().flat_map(|n| [play.directory.join("vars").join(n), play.directory.join(n)]).collect();
            let Some(path) = places.iter().find(|p| files.is_file(p)) else {
                self.unprepared(&format!("none of these files of variables was found: {}", names.join(", ")));
                return false;
            };
            match builtin::vars_file(&self.world, path) {
                Ok(vars) => {
                    let mut own = HostPlay { vars: self.own.vars.clone(), roles: self.own.roles.clone() };
                    own.vars.extend(vars);
                    self.own = Arc::new(own);
                }
                Err(why) => {
                    self.unprepared(&why);
                    return false;
                }
            }
        }
        true
    }

    /// The host fails before its first task.
    fn unprepared(&self, why: &str) {
        let mut data = self.host.data();
        data.counts.failed += 1;
        data.failed = Some(why.to_owned());
        drop(data);
        self.world.warn_once(&format!("{}: {why}", self.run.play.span));
        self.world.changed();
    }

    /// "Gathering Facts": those that the play's templates name; more come when they are asked for.
    async fn gather_first(&mut self) -> bool {
        self.host.data().facts_on = true;
        let target = match connect::target(&self.world, &self.scope(None, Arc::default()), &self.run.play.keywords) {
            Ok(target) => target,
            Err(e) => {
                self.unprepared(&e.to_string());
                return false;
            }
        };
        self.gathering(&target).await
    }
}
