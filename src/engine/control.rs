//! Work that only the engine can do: waiting, rebooting, fetching, hosts and groups in memory, facts.

use super::{
    Target, connect,
    plan::Planned,
    runner::Runner,
    scope::{TaskScope, Wants},
    solo::Stop,
};
use crate::{
    inventory::Raw,
    modules::{Control, TaskResult, facts},
    playbook::Task,
    session::{Program, ProgramStep},
    shell::Sh,
};
use minijinja::Value;
use sha1::{Digest as _, Sha1};
use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

/// Two digits behind the point.
fn round(number: f64) -> f64 {
    (number * 100.0).round() / 100.0
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// A step of our own that looks or acts, without a module.
fn step(check: Sh) -> ProgramStep {
    ProgramStep { id: 0, check, apply: None, keep_going: true, timeout: None, stdin: None, blobs: Vec::new() }
}

impl Runner {
    pub(super) async fn control(
        &mut self,
        task: &Arc<Task>,
        scope: &TaskScope,
        control: Control,
        target: &Target,
    ) -> Result<TaskResult, Stop> {
        let check = super::magic::check_mode(scope);
        match control {
            Control::Pause { duration, prompt, echo } => Ok(self.pause(duration, prompt.as_deref(), echo).await),
            Control::WaitForConnection { .. } if check => Ok(TaskResult { skipped: true, ..TaskResult::default() }),
            Control::WaitForConnection { timeout, delay, sleep } => {
                self.sleep(delay).await;
                let begun = Instant::now();
                Ok(match self.wait_for(target, timeout, sleep, None).await {
                    Ok(()) => {
                        let mut result = TaskResult::default();
                        result.fields.insert("elapsed".to_owned(), Value::from(begun.elapsed().as_secs()));
                        result
                    }
                    Err(why) => TaskResult::failure(format!("timed out waiting for the connection: {why}")),
                })
            }
            Control::Reboot { timeout, test_command, message } if !check => self.reboot(target, timeout, &test_command, &message).await,
            Control::Reboot { .. } => Ok(TaskResult { changed: true, ..TaskResult::default() }),
            Control::Fetch { .. } if check => {
                let msg = Some("check mode not (yet) supported for this module".to_owned());
                Ok(TaskResult { skipped: true, msg, ..TaskResult::default() })
            }
            Control::Fetch { src, dest, flat, fail_on_missing } => self.fetch(task, target, &src, &dest, flat, fail_on_missing).await,
            Control::Setup { filter, .. } => {
                self.host.data().facts_on = true;
                let wants = if filter.is_empty() || filter.iter().any(|f| f.contains('*')) {
                    Wants { all_facts: true, ..Wants::default() }
                } else {
                    Wants { facts: filter.iter().map(|f| f.trim_start_matches("ansible_").to_owned()).collect(), ..Wants::default() }
                };
                if let Err(why) = self.gather_from(target, &wants).await {
                    return Err(Stop::Lost(why));
                }
                let mut result = TaskResult::default();
                let facts = Value::from_pairs(self.host.data().facts.iter().map(|(k, v)| (format!("ansible_{k}"), v.clone())));
                result.fields.insert("ansible_facts".to_owned(), facts);
                Ok(result)
            }
            Control::AddHost { name, groups, vars } => {
                self.world.change_inventory(|inventory| {
                    inventory.add_host(&name);
                    for group in &groups {
                        inventory.add_group(group);
                        // Both are there.
                        let _ = inventory.add_to_group(group, &name);
                    }
                    for (key, value) in &vars {
                        let _ = inventory.set_host_var(&name, key, Raw { value: value.clone(), span: None });
                    }
                    inventory.reconcile();
                });
                let mut result = TaskResult { changed: true, ..TaskResult::default() };
                let described = [("host_name", Value::from(name)), ("groups", Value::from(groups)), ("host_vars", Value::from_pairs(vars))];
                result.fields.insert("add_host".to_owned(), Value::from_pairs(described));
                Ok(result)
            }
            Control::GroupBy { key, parents } => {
                let host = self.host.name.clone();
                self.world.change_inventory(|inventory| {
                    inventory.add_group(&key);
                    for parent in parents.iter().filter(|p| *p != "all") {
                        inventory.add_group(parent);
                        let _ = inventory.add_child(parent, &key);
                    }
                    let _ = inventory.add_to_group(&key, &host);
                    // Hosts come here in any order: the group keeps the inventory's.
                    let order: Vec<String> = inventory.hosts.keys().cloned().collect();
                    if let Some(group) = inventory.groups.get_mut(&key) {
                        group.hosts.sort_by_key(|h| order.iter().position(|o| o == h));
                    }
                    inventory.reconcile();
                });
                let mut result = TaskResult { changed: true, ..TaskResult::default() };
                result.fields.insert("add_group".to_owned(), Value::from(key));
                let parents = if parents.is_empty() { vec!["all".to_owned()] } else { parents };
                result.fields.insert("parent_groups".to_owned(), Value::from(parents));
                Ok(result)
            }
            control @ (Control::Kube { .. } | Control::KubeApply { .. }) => {
                let services = Arc::clone(&self.world.services);
                let cancel = self.world.cancel.clone();
                tokio::select! {
                    result = services.control(&self.host.name, &control, check, scope) => Ok(result),
                    () = cancel.cancelled() => Err(Stop::Cancelled),
                }
            }
            Control::Meta(_) => Ok(TaskResult::default()),
            Control::AsyncStatus { jid, cleanup } => Ok(self.world.jobs.status(&jid, cleanup)),
            Control::SetFact { facts, .. } => Ok(TaskResult { facts, ..TaskResult::default() }),
            Control::Assert { .. } | Control::DebugVar { .. } | Control::IncludeVars(_) => {
                Ok(TaskResult::failure("this action was compiled as a module, which is a bug in kubewright"))
            }
        }
    }

    async fn pause(&self, duration: Option<Duration>, prompt: Option<&str>, echo: bool) -> TaskResult {
        let mut result = TaskResult::default();
        let begun = Instant::now();
        if let Some(duration) = duration {
            self.sleep(duration).await;
        } else {
            let question = prompt.unwrap_or("Press enter to continue, Ctrl+C to interrupt");
            match self.world.services.ask(question, echo).await {
                Some(answer) => drop(result.fields.insert("user_input".to_owned(), Value::from(answer))),
                None => result.warnings.push("pause: nobody is there to answer, going on".to_owned()),
            }
        }
        let spent = begun.elapsed();
        let said = match duration {
            Some(d) if d.as_secs() >= 60 && d.as_secs() % 60 == 0 => format!("Paused for {} minutes", round(spent.as_secs_f64() / 60.0)),
            _ => format!("Paused for {} seconds", round(spent.as_secs_f64())),
        };
        for (name, value) in [
            ("delta", Value::from(spent.as_secs())),
            ("rc", 0.into()),
            ("stdout", said.into()),
            ("stderr", "".into()),
            ("echo", echo.into()),
        ] {
            result.fields.insert(name.to_owned(), value);
        }
        result.fields.entry("user_input".to_owned()).or_insert_with(|| "".into());
        result
    }

    /// Tries until the target runs a program, whose output must not be `unlike`.
    async fn wait_for(&self, target: &Target, timeout: Duration, sleep: Duration, unlike: Option<&str>) -> Result<(), String> {
        let deadline = Instant::now() + timeout;
        let mut why = "the host did not restart".to_owned();
        loop {
            connect::forget(&self.world, &target.host).await;
            let probe = Program { steps: vec![step(Sh::literal("cat /proc/sys/kernel/random/boot_id 2>/dev/null || echo none"))] };
            let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_secs(1));
            match tokio::time::timeout(left, self.run_program(target, &probe)).await {
                Ok(Ok(outcomes)) => {
                    let said = outcomes.first().map(|o| String::from_utf8_lossy(&o.stdout).trim().to_owned()).unwrap_or_default();
                    if unlike.is_none_or(|old| old != said || said == "none") {
                        return Ok(());
                    }
                }
                Ok(Err(e)) => why = e.to_string(),
                Err(_) => {}
            }
            if Instant::now() >= deadline || self.world.cancel.is_cancelled() {
                return Err(why);
            }
            self.sleep(sleep.max(Duration::from_millis(200))).await;
        }
    }

    async fn reboot(&self, target: &Target, timeout: Duration, test_command: &str, message: &str) -> Result<TaskResult, Stop> {
        let begun = Instant::now();
        let before = self.single(target, step(Sh::literal("cat /proc/sys/kernel/random/boot_id 2>/dev/null || echo none"))).await?;
        let before = String::from_utf8_lossy(&before.stdout).trim().to_owned();
        let go = Sh::fill("( sleep 1; shutdown -r now {} || reboot ) >/dev/null 2>&1 </dev/null &", &[message]);
        self.single(target, step(go)).await?;
        self.sleep(Duration::from_secs(2)).await;
        if let Err(why) = self.wait_for(target, timeout, Duration::from_secs(2), Some(&before)).await {
            return Ok(TaskResult::failure(format!("the host did not come back within {} s: {why}", timeout.as_secs())));
        }
        let deadline = Instant::now() + timeout;
        loop {
            let test = self.single(target, step(Sh::literal("sh -c ").then(&Sh::word(test_command)))).await?;
            if test.rc == 0 {
                break;
            }
            if Instant::now() > deadline {
                return Ok(TaskResult::failure(format!("`{test_command}` still fails after the reboot")));
            }
            self.sleep(Duration::from_secs(1)).await;
        }
        let mut result = TaskResult { changed: true, ..TaskResult::default() };
        result.fields.insert("rebooted".to_owned(), Value::from(true));
        result.fields.insert("elapsed".to_owned(), Value::from(begun.elapsed().as_secs()));
        Ok(result)
    }

    async fn fetch(
        &self,
        task: &Task,
        target: &Target,
        src: &str,
        dest: &str,
        flat: bool,
        fail_on_missing: bool,
    ) -> Result<TaskResult, Stop> {
        let outcome = self.single(target, step(Sh::fill("[ -f {} ] || exit 44\ncat -- {}", &[src, src]))).await?;
        if outcome.rc == 44 {
            let msg = format!("the remote file does not exist: {src}");
            if fail_on_missing {
                return Ok(TaskResult::failure(msg));
            }
            let mut result = TaskResult::ok("the remote file does not exist, not transferring, ignored");
            result.fields.insert("file".to_owned(), src.into());
            return Ok(result);
        }
        if outcome.rc != 0 || outcome.truncated {
            let why =
                if outcome.truncated { "it is larger than 1 MiB".into() } else { String::from_utf8_lossy(&outcome.stderr).into_owned() };
            return Ok(TaskResult::failure(format!("cannot fetch {src}: {}", why.trim())));
        }
        let base = std::path::Path::new(dest);
        let base = if base.is_absolute() { base.to_owned() } else { task.playbook_dir.join(base) };
        let path = match (flat, dest.ends_with('/')) {
            (true, true) => base.join(src.rsplit('/').next().unwrap_or(src)),
            (true, false) => base,
            (false, _) => base.join(&self.host.name).join(src.trim_start_matches('/')),
        };
        let same = std::fs::read(&path).is_ok_and(|old| old == outcome.stdout);
        if !same {
            let write = path.parent().map_or(Ok(()), std::fs::create_dir_all).and_then(|()| std::fs::write(&path, &outcome.stdout));
            if let Err(e) = write {
                return Ok(TaskResult::failure(format!("{}: {e}", path.display())));
            }
        }
        let mut result = TaskResult { changed: !same, ..TaskResult::default() };
        let checksum = hex(&Sha1::digest(&outcome.stdout));
        for (name, value) in [
            ("dest", Value::from(super::magic::absolute(&path))),
            ("file", src.into()),
            ("md5sum", hex(&md5::compute(&outcome.stdout).0).into()),
            ("remote_md5sum", ().into()),
            ("checksum", checksum.as_str().into()),
            ("remote_checksum", checksum.as_str().into()),
        ] {
            result.fields.insert(name.to_owned(), value);
        }
        Ok(result)
    }

    /// Gathers facts that a template asked for.
    pub(super) async fn gather(&mut self, wants: Wants) {
        let scope = Arc::new(self.scope(None, Arc::default()));
        let target = match connect::target(&self.world, &scope, &self.run.play.keywords) {
            Ok(target) => target,
            Err(e) => return self.fail_here(&e.to_string()),
        };
        if let Err(why) = self.gather_from(&target, &wants).await {
            if self.world.cancel.is_cancelled() {
                return;
            }
            match self.next_task() {
                Some(task) => {
                    let scope = Arc::new(self.scope(Some(&task), self.stack.locals()));
                    let planned = Planned::bare(&self.world, &task, scope);
                    self.cannot_reach(&planned, &why);
                }
                None => self.unreachable(&why),
            }
        }
    }

    pub(super) async fn gather_from(&self, target: &Target, wants: &Wants) -> Result<(), String> {
        let names: BTreeSet<String> = if wants.all_facts { BTreeSet::new() } else { wants.facts.clone() };
        let step = facts::gather(&names);
        let program = Program {
            steps: vec![ProgramStep {
                id: 0,
                check: step.check,
                apply: None,
                keep_going: true,
                timeout: None,
                stdin: step.stdin,
                blobs: step.blobs,
            }],
        };
        let outcomes = self.run_program(target, &program).await.map_err(|e| e.to_string())?;
        let found = outcomes.first().map(|o| (step.finish)(o).facts).unwrap_or_default();
        let mut data = self.host.data();
        data.asked.extend(names);
        data.asked_all |= wants.all_facts;
        data.facts.extend(found);
        drop(data);
        self.world.changed();
        Ok(())
    }
}
