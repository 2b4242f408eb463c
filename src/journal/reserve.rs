//! Who may use how much of a log, so that it is full only when what lives fills it.

/// For whom there must be room.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum For {
    /// Messages.
    Sends,
    /// What makes messages that live fewer.
    Acks,
    /// What is copied forward from the oldest segment, and that it is not needed any more.
    Collector,
}

impl For {
    /// Slots that are left free for the others. Who comes to fewer does not even write in the current segment: it was begun
    /// for those others, and what is copied forward finds a whole one, which is room for all that can live in the oldest.
    pub(crate) fn leaves(self) -> usize {
        match self {
            Self::Sends => 2,
            Self::Acks => 1,
            Self::Collector => 0,
        }
    }
}
