//! What is asked of who writes the store that several machines share: the publisher only follows that.

use tokio::sync::{mpsc, oneshot};

use super::feed::{Receipt, SubmitError};
use crate::{
    catalog::names::Text,
    kv::{change::Change, operation::Operation},
};

/// Something that is to be done, and whom to tell.
#[derive(Debug)]
pub struct Request {
    /// What.
    pub wanted: Wanted,
    /// Told when it is done there and published here.
    pub done: oneshot::Sender<Result<Receipt, SubmitError>>,
}

/// What is to be done.
#[derive(Debug)]
pub enum Wanted {
    /// All of these operations on keys, as one.
    Operations(Vec<Operation>),
    /// A change of sessions.
    Change(Change),
    /// A session with a TTL has its whole time again; it is refused where it has ended.
    Renewal(Text),
    /// All that was done there before is published here.
    CatchUp,
}

/// What waits to be done.
pub type Requests = mpsc::Receiver<Request>;

/// Asks for something, and waits until it is done.
pub(super) async fn ask(queue: &mpsc::Sender<Request>, wanted: Wanted) -> Result<Receipt, SubmitError> {
    let (done, outcome) = oneshot::channel();
    match queue.send_timeout(Request { wanted, done }, super::feed::WAIT_MAX).await {
        Ok(()) => outcome.await.unwrap_or(Err(SubmitError::Closed)),
        Err(mpsc::error::SendTimeoutError::Timeout(_)) => Err(SubmitError::Busy),
        Err(mpsc::error::SendTimeoutError::Closed(_)) => Err(SubmitError::Closed),
    }
}
