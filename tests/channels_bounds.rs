//! What may cross threads, and what must not: checked by the compiler, nothing to run.
//!
//! That a value which is not `Send` cannot cross, and that a lease cannot outlive its arena, are
//! `compile_fail` examples in `src/bounds.rs`.
#![cfg(not(loom))]

use core::cell::Cell;
use core::marker::PhantomPinned;

use cloakroom::channel::{
    Buffered, Bytes, Channel, Conflated, RecvBytes, RecvFuture, Rendezvous, SendFuture, Unlimited,
};
use cloakroom::kernel::{CancelChild, CancelToken, Cancelled, JoinHandle, Kernel, Sleep, Timers};
use cloakroom::limit::Limited;
use cloakroom::select::Select;
use cloakroom::sync::{CriticalSectionRawMutex as Shared, NoopRawMutex as Local, SpinRawMutex};
use cloakroom::{Arena, ArenaRef, Lease, LeaseMut, Owned, Parcel, Ticket};

fn send<T: Send>() {}
fn sync<T: Sync>() {}
fn unpin<T: Unpin>() {}

/// `is_not!(Type: Trait)` compiles only if it is not: otherwise `_` has two answers.
macro_rules! is_not {
    ($type:ty: $trait:ident) => {
        const _: () = {
            trait Ambiguous<A> {
                fn answer() {}
            }
            impl<T: ?Sized> Ambiguous<()> for T {}
            #[allow(dead_code)]
            struct Both;
            impl<T: ?Sized + $trait> Ambiguous<Both> for T {}
            let _ = <$type as Ambiguous<_>>::answer;
        };
    };
}

/// A value that may be sent but not shared.
type Value = Cell<u8>;
/// A value that must stay where it is.
type Stuck = *mut u8;

#[test]
fn what_may_cross_threads() {
    send::<Channel<Shared, Value, Rendezvous>>();
    sync::<Channel<Shared, Value, Rendezvous>>();
    sync::<Channel<SpinRawMutex, Value, Buffered<4>>>();
    sync::<Channel<Shared, Value, Conflated>>();
    send::<Channel<Shared, Value, Unlimited<'static, Shared>>>();
    sync::<Channel<Shared, Value, Unlimited<'static, Shared>>>();
    sync::<Bytes<'static, Shared, Buffered<4>>>();
    // On one thread only, but there to be moved.
    send::<Channel<Local, Value, Buffered<4>>>();

    send::<SendFuture<'static, Shared, Value, Buffered<4>>>();
    send::<SendFuture<'static, Shared, Value, Unlimited<'static, Shared>>>();
    send::<RecvFuture<'static, Shared, Value, Buffered<4>>>();
    send::<RecvBytes<'static, 'static, Shared, Buffered<4>>>();
    send::<Select<(RecvFuture<'static, Shared, Value, Buffered<4>>, Sleep<'static, Shared>)>>();

    sync::<Arena<Shared, 8, 64, 8>>();
    send::<ArenaRef<'static, Shared>>();
    send::<LeaseMut<'static, Shared>>();
    send::<Lease<'static, Shared>>();
    sync::<Lease<'static, Shared>>();
    send::<Parcel<'static, Shared>>();
    send::<Owned<'static, Value, Shared>>();
    send::<Ticket>();
    sync::<Ticket>();

    sync::<Kernel<Shared>>();
    sync::<Timers<Shared>>();
    sync::<CancelToken<Shared>>();
    sync::<CancelChild<'static, Shared>>();
    send::<Sleep<'static, Shared>>();
    send::<Cancelled<'static, Shared>>();
    send::<JoinHandle<Value, Shared>>();
    unpin::<JoinHandle<PhantomPinned, Shared>>();
}

// A lock for one thread keeps everything on it.
is_not!(Channel<Local, u8, Buffered<4>>: Sync);
is_not!(Channel<Local, u8, Rendezvous>: Sync);
is_not!(Bytes<'static, Local, Buffered<4>>: Sync);
is_not!(SendFuture<'static, Local, u8, Buffered<4>>: Send);
is_not!(RecvFuture<'static, Local, u8, Buffered<4>>: Send);
is_not!(Arena<Local, 8, 64, 8>: Sync);
is_not!(ArenaRef<'static, Local>: Send);
is_not!(Lease<'static, Local>: Send);
is_not!(LeaseMut<'static, Local>: Send);
is_not!(Parcel<'static, Local>: Send);
is_not!(Timers<Local>: Sync);
is_not!(Sleep<'static, Local>: Send);
is_not!(CancelToken<Local>: Sync);
is_not!(CancelChild<'static, Local>: Send);
is_not!(Cancelled<'static, Local>: Send);

// A value that must stay keeps its channel with it.
is_not!(Channel<Shared, Stuck, Buffered<4>>: Sync);
is_not!(Channel<Shared, Stuck, Buffered<4>>: Send);
is_not!(Channel<Shared, Stuck, Unlimited<'static, Shared>>: Sync);
is_not!(SendFuture<'static, Shared, Stuck, Buffered<4>>: Send);
is_not!(RecvFuture<'static, Shared, Stuck, Buffered<4>>: Send);
is_not!(Owned<'static, Stuck, Shared>: Send);
is_not!(JoinHandle<Stuck, Shared>: Send);

// A token in a list must not move.
is_not!(SendFuture<'static, Shared, u8, Buffered<4>>: Unpin);
is_not!(RecvFuture<'static, Shared, u8, Buffered<4>>: Unpin);
is_not!(RecvBytes<'static, 'static, Shared, Buffered<4>>: Unpin);
is_not!(Sleep<'static, Shared>: Unpin);
is_not!(Cancelled<'static, Shared>: Unpin);
is_not!(CancelChild<'static, Shared>: Unpin);
is_not!(Select<(Sleep<'static, Shared>, Sleep<'static, Shared>)>: Unpin);
is_not!(Limited<Sleep<'static, Shared>, (), ()>: Unpin);
