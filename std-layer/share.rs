//! Values on the heap in a broadcast.

use std::ops::Deref;
use std::sync::Arc;

use crate::channel::Share;

/// An `Arc` as a value of a [`Broadcast`](crate::channel::Broadcast) channel.
///
/// ```
/// use cloakroom::channel::{Broadcast, Channel};
/// use cloakroom::std_layer::{ArcShare, StdRawMutex};
///
/// static NEWS: Channel<StdRawMutex, ArcShare<str>, Broadcast<4>> = Channel::new();
/// let mut reader = NEWS.subscribe();
/// NEWS.try_send(ArcShare("extra".into()))?;
/// assert_eq!(&*reader.try_recv()?.value().ok_or("lagged")?, "extra");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct ArcShare<T: ?Sized>(pub Arc<T>);

// SAFETY: `Arc`'s clone is an atomic addition, and aborts if it overflows.
unsafe impl<T: ?Sized> Share for ArcShare<T> {
    fn share(&self) -> Option<Self> {
        Some(Self(self.0.clone()))
    }
}

impl<T: ?Sized> Deref for ArcShare<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}
