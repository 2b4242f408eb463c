//! Wakers are foreign code: they may panic, and they may come back into the channel. Nothing that the channel
//! knows goes wrong for it, and no memory is used after its time.
#![cfg(all(feature = "std", not(any(loom, shuttle))))]

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::ptr::from_ref;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, RawWaker, RawWakerVTable, Waker};

use cloakroom::channel::{
    Broadcast, Buffered, Bytes, Channel, Delivery, DropOldest, Share, try_fan_out_all,
};
use cloakroom::error::{SendTimeoutError, StoppedError, TryRecvError};
use cloakroom::kernel::{CancelToken, TimerQueue, Timers};
use cloakroom::limit::{Operation, Stopped};
use cloakroom::select::{Arm, Arms, Chain, End, Select, SelectSet, select};
use cloakroom::sync::CriticalSectionRawMutex as Lock;
use cloakroom::{Arena, Lease};

type Ring<T = u32> = Channel<Lock, T, Buffered<1>>;

/// A waker whose next drop panics, if that was asked for; and what it does when it is woken.
#[derive(Default)]
struct Foreign<'a> {
    explodes: Cell<bool>,
    wakes: Cell<u32>,
    woken: RefCell<Option<Box<dyn FnMut() + 'a>>>,
}

impl Foreign<'_> {
    fn poll<F: Future + ?Sized>(&self, future: Pin<&mut F>) -> Poll<F::Output> {
        // SAFETY: the vtable's functions keep nothing, and every test drops what it polled before this.
        let waker = unsafe { Waker::from_raw(RawWaker::new(from_ref(self).cast(), &VTABLE)) };
        let waker = std::mem::ManuallyDrop::new(waker);
        future.poll(&mut Context::from_waker(&waker))
    }

    fn wake(&self) {
        self.wakes.set(self.wakes.get() + 1);
        // Taken out meanwhile: it may come back here.
        let woken = self.woken.borrow_mut().take();
        if let Some(mut woken) = woken {
            woken();
            self.woken.borrow_mut().get_or_insert(woken);
        }
    }
}

const VTABLE: RawWakerVTable = RawWakerVTable::new(
    |this| RawWaker::new(this, &VTABLE),
    |this| behind(this).wake(),
    |this| behind(this).wake(),
    |this| assert!(!behind(this).explodes.replace(false), "the waker explodes"),
);

fn behind<'a>(this: *const ()) -> &'a Foreign<'a> {
    // SAFETY: from `poll`, which see.
    unsafe { &*this.cast() }
}

/// Polls a select of arms that are references, and drops it with a waker that explodes. Its memory is filled with
/// what a claim that has been taken looks like.
fn explodes<A: Arms>(foreign: &Foreign<'_>, selected: Select<A>) {
    let mut selected = Box::pin(selected);
    assert!(foreign.poll(selected.as_mut()).is_pending());
    foreign.explodes.set(true);
    // SAFETY: it is dropped in place, and its memory is used for nothing else afterwards.
    let memory = Box::into_raw(unsafe { Pin::into_inner_unchecked(selected) });
    // SAFETY: as above.
    let dropped = catch_unwind(AssertUnwindSafe(|| unsafe { memory.drop_in_place() }));
    assert!(dropped.is_err() && !foreign.explodes.get());
    // SAFETY: nothing is in it any more.
    unsafe { memory.write_bytes(1, 1) };
}

/// The arms of a select that is gone refer to it no more, whichever of them had the waker that panicked.
#[test]
fn a_select_whose_waker_panics_is_gone_all_the_same() {
    let rings: [Ring; 3] = Default::default();
    let foreign = Foreign::default();
    let [mut a, mut b, mut c] = rings.each_ref().map(|ring| Box::pin(ring.recv()));

    let check = |arms: [Pin<&mut dyn Arm<Output = Result<u32, _>>>; 3]| {
        for (ring, arm) in rings.iter().zip(arms) {
            ring.try_send(7).unwrap();
            assert_eq!(foreign.wakes.get(), 0, "a token was left in its list");
            assert_eq!(foreign.poll(arm), Poll::Ready(Ok(7)));
        }
    };
    explodes(&foreign, select((a.as_mut(), b.as_mut(), c.as_mut())));
    check([a.as_mut(), b.as_mut(), c.as_mut()]);
    explodes(&foreign, select([a.as_mut(), b.as_mut(), c.as_mut()]));
    check([a.as_mut(), b.as_mut(), c.as_mut()]);
    explodes(&foreign, select(Chain(a.as_mut(), Chain(b.as_mut(), Chain(c.as_mut(), End)))));
    check([a.as_mut(), b.as_mut(), c.as_mut()]);
    {
        let mut set = Box::pin(SelectSet::<_, 3>::new());
        for arm in [&mut a, &mut b, &mut c] {
            assert!(set.as_mut().add(arm.as_mut()).is_ok());
        }
        assert!(foreign.poll(set.as_mut()).is_pending());
        foreign.explodes.set(true);
        assert!(catch_unwind(AssertUnwindSafe(|| set.as_mut().remove(1).is_some())).is_err());
        // It has not been removed, and the set works on.
        assert_eq!(set.len(), 3);
        assert!(foreign.poll(set.as_mut()).is_pending());
        rings[2].try_send(8).unwrap();
        assert_eq!(foreign.wakes.replace(0), 1);
        assert_eq!(foreign.poll(set.as_mut()), Poll::Ready((2, Ok(8))));
    }
    check([a.as_mut(), b.as_mut(), c.as_mut()]);
}

