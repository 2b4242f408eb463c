//! How a registry reaches what is registered, without keeping it alive.

use std::sync::Weak;

/// A way to something that may have gone: a `&'static`, a [`Weak`] (by `Arc::downgrade`), or a handle that is
/// [`Kept`].
pub trait Watch: Send + Sync + 'static {
    /// What is watched.
    type Target;
    /// Looks at it, if it is still there.
    fn look<R>(&self, look: impl FnOnce(&Self::Target) -> R) -> Option<R>;
}

impl<T: Sync + 'static> Watch for &'static T {
    type Target = T;
    fn look<R>(&self, look: impl FnOnce(&T) -> R) -> Option<R> {
        Some(look(self))
    }
}

impl<T: Send + Sync + 'static> Watch for Weak<T> {
    type Target = T;
    fn look<R>(&self, look: impl FnOnce(&T) -> R) -> Option<R> {
        self.upgrade().map(|target| look(&target))
    }
}

/// Something that the registry keeps itself: an [`ArenaRef`](crate::ArenaRef) of a mapped arena, for example.
#[derive(Clone, Copy, Debug)]
pub struct Kept<T>(pub T);

impl<T: Send + Sync + 'static> Watch for Kept<T> {
    type Target = T;
    fn look<R>(&self, look: impl FnOnce(&T) -> R) -> Option<R> {
        Some(look(&self.0))
    }
}
