//! What may cross threads, and what must not: checked by the compiler, nothing to run.
//!
//! That a value which is not `Send` cannot cross, and that a lease cannot outlive its arena, are
//! `compile_fail` examples in `src/bounds.rs`.
#![cfg(not(loom))]

use core::cell::Cell;
use core::marker::PhantomPinned;
use std::sync::Arc;

use cloakroom::channel::{
    Broadcast, Buffered, Bytes, Channel, Closed, Conflated, Counted, CountedReceiver,
    CountedSender, FanOut, Permit, Priority, Receiver, RecvBytes, RecvFuture, RecvMany, Rendezvous,
    Reserve, SendFuture, SendMany, SendSink, Sender, Subscriber, Unlimited, WeakSender,
};
use cloakroom::kernel::{
    CancelChild, CancelToken, Cancelled, JoinHandle, Kernel, Sleep, Ticks, Timers,
};
use cloakroom::limit::Limited;
use cloakroom::select::{Arm, Mapped, Never, Plain, Ready, Select, SelectSet};
use cloakroom::sync::{CriticalSectionRawMutex as Shared, NoopRawMutex as Local, SpinRawMutex};
use cloakroom::{Arena, ArenaRef, Lease, LeaseMut, Owned, Parcel, Shared as SharedValue, Ticket};

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

type Ring = Buffered<4>;
type Received = Result<Value, cloakroom::RecvError>;

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
    sync::<Channel<Shared, Value, Priority<4>>>();
    sync::<Channel<Shared, u8, Broadcast<4>>>();
    sync::<Bytes<'static, Shared, Broadcast<4>>>();
    sync::<Counted<Shared, Value, Buffered<4>>>();
    // On one thread only, but there to be moved.
    send::<Channel<Local, Value, Buffered<4>>>();

    send::<SendFuture<'static, Shared, Value, Buffered<4>>>();
    send::<SendFuture<'static, Shared, Value, Unlimited<'static, Shared>>>();
    send::<RecvFuture<'static, Shared, Value, Buffered<4>>>();
    send::<RecvBytes<'static, 'static, Shared, Buffered<4>>>();
    send::<Select<(RecvFuture<'static, Shared, Value, Buffered<4>>, Sleep<'static, Shared>)>>();

    send::<Permit<'static, Shared, Value, Ring>>();
    send::<Reserve<'static, Shared, Value, Ring>>();
    send::<Reserve<'static, Shared, Value, Unlimited<'static, Shared>>>();
    send::<Closed<'static, Shared, Value, Ring>>();
    send::<SendMany<'static, Shared, Value, Ring, std::vec::IntoIter<Value>>>();
    send::<RecvMany<'static, Shared, Value, Ring, Vec<Value>>>();
    send::<SendSink<'static, Shared, Value, Ring>>();
    send::<FanOut<'static, 'static, Shared, Ring>>();
    sync::<Sender<Shared, Value, Ring>>();
    sync::<Receiver<Shared, Value, Ring>>();
    send::<CountedSender<&'static Counted<Shared, Value, Ring>>>();
    sync::<CountedReceiver<&'static Counted<Shared, Value, Ring>>>();
    send::<CountedSender<Arc<Counted<Shared, Value, Ring>>>>();
    send::<CountedSender<SharedValue<'static, Counted<Shared, Value, Ring>, Shared>>>();
    send::<WeakSender<&'static Counted<Shared, Value, Ring>>>();
    send::<Subscriber<&'static Channel<Shared, u8, Broadcast<4>>>>();
    send::<RecvFuture<'static, Shared, u8, Broadcast<4>>>();
    send::<Mapped<RecvFuture<'static, Shared, Value, Ring>, fn(Received) -> u8>>();
    send::<Plain<core::future::Ready<Value>>>();
    send::<Never<Stuck>>();
    send::<Ready<'static, [Sleep<'static, Shared>; 2]>>();
    send::<SelectSet<'static, dyn Arm<Output = Value> + Send, 4>>();
    send::<Ticks<'static, Shared>>();

    sync::<Arena<Shared, 8, 64, 8>>();
    sync::<SharedValue<'static, u8, Shared>>();
    send::<SharedValue<'static, u8, Shared>>();
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