/// As above, for every sort of arm: each forgets its select before it drops the waker.
#[test]
fn every_sort_of_arm_forgets_its_select() {
    let [inbox, full, line]: [Ring; 3] = Default::default();
    let (timers, token) = (Timers::<Lock>::new(), CancelToken::<Lock>::new());
    let arena: Arena<Lock, 1, 64, 2> = Arena::new();
    let foreign = Foreign::default();
    full.try_send(0).unwrap();
    let taken = arena.try_alloc(64).unwrap();

    let mut recv = Box::pin(inbox.recv().mapped(drop));
    let mut send = Box::pin(full.send(1).mapped(drop));
    let mut reserve = Box::pin(full.reserve().mapped(drop));
    let mut closed = Box::pin(line.closed());
    let mut sleep = Box::pin(timers.at(5));
    let mut cancelled = Box::pin(token.cancelled());
    let mut alloc = Box::pin(arena.alloc(1).mapped(drop));
    let arms: [Pin<&mut dyn Arm<Output = ()>>; 7] = [
        recv.as_mut(),
        send.as_mut(),
        reserve.as_mut(),
        closed.as_mut(),
        sleep.as_mut(),
        cancelled.as_mut(),
        alloc.as_mut(),
    ];
    for arm in arms {
        explodes(&foreign, select([arm]));
    }
    inbox.try_send(1).unwrap();
    assert_eq!(full.try_recv(), Ok(0));
    line.close();
    timers.advance(5);
    token.cancel();
    drop(taken);
    assert_eq!(foreign.wakes.get(), 0, "a token was left in its list");
    for arm in [recv.as_mut() as Pin<&mut dyn Arm<Output = ()>>, send.as_mut(), closed.as_mut()] {
        assert!(foreign.poll(arm).is_ready());
    }
    assert_eq!(full.try_recv(), Ok(1));
    for arm in [reserve.as_mut() as Pin<&mut dyn Arm<Output = ()>>, sleep.as_mut()] {
        assert!(foreign.poll(arm).is_ready());
    }
    for arm in [cancelled.as_mut() as Pin<&mut dyn Arm<Output = ()>>, alloc.as_mut()] {
        assert!(foreign.poll(arm).is_ready());
    }
}

