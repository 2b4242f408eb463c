//! A lease as [`bytes::Bytes`].

use bytes::Bytes;

use crate::arena::Lease;
use crate::sync::RawMutex;

impl<M: RawMutex + Sync + 'static> From<Lease<'static, M>> for Bytes {
    /// The lease's own memory, shared, without a copy; it is given back when the last part of it has gone. One
    /// allocation, for the owner.
    ///
    /// ```
    /// use bytes::Bytes;
    /// use cloakroom::{Arena, sync::CriticalSectionRawMutex as Lock};
    ///
    /// static ARENA: Arena<Lock, 16, 64, 8> = Arena::new();
    /// let message = ARENA.try_alloc_from(b"GET /index.html")?;
    /// let address = message.as_ptr();
    /// let bytes = Bytes::from(message);
    /// let path = bytes.slice(4..);
    /// drop(bytes);
    /// assert_eq!((&path[..], path.as_ptr()), (&b"/index.html"[..], address.wrapping_add(4)));
    /// assert_eq!(ARENA.snapshot().live, 1);
    /// drop(path);
    /// assert_eq!(ARENA.snapshot().live, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    fn from(lease: Lease<'static, M>) -> Self {
        Self::from_owner(lease)
    }
}
