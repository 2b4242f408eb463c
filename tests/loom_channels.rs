//! Channels, selects, timers, cancellation and the kernel under the loom model checker: every
//! interleaving of a few operations, up to a few preemptions.
//!
//! ```text
//! RUSTFLAGS="--cfg loom" cargo test --release --test loom_channels
//! ```
//!
//! A wake-up that is lost leaves a thread waiting, which loom reports as a deadlock. Values are counted
//! by hand: whatever was acknowledged has been received or is still in the channel.
#![cfg(loom)]

#[path = "common/loom_lock.rs"]
mod loom_lock;

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use cloakroom::Arena;
use cloakroom::channel::{Buffered, Channel, Compete, ConstStrategy, Rendezvous, Unlimited};
use cloakroom::error::{RecvTimeoutError, SendTimeoutError, TryRecvError};
use cloakroom::kernel::{CancelToken, Kernel, TaskSlot, TimerQueue, Timers, drive};
use cloakroom::limit::Operation;
use cloakroom::select::{Either, select};
use loom::thread;
use loom_lock::{PerObject as Lock, block_on, explore};

type Meet = Channel<Lock, u32, Rendezvous>;
type Ring = Channel<Lock, u32, Buffered<1>>;

fn poll_once<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// Two values through a channel with room for less.
fn in_order<S: ConstStrategy<u32> + Compete<u32> + Send + Sync + 'static>()
where
    S::Receipt: Send,
{
    explore(Some(5), || {
        let channel: Arc<Channel<Lock, u32, S>> = Arc::default();
        let sender = {
            let channel = channel.clone();
            thread::spawn(move || {
                for value in 1..=2 {
                    assert!(block_on(channel.send(value)).is_ok());
                }
            })
        };
        assert_eq!(block_on(channel.recv()), Ok(1));
        assert_eq!(block_on(channel.recv()), Ok(2));
        sender.join().unwrap();
    });
}

#[test]
fn a_rendezvous_keeps_the_order() {
    in_order::<Rendezvous>();
}

#[test]
fn a_ring_keeps_the_order() {
    in_order::<Buffered<1>>();
}

/// A receiver that goes away, whatever it was promised, leaves the value to the next.
fn granted_receiver_goes<
    S: ConstStrategy<u32, Receipt = ()> + Compete<u32> + Send + Sync + 'static,
>() {
    explore(Some(4), || {
        let channel: Arc<Channel<Lock, u32, S>> = Arc::default();
        let fickle = {
            let channel = channel.clone();
            thread::spawn(move || match poll_once(pin!(channel.recv())) {
                Poll::Ready(value) => value.ok(),
                Poll::Pending => None,
            })
        };
        let patient = {
            let channel = channel.clone();
            thread::spawn(move || block_on(channel.recv()))
        };
        assert_eq!(block_on(channel.send(1)), Ok(()));
        let mut received = vec![];
        if let Some(value) = fickle.join().unwrap() {
            received.push(value);
            assert_eq!(block_on(channel.send(2)), Ok(()));
        }
        received.extend(patient.join().unwrap());
        let expected: &[u32] = if received.len() == 1 { &[1] } else { &[1, 2] };
        assert_eq!(received, expected);
    });
}

#[test]
fn a_ring_passes_a_promised_value_on() {
    granted_receiver_goes::<Buffered<1>>();
}

#[test]
fn a_rendezvous_passes_a_promised_value_on() {
    granted_receiver_goes::<Rendezvous>();
}

/// While one pair uses the meeting point and another waits for it, nobody who comes later is served
/// first, wherever the first receiver has got to.
#[test]
fn newcomers_do_not_overtake_at_a_rendezvous() {
    explore(None, || {
        lend(Meet::new(), |channel| {
            let mut first = Box::pin(channel.recv());
            let mut second = pin!(channel.recv());
            let mut send = pin!(channel.send(2));
            assert!(poll_once(first.as_mut()).is_pending());
            channel.try_send(1).unwrap();
            assert!(poll_once(second.as_mut()).is_pending());
            assert!(poll_once(send.as_mut()).is_pending());
            let taker = thread::spawn(move || block_on(first));
            assert_eq!(channel.try_recv(), Err(TryRecvError::Empty));
            assert!(channel.try_send(3).is_err_and(|error| error.is_full()));
            assert_eq!(taker.join().unwrap(), Ok(1));
            assert_eq!(block_on(second), Ok(2));
            assert_eq!(block_on(send), Ok(()));
        });
    });
}

