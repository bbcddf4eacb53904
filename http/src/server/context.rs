//! What all requests need, whichever route they are for.

use std::sync::Arc;

use super::body::BodyResources;
use super::counts::Counts;
use super::renewal::Access;

/// What all requests need.
pub(crate) struct Context {
    pub(crate) access: Arc<Access>,
    pub(crate) bodies: BodyResources,
    pub(crate) counts: Arc<Counts>,
}
