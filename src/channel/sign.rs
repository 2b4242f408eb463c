//! What a rendezvous between threads says outside its lock: whether who comes now would have to wait.
//!
//! A future that waits leaves a waker, and a foreign one cannot be cloned under the lock. Half of those who come to a rendezvous have
//! to wait; told so before, they bring a clone along, and need one critical section instead of two. A sign may be out of date as soon
//! as it is read, so nothing is decided by it.

use core::convert::Infallible;
// Not a model checker's: see above.
use core::sync::atomic::{AtomicU8, Ordering};

use super::aside::{Aside, Missed};
use super::store::sealed::Sealed;

/// See the [module](self). A byte, in a gap beside the lock.
#[doc(hidden)]
pub struct Sign(AtomicU8);

/// Senders have somebody to meet; receivers have.
const SENDS: u8 = 1;
const RECEIVES: u8 = 2;

impl Sealed for Sign {}

impl Sign {
    #[inline(always)]
    fn may(&self, what: u8) -> Result<(), Missed<()>> {
        // Relaxed: nothing is read on the strength of it.
        if self.0.load(Ordering::Relaxed) & what == 0 {
            Err(Missed::NotNow(()))
        } else {
            Err(Missed::Shut(()))
        }
    }
}

impl<T> Aside<T> for Sign {
    const NEW: Self = Self(AtomicU8::new(0));
    const LENDS: bool = false;
    const TELLS: bool = true;
    type Lanes = Infallible;

    #[inline(always)]
    fn may_send(&self) -> Result<(), Missed<()>> {
        self.may(SENDS)
    }

    #[inline(always)]
    fn may_recv(&self) -> Result<(), Missed<()>> {
        self.may(RECEIVES)
    }

    #[inline(always)]
    fn keep(&self, [sends_wait, receives_wait]: [bool; 2]) {
        let sign = if sends_wait { 0 } else { SENDS } | if receives_wait { 0 } else { RECEIVES };
        // Relaxed: as above. A plain store does, as whoever writes has the lock.
        self.0.store(sign, Ordering::Relaxed);
    }
}
