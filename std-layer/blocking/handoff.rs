//! What crosses a rendezvous: a value, or the promise of one.
//!
//! A select that sends says what it sends only after it has been chosen, so the sender of a rendezvous may be matched
//! before there is a value. Then an empty packet crosses, and the receiver, which is bound to that sender by the same
//! claim, waits until it is filled. So both sides have met when either goes on, as for any other rendezvous.

use std::mem;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

/// What crosses.
pub(super) enum Handoff<T> {
    Value(T),
    Later(Packet<T>),
}

impl<T> Handoff<T> {
    /// The value, once there is one. `None` if its sender has given up.
    #[inline]
    pub(super) fn wait(self) -> Option<T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Later(packet) => packet.0.wait(),
        }
    }

    /// The value that was to be sent and was not.
    pub(super) fn value(self) -> Option<T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Later(_) => None,
        }
    }
}

/// The receiver's end of a packet.
pub(super) struct Packet<T>(Arc<Shared<T>>);

/// The sender's end of a packet. If it goes away without a value the receiver is told.
pub(super) struct PacketToFill<T>(Arc<Shared<T>>);

struct Shared<T> {
    content: Mutex<Content<T>>,
    changed: Condvar,
}

enum Content<T> {
    Empty,
    Filled(T),
    GivenUp,
}

/// Both ends of a packet.
pub(super) fn packet<T>() -> (PacketToFill<T>, Packet<T>) {
    let shared = Arc::new(Shared { content: Mutex::new(Content::Empty), changed: Condvar::new() });
    (PacketToFill(shared.clone()), Packet(shared))
}

impl<T> Shared<T> {
    fn wait(&self) -> Option<T> {
        // No foreign code runs with the lock held, so a poisoned one means nothing.
        let mut content = self.content.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            match mem::replace(&mut *content, Content::GivenUp) {
                Content::Filled(value) => return Some(value),
                Content::GivenUp => return None,
                Content::Empty => *content = Content::Empty,
            }
            content = self.changed.wait(content).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Puts something in, unless something is.
    fn fill(&self, with: Content<T>) {
        let mut content = self.content.lock().unwrap_or_else(PoisonError::into_inner);
        if let Content::Empty = *content {
            *content = with;
        }
        drop(content);
        self.changed.notify_one();
    }
}

impl<T> PacketToFill<T> {
    pub(super) fn fill(self, value: T) {
        self.0.fill(Content::Filled(value));
    }
}

impl<T> Drop for PacketToFill<T> {
    fn drop(&mut self) {
        self.0.fill(Content::GivenUp);
    }
}
