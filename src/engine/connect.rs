//! From variables to where a task runs and as whom.

use super::{
    Login, Shell, Target, plan,
    scope::TaskScope,
    value,
    world::{World, lock},
};
use crate::{
    playbook::Keywords,
    session::{Become, SessionError},
    template::{Scope, TemplateError},
    text::Secret,
};
use minijinja::Value;
use std::sync::Arc;

/// The first of some variables that is set.
fn first(scope: &dyn Scope, names: &[&str]) -> Result<Option<Value>, TemplateError> {
    for name in names {
        if let Some(value) = scope.get(name)?.filter(|v| !v.is_none() && !v.is_undefined()) {
            return Ok(Some(value));
        }
    }
    Ok(None)
}

/// Connection variables. `scope` is that of the host that is connected to.
pub(super) fn login(world: &World, scope: &TaskScope, keywords: &Keywords) -> Result<Login, TemplateError> {
    let keyword = |raw| plan::keyword(world, scope, raw);
    let text = |v: Option<Value>| v.map(|v| value::as_text(&v)).filter(|t| !t.is_empty());
    let mut ssh_args = Vec::new();
    for name in ["ansible_ssh_common_args", "ansible_ssh_extra_args"] {
        if let Some(args) = text(first(scope, &[name])?) {
            ssh_args.extend(shlex::split(&args).unwrap_or_default());
        }
    }
    Ok(Login {
        connection: text(match first(scope, &["ansible_connection"])? {
            Some(v) => Some(v),
            None => keyword(keywords.connection.as_ref())?,
        }),
        address: text(first(scope, &["ansible_ssh_host", "ansible_host"])?),
        port: match first(scope, &["ansible_ssh_port", "ansible_port"])? {
            Some(v) => Some(v),
            None => keyword(keywords.port.as_ref())?,
        }
        .and_then(|v| value::as_text(&v).parse().ok()),
        user: text(match first(scope, &["ansible_ssh_user", "ansible_user"])? {
            Some(v) => Some(v),
            None => keyword(keywords.remote_user.as_ref())?,
        }),
        password: text(first(scope, &["ansible_ssh_pass", "ansible_ssh_password", "ansible_password"])?).map(Secret::new),
        key_file: text(first(scope, &["ansible_ssh_private_key_file", "ansible_private_key_file"])?).map(Into::into),
        ssh_args,
    })
}

/// As whom a task runs: variables of the host, then keywords, then the command line.
pub(super) fn become_(world: &World, scope: &TaskScope, keywords: &Keywords) -> Result<Become, TemplateError> {
    let on = match first(scope, &["ansible_become", "ansible_sudo"])? {
        Some(v) => value::as_bool(&v),
        None => plan::flag(world, scope, keywords.become_.as_ref())?,
    };
    if !on.unwrap_or(world.options.become_) {
        return Ok(Become::No);
    }
    let user = match first(scope, &["ansible_become_user", "ansible_sudo_user"])? {
        Some(v) => Some(v),
        None => plan::keyword(world, scope, keywords.become_user.as_ref())?,
    };
    let user = user.map(|v| value::as_text(&v)).or_else(|| world.options.become_user.clone()).unwrap_or_else(|| "root".to_owned());
    let password = first(scope, &["ansible_become_password", "ansible_become_pass", "ansible_sudo_pass"])?;
    let password = password.map(|v| Secret::new(value::as_text(&v))).or_else(|| world.options.become_password.clone());
    Ok(Become::Sudo { user, password })
}

/// Where a task of this scope's host runs.
pub(super) fn target(world: &World, scope: &TaskScope, keywords: &Keywords) -> Result<Target, TemplateError> {
    Ok(Target { host: scope.frame.host.name.clone(), login: login(world, scope, keywords)?, become_: become_(world, scope, keywords)? })
}

/// What tells shells apart.
pub(super) fn key(target: &Target) -> (String, String) {
    let user = match &target.become_ {
        Become::No => String::new(),
        Become::Sudo { user, .. } => user.clone(),
    };
    let login = &target.login;
    let text = |t: &Option<String>| t.clone().unwrap_or_default();
    (target.host.clone(), format!("{user}\0{}\0{}\0{}", text(&login.user), text(&login.connection), text(&login.address)))
}

/// A shell of one's own until it is given back.
pub(super) async fn borrow(world: &World, target: &Target) -> Result<Arc<dyn Shell>, SessionError> {
    let idle = lock(&world.idle).get_mut(&key(target)).and_then(Vec::pop);
    match idle {
        Some(shell) => Ok(shell),
        None => world.connector.session(target).await,
    }
}

/// Gives a shell back that still works.
pub(super) fn give_back(world: &World, target: &Target, shell: Arc<dyn Shell>) {
    lock(&world.idle).entry(key(target)).or_default().push(shell);
}

/// Forgets all shells of a host.
pub(super) async fn forget(world: &World, host: &str) {
    lock(&world.idle).retain(|(h, _), _| h != host);
    world.connector.reset(host).await;
}
