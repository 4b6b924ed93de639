//! Volumes that stay behind: roots of instances that died strangely, and what the CSI driver made.

use super::{
    api::{Effect, gone_is_fine},
    errors::Fault,
    run::Ctx,
};

/// Calls.
#[derive(Clone, Debug)]
pub enum Work {
    /// Deletes it.
    Delete {
        /// Its id.
        id: String,
    },
}

impl Work {
    pub(super) async fn run(&self, ctx: &Ctx<'_>) -> Result<Option<String>, Fault> {
        let Self::Delete { id } = self;
        gone_is_fine(ctx.api.call("DeleteVolume", Effect::Takes, || ctx.api.ec2.delete_volume().volume_id(id).send()).await)?;
        Ok(None)
    }
}