/// All or nothing: a receiver's waker that panics in the first channel keeps the message from none of the others.
#[test]
fn fan_out_fills_all_though_a_waker_panics() {
    let arena: Arena<Lock, 4, 64, 4> = Arena::new();
    let lines: [Bytes<'_, Lock, Buffered<1>>; 3] = Default::default();
    let foreign = Foreign::default();
    *foreign.woken.borrow_mut() = Some(Box::new(|| panic!("the receiver explodes")));
    let mut receive = pin!(lines[0].recv());
    assert!(foreign.poll(receive.as_mut()).is_pending());
    let all = [&lines[0] as _, &lines[1] as _, &lines[2] as _];
    let message = arena.try_alloc_from(b"all").unwrap();
    let sent = catch_unwind(AssertUnwindSafe(|| try_fan_out_all(&all, message)));
    assert!(sent.is_err());
    let Poll::Ready(Ok(first)) = foreign.poll(receive) else { panic!("it was sent") };
    assert_eq!(*first, *b"all");
    for line in &lines[1..] {
        assert_eq!(&*line.try_recv().unwrap(), b"all");
        // No slot is held any more.
        assert_eq!(line.try_send_bytes(arena.handle(), b"next"), Ok(()));
        assert!(line.is_full() && line.try_recv().is_ok() && !line.is_full());
    }
    drop(first);
    assert_eq!(arena.snapshot().live, 0);
}

/// Polls both, and runs `stop` on the second when the first is woken by `event`; what that came to.
fn stopped_between<A: Future, B: Future + 'static, R: 'static>(
    first: A,
    second: B,
    stop: impl Fn(Pin<&mut B>) -> R + 'static,
    event: impl FnOnce(),
) -> R {
    let foreign = Foreign::default();
    let (mut first, mut second) = (Box::pin(first), Box::pin(second));
    assert!(foreign.poll(first.as_mut()).is_pending());
    assert!(foreign.poll(second.as_mut()).is_pending());
    let result = Rc::new(Cell::new(None));
    let to = result.clone();
    // Once: it is woken again in there.
    *foreign.woken.borrow_mut() = Some(Box::new(move || to.set(Some(stop(second.as_mut())))));
    event();
    result.take().expect("the first is woken")
}

/// Rule 3 in the middle of a close, or of a send to several: whoever is stopped there has been closed, or matched,
/// before. The waker stands for an interrupt, or for another thread.
#[test]
fn what_is_being_decided_comes_before_a_timeout() {
    static FULL: Ring = Channel::new();
    FULL.try_send(0).unwrap();
    let closed = stopped_between(
        FULL.send(1),
        FULL.send(2),
        |send| matches!(send.abandon(Stopped::Timeout), Some(Err(SendTimeoutError::Closed(2)))),
        || assert!(FULL.close()),
    );
    assert!(closed);

    static ALSO_FULL: Ring = Channel::new();
    ALSO_FULL.try_send(0).unwrap();
    let closed = stopped_between(
        ALSO_FULL.send(1),
        ALSO_FULL.reserve(),
        |reserve| matches!(reserve.abandon(Stopped::Timeout), Some(Err(StoppedError::Closed))),
        || assert!(ALSO_FULL.close()),
    );
    assert!(closed);

    static NEWS: Channel<Lock, u32, Broadcast<2>> = Channel::new();
    let (mut one, two) = (NEWS.subscribe(), Box::leak(Box::new(NEWS.subscribe())));
    let received = stopped_between(
        one.recv(),
        two.recv(),
        |recv| recv.abandon(Stopped::Timeout),
        || NEWS.try_send(5).unwrap(),
    );
    assert_eq!(received, Some(Ok(Delivery::Value(5))));
}

/// A sender that answers each wake-up with one more value, as a task of higher priority does: a subscriber that goes
/// does not wait for it to end.
#[test]
fn a_subscriber_goes_though_a_sender_keeps_pace() {
    static NEWS: Channel<Lock, u32, Broadcast<2>> = Channel::new();
    let foreign: &Foreign<'_> = Box::leak(Box::default());
    let subscriber = NEWS.subscribe();
    let sent = Rc::new(Cell::new(0));
    let count = sent.clone();
    let mut send = Box::pin(NEWS.send(0));
    // Sends what there is room for, but a few at a time once there is no end of it.
    let mut go_on = move || {
        for _ in 0..3 {
            if count.get() == 1_000 || foreign.poll(send.as_mut()).is_pending() {
                return;
            }
            count.set(count.get() + 1);
            send = Box::pin(NEWS.send(count.get()));
        }
    };
    go_on();
    assert_eq!(sent.get(), 2);
    *foreign.woken.borrow_mut() = Some(Box::new(go_on));
    drop(subscriber);
    assert!(sent.get() < 10, "{} values were sent before it had gone", sent.get());
    assert_eq!(NEWS.subscribers(), 0);
    let end = NEWS.snapshot();
    assert_eq!((end.depth, end.sent), (0, end.received + end.dropped));
}

/// While a subscriber goes, another one reads what is sent meanwhile: that is done with before older values are.
#[test]
fn values_are_done_with_out_of_turn_while_a_subscriber_goes() {
    static NEWS: Channel<Lock, u32, Broadcast<3>> = Channel::new();
    let foreign: &Foreign<'_> = Box::leak(Box::default());
    let (goes, mut stays) = (NEWS.subscribe(), NEWS.subscribe());
    for value in 0..3 {
        NEWS.try_send(value).unwrap();
        assert_eq!(stays.try_recv(), Ok(Delivery::Value(value)));
    }
    let mut send = Box::pin(NEWS.send(3));
    assert!(foreign.poll(send.as_mut()).is_pending());
    let stays = Rc::new(RefCell::new(stays));
    let reader = stays.clone();
    let interrupt = move || {
        // It has passed the first value.
        assert_eq!((NEWS.subscribers(), NEWS.len()), (1, 2));
        assert_eq!(foreign.poll(send.as_mut()), Poll::Ready(Ok(())));
        assert_eq!(NEWS.len(), 3);
        let mut reader = reader.borrow_mut();
        assert_eq!(reader.try_recv(), Ok(Delivery::Value(3)));
        assert_eq!(reader.try_recv(), Err(TryRecvError::Empty));
        // Read, and gone, but its place is not free yet.
        assert_eq!((NEWS.len(), NEWS.is_full()), (2, true));
        assert!(NEWS.try_send(9).is_err());
        let now = NEWS.snapshot();
        assert_eq!(now.sent, now.received + now.dropped + 2);
    };
    *foreign.woken.borrow_mut() = Some(Box::new(interrupt));
    drop(goes);
    assert_eq!(foreign.wakes.get(), 1);
    assert_eq!((NEWS.len(), NEWS.is_full()), (0, false));
    for value in 4..7 {
        NEWS.try_send(value).unwrap();
    }
    assert!(NEWS.is_full());
    let left = stays.borrow_mut().drain().filter_map(Delivery::value).collect::<Vec<_>>();
    assert_eq!(left, [4, 5, 6]);
    let end = NEWS.snapshot();
    assert_eq!((end.sent, end.received, end.dropped, end.depth), (7, 7, 0, 0));
}

/// A value that does something when its last copy is dropped.
struct Last(Option<Box<dyn Fn() + Send>>);

// SAFETY: constant time, and uses nothing.
unsafe impl Share for Last {
    fn share(&self) -> Option<Self> {
        Some(Self(None))
    }
}

impl Drop for Last {
    fn drop(&mut self) {
        if let Some(does) = self.0.take() {
            does();
        }
    }
}

/// The same where the oldest value is dropped for want of room: an empty place goes first, and nothing is dropped.
#[test]
fn an_empty_place_goes_before_a_value_is_dropped() {
    static NEWS: Channel<Lock, Last, Broadcast<2, DropOldest>> = Channel::new();
    let (goes, stays) = (NEWS.subscribe(), Arc::new(Mutex::new(NEWS.subscribe())));
    let reader = stays.clone();
    let does = move || {
        // The first value has been passed; the second has been read, but not by the one who goes.
        let mut reader = reader.lock().unwrap();
        let dropped = || (NEWS.len(), NEWS.snapshot().dropped);
        assert!(NEWS.try_send(Last(None)).is_ok() && reader.try_recv().is_ok());
        assert_eq!((dropped(), NEWS.is_full()), ((1, 0), true));
        // That one has to go now, and then an empty place is the oldest.
        assert!(NEWS.try_send(Last(None)).is_ok() && reader.try_recv().is_ok());
        assert_eq!((dropped(), NEWS.is_full()), ((0, 1), true));
        assert!(NEWS.try_send(Last(None)).is_ok());
        assert_eq!(dropped(), (1, 1));
    };
    assert!(NEWS.try_send(Last(Some(Box::new(does)))).is_ok());
    assert!(NEWS.try_send(Last(None)).is_ok());
    assert_eq!(stays.lock().unwrap().drain().count(), 2);
    drop(goes);
    assert_eq!((NEWS.len(), NEWS.is_full()), (1, false));
    assert_eq!(stays.lock().unwrap().drain().count(), 1);
    let end = NEWS.snapshot();
    assert_eq!((end.sent, end.received, end.dropped, end.depth), (5, 4, 1, 0));
}

/// Pages of an arena whose first and last are free, while one between them is in hand; and a request for both, which waits for that one to be put to rest.
macro_rules! stalled {
    ($arena:ident, $foreign:ident, $mid:ident, $waits:ident) => {
        let ends = [$arena.try_alloc(64).unwrap(), $arena.try_alloc(64).unwrap()];
        let [above, $mid] = ends;
        let below = $arena.try_alloc(64).unwrap();
        drop((above, below));
        let mut $waits = Box::pin($arena.alloc(128));
        assert!($foreign.poll($waits.as_mut()).is_pending());
    };
}

fn panics(f: impl FnOnce()) {
    assert!(catch_unwind(AssertUnwindSafe(f)).is_err());
}

/// A lease that is put to rest wakes somebody, who takes another one of the same payload, and panics: the first has gone by then, and is not given up again.
#[test]
fn what_is_put_to_rest_is_no_lease_any_more_when_somebody_is_woken() {
    let rests: [fn(Lease<'_, Lock>); 3] = [
        |lease| drop(lease.deposit()),
        |lease| drop(lease.into_parcel()),
        |lease| drop(lease.into_parcels(2)),
    ];
    for rest in rests {
        let arena: Arena<Lock, 3, 64, 8> = Arena::new();
        let (held, ticket) = (Cell::new(None), Cell::new(None));
        let foreign = Foreign::default();
        stalled!(arena, foreign, mid, waits);
        let mut mid = mid;
        mid.fill(7);
        let lease = mid.freeze();
        ticket.set(Some(lease.clone().deposit().unwrap()));
        *foreign.woken.borrow_mut() = Some(Box::new(|| {
            held.set(ticket.take().map(|ticket| arena.redeem(ticket).unwrap()));
            panic!("whoever is woken");
        }));
        panics(|| rest(lease));
        drop(waits);
        drop(foreign.woken.take());
        let held = held.take().unwrap();
        arena.handle().compact(usize::MAX);
        if let Ok(mut other) = arena.try_alloc(128) {
            other.fill(9);
        }
        assert_eq!(&held[..], [7; 64]);
    }
}

#[test]
fn parcels_are_all_given_up_whoever_is_woken() {
    let arena: Arena<Lock, 4, 64, 8> = Arena::new();
    let foreign = Foreign::default();
    let [above, mid, below, low] = [(); 4].map(|()| arena.try_alloc(64).unwrap());
    let parcels = low.freeze().into_parcels(3).unwrap();
    drop((above, below));
    let mut waits = Box::pin(arena.alloc(128));
    assert!(foreign.poll(waits.as_mut()).is_pending());
    *foreign.woken.borrow_mut() = Some(Box::new(|| panic!("whoever is woken")));
    panics(|| drop(parcels));
    drop((waits, mid));
    assert_eq!(arena.snapshot().live, 0);
}

#[test]
fn all_of_a_scattered_payload_is_given_up_whoever_is_woken() {
    let arena: Arena<Lock, 4, 64, 8> = Arena::new();
    let foreign = Foreign::default();
    let mut pages: Vec<_> = (0..4).map(|_| arena.try_alloc(64).unwrap()).collect();
    pages.remove(2);
    pages.remove(0);
    let chain = arena.handle().try_alloc_scattered(128).unwrap();
    let mut waits = Box::pin(arena.alloc(64));
    assert!(foreign.poll(waits.as_mut()).is_pending());
    *foreign.woken.borrow_mut() = Some(Box::new(|| panic!("whoever is woken")));
    panics(|| drop(chain));
    drop((waits, pages));
    assert_eq!(arena.snapshot().live, 0);
    assert!(arena.handle().verify().is_clean());
}

/// Who has its memory, and wakes the next one, still has it.
#[test]
fn memory_that_was_waited_for_is_not_lost_whoever_is_woken() {
    let arena: Arena<Lock, 4, 64, 8> = Arena::new();
    let (first, second) = (Foreign::default(), Foreign::default());
    let all = arena.try_alloc(256).unwrap();
    let (mut one, mut two) = (Box::pin(arena.alloc(64)), Box::pin(arena.alloc(64)));
    assert!(first.poll(one.as_mut()).is_pending() && second.poll(two.as_mut()).is_pending());
    drop(all);
    assert_eq!((first.wakes.get(), second.wakes.get()), (1, 0));
    *second.woken.borrow_mut() = Some(Box::new(|| panic!("whoever is woken")));
    panics(|| drop(first.poll(one.as_mut())));
    drop((one, two));
    assert_eq!(arena.snapshot().live, 0);
}

/// Who leaves the queue lets the next one have its memory, whatever its own waker does.
#[test]
fn who_leaves_lets_the_next_one_have_its_memory() {
    let arena: Arena<Lock, 4, 64, 8> = Arena::new();
    let (first, second) = (Foreign::default(), Foreign::default());
    let half = [arena.try_alloc(128).unwrap(), arena.try_alloc(128).unwrap()];
    let (mut one, mut two) = (Box::pin(arena.alloc(256)), Box::pin(arena.alloc(64)));
    assert!(first.poll(one.as_mut()).is_pending() && second.poll(two.as_mut()).is_pending());
    let [half, other] = half;
    drop(half);
    first.explodes.set(true);
    panics(|| drop(one));
    assert_eq!(second.wakes.get(), 1);
    drop((two, other));
    assert_eq!(arena.snapshot().live, 0);
}
