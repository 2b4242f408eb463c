//! What a channel says it has moved out: its own, beside that of others in the same place.

use std::panic::{AssertUnwindSafe, catch_unwind};

use cloakroom::Arena;
use cloakroom::channel::{Buffered, Conflated, DropNewest, DropOldest, Strategy};
use cloakroom::spill::{
    Policy, Slot, Spill, SpillBytes, SpillSnapshot, TrySpillRecvError, Watermarks,
};
use cloakroom::std_layer::spill::MemfdTarget;

use crate::fixture::{Faulty, Lock, Mood, slots};

type Ring<'a> = SpillBytes<'a, Lock, Buffered<64>>;
type Hall = Arena<Lock, 16, 64, 16>;

/// What the channels say comes to what the place says.
fn sum(channels: &[SpillSnapshot]) -> [u64; 11] {
    let figures = |now: &SpillSnapshot| {
        let counters =
            [now.messages, now.out, now.moved, now.back, now.fetched, now.lent, now.lost]
                .into_iter()
                .chain([now.dropped, now.full, now.failed]);
        counters.map(u64::from).chain([now.bytes]).collect::<Vec<_>>()
    };
    let all: Vec<Vec<u64>> = channels.iter().map(figures).collect();
    core::array::from_fn(|figure| all.iter().map(|channel| channel[figure]).sum())
}

fn reconciled<const N: usize>(place: &Spill<'_, Lock>, channels: [SpillSnapshot; N]) {
    assert!(channels.iter().all(SpillSnapshot::reconciles), "{channels:?}");
    assert_eq!(sum(&channels), sum(&[place.snapshot()]), "{channels:?}");
}

/// One channel's messages stay, another one's go out, a third one's are of more importance: each says its own.
#[test]
fn each_channel_says_what_it_has_moved_out_itself() {
    let (hall, target) = (Hall::new(), Faulty::default());
    let spill = Spill::over(&hall, &target, Watermarks::new(50, 40));
    let policies = [Policy::Never, Policy::ColdFirst, Policy::Priority(128)];
    let [never, cold, urgent] = policies.map(|policy| Ring::new(&spill, policy));
    for number in 0..6 {
        never.try_send_bytes(&[number; 64]).expect("room");
    }
    for number in 0..5 {
        cold.try_send_bytes(&[number; 40]).expect("room");
    }
    urgent.try_send_bytes(&[9; 10]).expect("room");
    let [no, some, above] = [&never, &cold, &urgent].map(|channel| channel.spilled());
    assert_eq!((sum(&[no]), no.above), ([0; 11], false));
    assert_eq!((some.messages, some.bytes, some.out, some.above), (3, 120, 3, true));
    assert_eq!((above.messages, above.above), (0, false), "its mark is higher");
    assert_eq!((some.capacity, some.used), (target_capacity(&target), 120));
    reconciled(&spill, [no, some, above]);

    // Received: copied back; one is other bytes.
    let received = |channel: &Ring<'_>| channel.try_recv().map(|message| message[0]);
    assert_eq!([(); 2].map(|()| received(&cold)), [Ok(0), Ok(1)]);
    assert_eq!(received(&cold), Ok(2));
    target.set(Mood::Lying);
    assert!(matches!(received(&cold), Err(TrySpillRecvError::Lost(_))));
    // Refused, each for its channel.
    let wall = hall.try_alloc(5 * 64).expect("memory");
    target.set(Mood::Full);
    urgent.try_send_bytes(&[9; 10]).expect("it stays in the arena");
    target.set(Mood::Broken);
    cold.try_send_bytes(&[5; 10]).expect("it stays in the arena");
    let [some, above] = [&cold, &urgent].map(|channel| channel.spilled());
    assert_eq!((some.back, some.lost, some.failed, some.full), (1, 1, 1, 0));
    assert_eq!((above.failed, above.full, above.out), (0, 1, 0));
    reconciled(&spill, [never.spilled(), some, above]);

    // Moved out by a step, and back by another.
    target.set(Mood::Well);
    assert_eq!(urgent.step(usize::MAX).out, 2);
    assert_eq!(urgent.spilled().moved, 2);
    drop(wall);
    (0..6).for_each(|number| assert_eq!(received(&never), Ok(number)));
    assert!(urgent.step(usize::MAX).back > 0);
    assert!(urgent.spilled().fetched > 0 && !urgent.spilled().above);
    reconciled(&spill, [never.spilled(), cold.spilled(), urgent.spilled()]);
}

fn target_capacity(target: &Faulty) -> u64 {
    cloakroom::spill::SpillTarget::capacity(target)
}

#[test]
fn what_is_lent_is_out_until_it_is_let_go() {
    let (hall, target) = (Hall::new(), MemfdTarget::new(slots(8, 64)).expect("memory"));
    let spill = Spill::over(&hall, &target, Watermarks::new(0, 0));
    let channel = Ring::new(&spill, Policy::ColdFirst);
    for number in 0..3 {
        channel.try_send_bytes(&[number; 64]).expect("room");
    }
    let lent = channel.try_recv().expect("a message");
    assert!(lent.is_lent());
    let now = channel.spilled();
    assert_eq!((now.messages, now.bytes, now.lent, now.used), (3, 192, 0, 192));
    drop(lent);
    let now = channel.spilled();
    assert_eq!((now.messages, now.lent, now.used, now.capacity), (2, 1, 128, 512));
    reconciled(&spill, [now]);
}

/// Kinds that drop values count those of them that are out, as do their places.
#[test]
fn what_a_policy_drops_is_counted_by_its_channel() {
    fn dropped<S>(kind: S, sends: u8, left: u32)
    where
        S: for<'a> Strategy<Slot<'a, Lock>>,
    {
        let (hall, target) = (Hall::new(), Faulty::default());
        let spill = Spill::over(&hall, &target, Watermarks::new(0, 0));
        let other = Ring::new(&spill, Policy::ColdFirst);
        other.try_send_bytes(b"another").expect("room");
        let channel = SpillBytes::<Lock, S>::with(&spill, Policy::ColdFirst, kind);
        for number in 0..sends {
            // By a permit, and past one.
            if number % 2 == 0 {
                channel.try_send_bytes(&[number; 16]).expect("it never is full");
            } else {
                let lease = hall.try_alloc(16).expect("memory");
                channel.try_send(lease).expect("it never is full");
            }
        }
        let now = channel.spilled();
        assert_eq!((now.messages, now.dropped), (left, now.out - left));
        assert_eq!(now.bytes, u64::from(left) * 16);
        reconciled(&spill, [now, other.spilled()]);
    }
    dropped(Buffered::<4, DropOldest>::default(), 10, 4);
    dropped(Conflated, 10, 1);
    // What finds no room is dropped before it goes out, or with its extent.
    dropped(Buffered::<4, DropNewest>::default(), 10, 4);
}

/// A target that panics, too, loses no message from the books.
#[test]
fn a_panic_of_the_target_is_a_message_dropped() {
    let (hall, target) = (Hall::new(), Faulty::default());
    let spill = Spill::over(&hall, &target, Watermarks::new(0, 0));
    let channel = Ring::new(&spill, Policy::ColdFirst);
    for number in 0..3 {
        channel.try_send_bytes(&[number; 64]).expect("room");
    }
    *target.interrupt.lock().unwrap() = Some(Box::new(|| panic!("the device is on fire")));
    let received = catch_unwind(AssertUnwindSafe(|| channel.try_recv().is_ok()));
    assert!(received.is_err());
    let now = channel.spilled();
    assert_eq!((now.messages, now.dropped, target.held()), (2, 1, 2));
    reconciled(&spill, [now]);
}
