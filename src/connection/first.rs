//! Which of several ways is taken: the first that works. The next one is tried when one fails, or when it says nothing for a
//! while, so that a dead machine costs seconds and not its whole deadline.

use super::{ConnectionError, ssh::Ssh};
use futures::{StreamExt, stream::FuturesUnordered};
use std::{sync::Arc, time::Duration};

/// How long one is waited for before the next is tried beside it.
const PATIENCE: Duration = Duration::from_secs(2);

/// The result of the first attempt that succeeds; they begin in this order.
///
/// # Errors
/// All errors, in the same order, when none does.
pub async fn first<T, E, F>(attempts: impl IntoIterator<Item = F>) -> Result<T, Vec<E>>
where
    F: Future<Output = Result<T, E>>,
{
    let mut errors: Vec<(usize, E)> = Vec::new();
    let mut running = FuturesUnordered::new();
    let mut left = attempts.into_iter().enumerate().peekable();
    while let Some((i, attempt)) = left.next() {
        running.push(async move { (i, attempt.await) });
        loop {
            let last = left.peek().is_none();
            let ended = if last { running.next().await } else { tokio::time::timeout(PATIENCE, running.next()).await.unwrap_or(None) };
            match ended {
                Some((_, Ok(value))) => return Ok(value),
                Some((i, Err(error))) => errors.push((i, error)),
                None => break,
            }
            if !last {
                break;
            }
        }
    }
    errors.sort_by_key(|(i, _)| *i);
    Err(errors.into_iter().map(|(_, error)| error).collect())
}

/// The first jump host that is connected, or can be.
///
/// # Errors
/// The first one's, when none can be reached.
pub(super) async fn jump(jumps: &[Arc<Ssh>]) -> Result<Arc<Ssh>, ConnectionError> {
    if let Some(live) = jumps.iter().find(|jump| jump.is_live()) {
        return Ok(Arc::clone(live));
    }
    let dial = |jump: Arc<Ssh>| async move { jump.reach(jump.name()).await.map(|_| jump) };
    first(jumps.iter().cloned().map(dial)).await.map_err(|errors| {
        let none = || ConnectionError::Local { host: String::new(), why: "there is no jump host".to_owned() };
        errors.into_iter().next().unwrap_or_else(none)
    })
}
