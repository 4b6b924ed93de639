//! Which of several jump hosts is taken: the first that can be reached. The next one is tried when one fails, or when it
//! says nothing for a while, so that a dead machine costs seconds and not its whole deadline.

use super::{ConnectionError, ssh::Ssh};
use futures::{StreamExt, stream::FuturesUnordered};
use std::{sync::Arc, time::Duration};

/// How long one is waited for before the next is tried beside it.
const PATIENCE: Duration = Duration::from_secs(2);

/// The first of them that is connected, or can be.
///
/// # Errors
/// The first one's, when none can be reached.
pub(super) async fn first(jumps: &[Arc<Ssh>]) -> Result<Arc<Ssh>, ConnectionError> {
    if let Some(live) = jumps.iter().find(|jump| jump.is_live()) {
        return Ok(Arc::clone(live));
    }
    let mut errors: Vec<(usize, ConnectionError)> = Vec::new();
    let mut dials = FuturesUnordered::new();
    let mut left = jumps.iter().enumerate();
    loop {
        let next = left.next();
        let last = next.is_none();
        if let Some((i, jump)) = next {
            dials.push(async move { (i, jump.reach(jump.name()).await.map(|_| Arc::clone(jump))) });
        }
        loop {
            let ended = if last { dials.next().await } else { tokio::time::timeout(PATIENCE, dials.next()).await.unwrap_or(None) };
            match ended {
                Some((_, Ok(jump))) => return Ok(jump),
                Some((i, Err(error))) => errors.push((i, error)),
                None => break,
            }
            if !last {
                break;
            }
        }
        if last {
            errors.sort_by_key(|(i, _)| *i);
            let none = || ConnectionError::Local { host: String::new(), why: "there is no jump host".to_owned() };
            return Err(errors.into_iter().next().map_or_else(none, |(_, error)| error));
        }
    }
}