is_not!(Permit<'static, Local, u8, Ring>: Send);
is_not!(Reserve<'static, Local, u8, Ring>: Send);
is_not!(Closed<'static, Local, u8, Ring>: Send);
is_not!(Counted<Local, u8, Ring>: Sync);
is_not!(CountedSender<&'static Counted<Local, u8, Ring>>: Send);
is_not!(Subscriber<&'static Channel<Local, u8, Broadcast<4>>>: Send);
is_not!(SharedValue<'static, u8, Local>: Send);
is_not!(Ticks<'static, Local>: Send);
is_not!(Select<[Sleep<'static, Local>; 2]>: Send);

// One subscriber has one cursor.
is_not!(Subscriber<&'static Channel<Shared, u8, Broadcast<4>>>: Sync);
// Whoever shares it can see it.
is_not!(SharedValue<'static, Value, Shared>: Send);
is_not!(SharedValue<'static, Value, Shared>: Sync);
// What is in a set is sent with it.
is_not!(SelectSet<'static, dyn Arm<Output = u8>, 4>: Send);
is_not!(Plain<core::future::Ready<Stuck>>: Send);
is_not!(Mapped<RecvFuture<'static, Local, u8, Ring>, fn(u8) -> u8>: Send);

// A value that must stay keeps its channel with it.
is_not!(Permit<'static, Shared, Stuck, Ring>: Send);
is_not!(Reserve<'static, Shared, Stuck, Ring>: Send);
is_not!(SendMany<'static, Shared, Stuck, Ring, std::vec::IntoIter<Stuck>>: Send);
is_not!(RecvMany<'static, Shared, Stuck, Ring, Vec<Stuck>>: Send);
is_not!(SendSink<'static, Shared, Stuck, Ring>: Send);
is_not!(Sender<Shared, Stuck, Ring>: Sync);
is_not!(Receiver<Shared, Stuck, Ring>: Sync);
is_not!(Counted<Shared, Stuck, Ring>: Sync);
is_not!(CountedSender<&'static Counted<Shared, Stuck, Ring>>: Send);
is_not!(Channel<Shared, Stuck, Priority<4>>: Sync);
is_not!(Channel<Shared, Stuck, Broadcast<4>>: Sync);
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
is_not!(Reserve<'static, Shared, u8, Ring>: Unpin);
is_not!(Closed<'static, Shared, u8, Ring>: Unpin);
is_not!(SendMany<'static, Shared, u8, Ring, std::vec::IntoIter<u8>>: Unpin);
is_not!(RecvMany<'static, Shared, u8, Ring, Vec<u8>>: Unpin);
is_not!(SendSink<'static, Shared, u8, Ring>: Unpin);
is_not!(FanOut<'static, 'static, Shared, Ring>: Unpin);
is_not!(Ticks<'static, Shared>: Unpin);
is_not!(Mapped<Sleep<'static, Shared>, fn(())>: Unpin);
is_not!(SelectSet<'static, Sleep<'static, Shared>, 4>: Unpin);

/// What may be shortened. Each function compiles only if its type is covariant there.
mod variance {
    use super::*;

    #[allow(dead_code)]
    fn lease<'s>(long: Lease<'static, Shared>) -> Lease<'s, Shared> {
        long
    }
    #[allow(dead_code)]
    fn parcel<'s>(long: Parcel<'static, Shared>) -> Parcel<'s, Shared> {
        long
    }
    #[allow(dead_code)]
    fn shared<'s>(
        long: SharedValue<'static, &'static u8, Shared>,
    ) -> SharedValue<'s, &'s u8, Shared> {
        long
    }
    #[allow(dead_code)]
    fn permit<'s>(long: Permit<'static, Shared, u8, Ring>) -> Permit<'s, Shared, u8, Ring> {
        long
    }
    #[allow(dead_code)]
    fn send<'s>(long: SendFuture<'static, Shared, u8, Ring>) -> SendFuture<'s, Shared, u8, Ring> {
        long
    }
    #[allow(dead_code)]
    fn receive<'s>(
        long: RecvFuture<'static, Shared, u8, Ring>,
    ) -> RecvFuture<'s, Shared, u8, Ring> {
        long
    }
    #[allow(dead_code)]
    fn reserve<'s>(long: Reserve<'static, Shared, u8, Ring>) -> Reserve<'s, Shared, u8, Ring> {
        long
    }
}