/// A sender that goes away, whatever it was promised, leaves the slot to the next.
#[test]
fn a_ring_passes_a_promised_slot_on() {
    explore(Some(4), || {
        let channel: Arc<Ring> = Arc::default();
        channel.try_send(1).unwrap();
        let fickle = {
            let channel = channel.clone();
            thread::spawn(move || {
                let mut send = pin!(channel.send(2));
                let sent = poll_once(send.as_mut()).is_ready();
                assert_eq!(send.take_value().is_none(), sent);
                sent
            })
        };
        let patient = {
            let channel = channel.clone();
            thread::spawn(move || block_on(channel.send(3)))
        };
        let mut received = vec![block_on(channel.recv()).unwrap()];
        if fickle.join().unwrap() {
            received.push(block_on(channel.recv()).unwrap());
        }
        received.push(block_on(channel.recv()).unwrap());
        patient.join().unwrap().unwrap();
        received.sort_unstable();
        assert!(received == [1, 3] || received == [1, 2, 3]);
    });
}

/// Whoever has not met is told, and gets the value back.
#[test]
fn closing_a_rendezvous_matches_both_or_neither() {
    explore(Some(4), || {
        let channel: Arc<Meet> = Arc::default();
        let sender = {
            let channel = channel.clone();
            thread::spawn(move || block_on(channel.send(1)))
        };
        let receiver = {
            let channel = channel.clone();
            thread::spawn(move || block_on(channel.recv()))
        };
        channel.close();
        match (sender.join().unwrap(), receiver.join().unwrap()) {
            (Ok(()), Ok(1)) => {}
            (Err(back), Err(_)) => assert_eq!(back.into_inner(), 1),
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn closing_a_ring_returns_what_waits_and_delivers_what_is_in() {
    explore(Some(4), || {
        let channel: Arc<Ring> = Arc::default();
        channel.try_send(1).unwrap();
        let sender = {
            let channel = channel.clone();
            thread::spawn(move || block_on(channel.send(2)))
        };
        let receiver = {
            let channel = channel.clone();
            thread::spawn(move || {
                let first = block_on(channel.recv());
                (first, block_on(channel.recv()))
            })
        };
        channel.close();
        match (sender.join().unwrap(), receiver.join().unwrap()) {
            (Ok(()), (Ok(1), Ok(2))) => {}
            (Err(back), (Ok(1), Err(_))) => assert_eq!(back.into_inner(), 2),
            other => panic!("{other:?}"),
        }
    });
}

/// Runs two futures on two threads, and something else on a third, the futures side by side in one allocation: selects are claimed in the order of
/// their addresses, which must be the same in every run of a model.
fn side_by_side<A: Future + 'static, B: Future + 'static>(
    a: A,
    b: B,
    meanwhile: Option<Box<dyn FnOnce()>>,
) -> (A::Output, B::Output) {
    let pair = Box::into_raw(Box::new((a, b)));
    // SAFETY: the box is dropped below, after the thread has been joined, and nothing in it is moved.
    let (a, b) =
        unsafe { (Pin::new_unchecked(&mut (*pair).0), Pin::new_unchecked(&mut (*pair).1)) };
    let other = thread::spawn(move || block_on(b));
    let third = meanwhile.map(thread::spawn);
    let outputs = (block_on(a), other.join().unwrap());
    if let Some(third) = third {
        third.join().unwrap();
    }
    // SAFETY: from `into_raw`.
    drop(unsafe { Box::from_raw(pair) });
    outputs
}

/// Lends a value for as long as a model takes; all its threads are joined inside `model`.
fn lend<T: 'static>(value: T, model: impl FnOnce(&'static T)) {
    let value = Box::into_raw(Box::new(value));
    // SAFETY: given back below, when nothing refers to it any more.
    model(unsafe { &*value });
    // SAFETY: from `into_raw`.
    drop(unsafe { Box::from_raw(value) });
}

/// Two selects on one rendezvous, each of which could send or receive: one sends, the other receives.
#[test]
fn two_selects_meet_on_one_channel() {
    explore(Some(4), || {
        lend(Meet::new(), |channel| {
            let meet = |value| select((channel.send(value), channel.recv()));
            match side_by_side(meet(1), meet(2), None) {
                (Either::First(Ok(())), Either::Second(Ok(1))) => {}
                (Either::Second(Ok(2)), Either::First(Ok(()))) => {}
                other => panic!("{other:?}"),
            }
            assert!(channel.is_empty());
        });
    });
}

/// Two selects, each with a wish for a permit where the other would receive: a permit is for a receiver that
/// waits, so not both can have theirs while the other receives nothing.
#[test]
fn permits_for_each_other_are_not_both_given() {
    explore(Some(4), || {
        lend([Meet::new(), Meet::new()], |lines| {
            let holds = |own: usize| async move {
                let mut select = pin!(select((lines[own].reserve(), lines[1 - own].recv())));
                std::future::poll_fn(|cx| {
                    let polled = select.as_mut().poll(cx);
                    Poll::Ready(matches!(polled, Poll::Ready(Either::First(Ok(_)))))
                })
                .await
            };
            assert_ne!(side_by_side(holds(0), holds(1), None), (true, true));
        });
    });
}

/// Two selects that see two channels in opposite orders: they meet on exactly one.
#[test]
fn two_selects_meet_on_one_of_two_channels() {
    explore(Some(4), || {
        lend((Meet::new(), Meet::new()), |(a, b)| {
            let send = select((a.send(1), b.send(2)));
            let recv = select((b.recv(), a.recv()));
            match side_by_side(send, recv, None) {
                (Either::First(Ok(())), Either::Second(Ok(1))) => {}
                (Either::Second(Ok(())), Either::First(Ok(2))) => {}
                other => panic!("{other:?}"),
            }
            assert!(a.is_empty() && b.is_empty());
        });
    });
}

/// Two selects about to meet while others come to their other arms: both meet, or neither.
#[test]
fn two_selects_and_a_third() {
    explore(Some(3), || {
        lend((Meet::new(), Ring::new(), Ring::new()), |(meet, a, b)| {
            let send = select((meet.send(1), a.recv()));
            let recv = select((meet.recv(), b.recv()));
            let others = Box::new(|| {
                a.try_send(5).unwrap();
                b.try_send(6).unwrap();
            });
            let left = match side_by_side(send, recv, Some(others)) {
                (Either::First(Ok(())), Either::First(Ok(1))) => (Ok(5), Ok(6)),
                (Either::Second(Ok(5)), Either::Second(Ok(6))) => {
                    (Err(TryRecvError::Empty), Err(TryRecvError::Empty))
                }
                other => panic!("{other:?}"),
            };
            assert_eq!((a.try_recv(), b.try_recv()), left);
            assert!(meet.is_empty());
        });
    });
}

/// Plain senders come to both arms of a select: one is received, the other is still there.
#[test]
fn a_select_takes_one_of_two() {
    explore(Some(4), || {
        let (a, b): (Arc<Ring>, Arc<Meet>) = Default::default();
        let to_a = {
            let a = a.clone();
            thread::spawn(move || a.try_send(1).unwrap())
        };
        let to_b = {
            let b = b.clone();
            thread::spawn(move || {
                let mut send = pin!(b.send(2));
                let sent = poll_once(send.as_mut()).is_ready();
                let back = send.take_value();
                // Ready: it met somebody. Taken out while it waited: the same.
                assert!(!sent || back.is_none());
                back.is_none()
            })
        };
        let received = match block_on(select((b.recv(), a.recv()))) {
            Either::First(value) | Either::Second(value) => value.unwrap(),
        };
        to_a.join().unwrap();
        let met = to_b.join().unwrap();
        let left = (a.try_recv().ok(), b.try_recv().ok());
        let expected = if received == 1 { (None, met.then_some(2)) } else { (Some(1), None) };
        assert_eq!(left, expected, "received {received}, met {met}");
        // A value that a losing arm was promised stays in the meeting point; none is invented.
        assert!(received == 1 || met);
    });
}

/// A send that is cancelled while a receiver comes: both know of the match, or neither.
#[test]
fn cancelling_a_send_against_a_receiver() {
    explore(Some(5), || {
        let (channel, token): (Arc<Meet>, Arc<CancelToken<Lock>>) = Default::default();
        let sender = {
            let (channel, token) = (channel.clone(), token.clone());
            thread::spawn(move || block_on(channel.send(1).cancelled_by(token.cancelled())))
        };
        let canceller = {
            let token = token.clone();
            thread::spawn(move || token.cancel())
        };
        let received = channel.try_recv().ok();
        canceller.join().unwrap();
        match sender.join().unwrap() {
            Ok(()) => assert_eq!(received, Some(1)),
            Err(SendTimeoutError::Cancelled(1)) => assert_eq!(received, None),
            other => panic!("{other:?}"),
        }
    });
}

/// A receive that is cancelled while a value comes: it is received, or still there.
#[test]
fn cancelling_a_receive_against_a_sender() {
    explore(Some(5), || {
        let (channel, token): (Arc<Ring>, Arc<CancelToken<Lock>>) = Default::default();
        let receiver = {
            let (channel, token) = (channel.clone(), token.clone());
            thread::spawn(move || block_on(channel.recv().cancelled_by(token.cancelled())))
        };
        let canceller = {
            let token = token.clone();
            thread::spawn(move || token.cancel())
        };
        channel.try_send(1).unwrap();
        canceller.join().unwrap();
        match receiver.join().unwrap() {
            Ok(1) => assert!(channel.is_empty()),
            Err(RecvTimeoutError::Cancelled) => assert_eq!(channel.try_recv(), Ok(1)),
            other => panic!("{other:?}"),
        }
    });
}

/// Waiters of a tree: one below is told, one that goes away is not missed.
#[test]
fn cancelling_against_registering() {
    explore(Some(5), || {
        let root: Arc<CancelToken<Lock>> = Arc::default();
        let below = {
            let root = root.clone();
            thread::spawn(move || {
                let child = pin!(root.child());
                block_on(child.as_ref().cancelled());
            })
        };
        let fickle = {
            let root = root.clone();
            thread::spawn(move || poll_once(pin!(root.cancelled())).is_ready())
        };
        root.cancel();
        below.join().unwrap();
        fickle.join().unwrap();
    });
}

/// A sleep that is begun while time advances is woken, or done at once; one that goes away is gone.
#[test]
fn sleeping_against_advancing() {
    explore(Some(5), || {
        let timers: Arc<Timers<Lock>> = Arc::default();
        let sleeper = {
            let timers = timers.clone();
            thread::spawn(move || block_on(timers.at(5)))
        };
        let fickle = {
            let timers = timers.clone();
            thread::spawn(move || {
                let mut sleep = pin!(timers.at(7));
                poll_once(sleep.as_mut()).is_ready()
            })
        };
        timers.advance(4);
        timers.advance(9);
        sleeper.join().unwrap();
        fickle.join().unwrap();
        assert_eq!(timers.next_deadline(), None);
    });
}

/// Memory that comes back lets the first sender of a full unlimited channel in.
#[test]
fn an_unlimited_channel_waits_for_memory() {
    explore(Some(4), || {
        let arena: Box<Arena<Lock, 2, 64, 2, 1>> = Box::new(Arena::new());
        let arena = Box::into_raw(arena);
        // SAFETY: given back below, after the thread has been joined.
        let lent: &'static Arena<Lock, 2, 64, 2, 1> = unsafe { &*arena };
        {
            let hog = lent.try_alloc(128).unwrap();
            let channel: Channel<Lock, u8, Unlimited<'_, Lock, 4>> = Channel::over(lent);
            let freer = thread::spawn(move || drop(hog));
            assert_eq!(block_on(channel.send(1)), Ok(()));
            freer.join().unwrap();
            assert_eq!(channel.try_recv(), Ok(1));
        }
        // SAFETY: from `into_raw`; nothing refers to it any more.
        drop(unsafe { Box::from_raw(arena) });
    });
}

/// What a kernel's model needs for as long as the process: freed when the model is over.
struct Stage {
    arena: Arena<Lock, 16, 64, 4, 1>,
    slot: TaskSlot<Lock, 256>,
    kernel: Kernel<Lock>,
    channel: Ring,
}

fn with_stage(model: impl FnOnce(&'static Stage)) {
    let stage = Box::new(Stage {
        arena: Arena::new(),
        slot: TaskSlot::new(),
        kernel: Kernel::new(),
        channel: Channel::new(),
    });
    let stage = Box::into_raw(stage);
    // SAFETY: given back below; the model has joined its threads and ended its tasks.
    model(unsafe { &*stage });
    // SAFETY: from `into_raw`.
    let stage = unsafe { Box::from_raw(stage) };
    assert_eq!(stage.kernel.snapshot().tasks, 0);
    assert_eq!(stage.arena.snapshot().live, 0, "a task was not freed");
    assert!(!stage.slot.is_taken(), "a task was not freed");
}

/// A task is woken while the kernel polls it, and joined from another thread.
#[test]
fn waking_against_polling_and_joining() {
    explore(Some(4), || {
        with_stage(|stage| {
            let task = stage.kernel.spawn(stage.arena.handle(), stage.channel.recv());
            let task = task.expect("room");
            let waker = thread::spawn(move || stage.channel.try_send(5).unwrap());
            let joiner = thread::spawn(move || block_on(task));
            block_on(drive(&stage.kernel));
            waker.join().unwrap();
            assert_eq!(joiner.join().unwrap(), Ok(Ok(5)));
        });
    });
}

/// A task is cancelled while it is woken and polled: it has the value, or the channel has.
#[test]
fn cancelling_against_polling() {
    explore(Some(4), || {
        with_stage(|stage| {
            let task = stage.kernel.spawn(stage.arena.handle(), stage.channel.recv());
            let task = task.expect("room");
            let waker = thread::spawn(move || stage.channel.try_send(5).unwrap());
            let canceller = thread::spawn(move || {
                task.cancel();
                task
            });
            block_on(drive(&stage.kernel));
            waker.join().unwrap();
            match block_on(canceller.join().unwrap()) {
                Ok(value) => assert_eq!(value, Ok(5)),
                Err(_) => assert_eq!(stage.channel.try_recv(), Ok(5)),
            }
        });
    });
}

/// A handle is dropped while the task ends: the output is dropped once, and the memory freed.
#[test]
fn detaching_against_ending() {
    explore(Some(5), || {
        let output = Arc::new(());
        with_stage(|stage| {
            let mine = output.clone();
            let task = stage.kernel.spawn(stage.arena.handle(), async move { mine });
            let task = task.map_err(drop).expect("room");
            let detacher = thread::spawn(move || drop(task));
            block_on(drive(&stage.kernel));
            detacher.join().unwrap();
        });
        assert_eq!(Arc::strong_count(&output), 1);
    });
}

/// A slot is wanted while the task in it ends and its handle is dropped: whoever gets it has it alone, and each output is
/// dropped once.
#[test]
fn a_slot_changes_hands() {
    explore(Some(4), || {
        let output = Arc::new(());
        with_stage(|stage| {
            let (mine, others) = (output.clone(), output.clone());
            let task = stage.kernel.spawn_in(&stage.slot, async move { mine });
            let task = task.map_err(drop).expect("free");
            let detacher = thread::spawn(move || drop(task));
            let taker = thread::spawn(move || {
                stage.kernel.spawn_in(&stage.slot, async move { others }).is_ok()
            });
            block_on(drive(&stage.kernel));
            detacher.join().unwrap();
            taker.join().unwrap();
            // Had it been spawned after the last look.
            block_on(drive(&stage.kernel));
        });
        assert_eq!(Arc::strong_count(&output), 1);
    });
}

/// Two threads drive one kernel: whoever sleeps is told, also that the last task has ended.
#[test]
fn two_drivers() {
    explore(Some(4), || {
        with_stage(|stage| {
            drop(stage.kernel.spawn(stage.arena.handle(), stage.channel.recv()));
            let other = thread::spawn(move || block_on(drive(&stage.kernel)));
            let waker = thread::spawn(move || stage.channel.try_send(5).unwrap());
            block_on(drive(&stage.kernel));
            other.join().unwrap();
            waker.join().unwrap();
        });
    });
}

/// Of three that drive a kernel one may fall asleep while another one has the last task end: nobody is left asleep.
#[test]
fn three_drivers() {
    explore(Some(3), || {
        with_stage(|stage| {
            drop(stage.kernel.spawn(stage.arena.handle(), async {}));
            let others = [(); 2].map(|()| thread::spawn(move || block_on(drive(&stage.kernel))));
            block_on(drive(&stage.kernel));
            others.into_iter().for_each(|other| other.join().unwrap());
        });
    });
}

/// Two tasks are spawned, and the first blocks its thread until the second has run: the other driver is woken for
/// it, or has not fallen asleep.
#[test]
fn a_task_that_blocks_its_driver_does_not_keep_the_next_waiting() {
    use loom::sync::{Condvar, Mutex};
    explore(Some(2), || {
        let door = Arc::new((Mutex::new(false), Condvar::new()));
        with_stage(|stage| {
            let arena = stage.arena.handle();
            // It keeps the drivers there.
            assert!(stage.kernel.spawn(arena, stage.channel.recv()).is_ok());
            let other = thread::spawn(move || block_on(drive(&stage.kernel)));
            let (outside, inside) = (door.clone(), door.clone());
            let spawner = thread::spawn(move || {
                let waits = async move {
                    let mut open = outside.0.lock().unwrap();
                    while !*open {
                        open = outside.1.wait(open).unwrap();
                    }
                };
                let opens = async move {
                    *inside.0.lock().unwrap() = true;
                    inside.1.notify_one();
                };
                assert!(stage.kernel.spawn(stage.arena.handle(), waits).is_ok());
                assert!(stage.kernel.spawn(stage.arena.handle(), opens).is_ok());
                stage.channel.try_send(1).unwrap();
            });
            block_on(drive(&stage.kernel));
            other.join().unwrap();
            spawner.join().unwrap();
        });
    });
}
