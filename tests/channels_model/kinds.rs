//! Every kind whose receivers compete.

use std::cell::RefCell;

use cloakroom::Arena;
use cloakroom::channel::{
    Buffered, Channel, Conflated, DropNewest, DropOldest, Priority, Rendezvous, Unlimited,
};

use crate::model::{Policy, Shape};
use crate::sequence::sequences;
use crate::{Lock, Value};

#[test]
fn rendezvous() {
    sequences(0..3_000, Shape::RENDEZVOUS, &RefCell::default(), |_| {
        Channel::<Lock, Value, Rendezvous>::new()
    });
}

#[test]
fn buffered() {
    let nobody = RefCell::default();
    sequences(0..1_500, Shape::ring(1, Policy::Wait), &nobody, |_| {
        Channel::<Lock, Value, Buffered<1>>::new()
    });
    sequences(1_500..3_000, Shape::ring(3, Policy::Wait), &nobody, |_| {
        Channel::<Lock, Value, Buffered<3>>::new()
    });
}

#[test]
fn conflated() {
    sequences(0..2_000, Shape::ring(1, Policy::Replace), &RefCell::default(), |_| {
        Channel::<Lock, Value, Conflated>::new()
    });
}

#[test]
fn unlimited_with_memory_to_spare() {
    let arena: Arena<Lock, 512, 64, 64> = Arena::new();
    sequences(0..2_000, Shape::ring(usize::MAX, Policy::Wait), &RefCell::default(), |_| {
        Channel::<Lock, Value, Unlimited<'_, Lock, 3>>::over(&arena)
    });
    assert_eq!(arena.snapshot().live, 0);
    assert!(arena.handle().verify().is_clean());
}

/// Past its first values such a channel has lanes, which lend nothing before long, as each step looks at the counters: then what is common is done in
/// sections that call nothing.
#[cfg(feature = "std")]
#[test]
fn on_the_heap() {
    use cloakroom::channel::{Receiver, Sender};
    use cloakroom::std_layer::StdRawMutex;
    use cloakroom::std_layer::channel::{self as heap, Bounded, bounded};

    use crate::pending::Sides;

    struct OnHeap(heap::Sender<Value, Bounded>, heap::Receiver<Value, Bounded>);
    impl Sides<StdRawMutex, Bounded> for OnHeap {
        fn sides(
            &self,
        ) -> (&Sender<StdRawMutex, Value, Bounded>, &Receiver<StdRawMutex, Value, Bounded>)
        {
            (&self.0, &self.1)
        }
    }
    let nobody = RefCell::default();
    for (capacity, seeds) in [(1, 0..1_500), (3, 1_500..3_000)] {
        sequences(seeds, Shape::ring(capacity, Policy::Wait), &nobody, |_| {
            let (sender, receiver) = bounded(capacity);
            OnHeap(sender, receiver)
        });
    }
}

/// The hook sees what was dropped, all of it, in order, and once.
#[test]
fn dropping() {
    fn note(hooked: &RefCell<Vec<usize>>) -> impl Fn(Value) {
        |value| hooked.borrow_mut().push(value.id)
    }
    let hooked = RefCell::default();
    sequences(0..1_000, Shape::ring(1, Policy::DropOldest), &hooked, |hooked| {
        Channel::<Lock, Value, _>::with(Buffered::<1, _>::with(DropOldest(note(hooked))))
    });
    sequences(1_000..2_000, Shape::ring(3, Policy::DropOldest), &hooked, |hooked| {
        Channel::<Lock, Value, _>::with(Buffered::<3, _>::with(DropOldest(note(hooked))))
    });
    sequences(2_000..3_000, Shape::ring(1, Policy::DropNewest), &hooked, |hooked| {
        Channel::<Lock, Value, _>::with(Buffered::<1, _>::with(DropNewest(note(hooked))))
    });
    sequences(3_000..4_000, Shape::ring(3, Policy::DropNewest), &hooked, |hooked| {
        Channel::<Lock, Value, _>::with(Buffered::<3, _>::with(DropNewest(note(hooked))))
    });
}

/// From first in first out to strict.
#[test]
fn priority() {
    let nobody = RefCell::default();
    sequences(0..800, Shape::priority(1, 16), &nobody, |_| {
        Channel::<Lock, Value, Priority<1>>::new()
    });
    sequences(800..1_600, Shape::priority(3, 1), &nobody, |_| {
        Channel::<Lock, Value, Priority<3, 1>>::new()
    });
    sequences(1_600..2_400, Shape::priority(7, 0), &nobody, |_| {
        Channel::<Lock, Value, Priority<7, 0>>::new()
    });
    sequences(2_400..3_200, Shape::priority(7, 1 << 21), &nobody, |_| {
        Channel::<Lock, Value, Priority<7, { 1 << 21 }>>::new()
    });
}
