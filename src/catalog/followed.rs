//! What is told of a store that several machines share, whatever it is of.

/// What was done elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Followed<Event> {
    /// The revision up to which this is.
    pub revision: u64,
    /// Whether it is all that there is.
    pub told: Told,
    /// What happened, in this order.
    pub events: Vec<Event>,
}

/// What is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// All that there is: what else was known is gone.
    Everything,
    /// What came, changed or went.
    Changes,
}
