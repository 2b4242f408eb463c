//! The kinds of channels that programs run on, and a test for each of them.
//!
//! The tests that the macros make are run by functions of the test's own module `runners`.

use std::sync::Arc;

use cloakroom::channel::{Channel, Compete};
use cloakroom::std_layer::{MappedArena, StdRawMutex};
use cloakroom::{Arena, channel};

pub type Lock = StdRawMutex;

/// A channel that tasks share.
pub type Line<K, T> = Arc<Channel<Lock, T, <K as Kind>::Of<T>>>;

/// A kind of channel, and how to make one.
pub trait Kind: Sized + 'static {
    /// The strategy, for values of one type.
    type Of<T: Send + 'static>: Compete<T, Receipt: Send> + Send + Sync + 'static;
    /// How many values it holds, if that is a number.
    const CAPACITY: Option<usize>;
    /// How many values have to be received from a full one for a sender to go on.
    #[allow(dead_code)] // Not every test needs it.
    const STEP: usize = 1;

    fn make<T: Send + 'static>() -> Self::Of<T>;

    fn line<T: Send + 'static>() -> Line<Self, T> {
        Arc::new(Channel::with(Self::make()))
    }
}

macro_rules! const_kind {
    ($name:ident = $strategy:ty, $capacity:literal) => {
        #[doc = concat!("`", stringify!($strategy), "`.")]
        pub struct $name;

        impl Kind for $name {
            type Of<T: Send + 'static> = $strategy;
            const CAPACITY: Option<usize> = Some($capacity);

            fn make<T: Send + 'static>() -> $strategy {
                <$strategy>::default()
            }
        }
    };
}

const_kind!(Rendezvous = channel::Rendezvous, 0);
const_kind!(Buffered1 = channel::Buffered<1>, 1);
const_kind!(Buffered3 = channel::Buffered<3>, 3);
const_kind!(Buffered128 = channel::Buffered<128>, 128);
// Without priorities, it is first in, first out.
const_kind!(Priority3 = channel::Priority<3>, 3);
const_kind!(Conflated = channel::Conflated, 1);

/// Unlimited, in segments of eight, over an arena of its own that is far larger than most programs need.
pub struct Unlimited;

impl Kind for Unlimited {
    type Of<T: Send + 'static> = channel::Unlimited<'static, Lock, 8>;
    const CAPACITY: Option<usize> = None;
    const STEP: usize = 8;

    fn make<T: Send + 'static>() -> Self::Of<T> {
        // Leaked, as in the other one, but it is mapped only where it is used.
        let memory = MappedArena::new(1 << 20, 256, 1 << 10).expect("a megabyte").leak();
        channel::Unlimited::over(Box::leak(Box::new(memory)))
    }
}

/// Unlimited, in segments of one value, over an arena of its own that has three: senders wait for memory.
pub struct Cramped;

impl Kind for Cramped {
    type Of<T: Send + 'static> = channel::Unlimited<'static, Lock, 1>;
    const CAPACITY: Option<usize> = None;

    fn make<T: Send + 'static>() -> Self::Of<T> {
        // For as long as the process lives, as the channel may be anybody's.
        let memory: &'static Arena<Lock, 56, 256, 3> = Box::leak(Box::new(Arena::new()));
        channel::Unlimited::over(memory)
    }
}

/// Makes one test for each of the kinds of a program that is generic over the kind. First, who runs it.
#[allow(unused_macros)] // Not every test uses every one.
macro_rules! on_kinds {
    ($runner:ident $program:ident: $($test:ident on $kind:ident),+ $(,)?) => {
        mod $program {
            $(
                #[test]
                fn $test() {
                    $crate::runners::$runner(super::$program::<$crate::kinds::$kind>);
                }
            )+
        }
    };
}

/// As [`on_kinds`], with every kind that has room for a value and keeps it.
#[allow(unused_macros)] // Not every test uses every one.
macro_rules! on_every_kind_with_room {
    ($runner:ident: $($program:ident),+ $(,)?) => {
        $(
            on_kinds!($runner $program:
                buffered_1 on Buffered1,
                buffered_3 on Buffered3,
                buffered_128 on Buffered128,
                unlimited on Unlimited,
                cramped on Cramped,
                priority_3 on Priority3,
            );
        )+
    };
}

/// As [`on_kinds`], with every kind that keeps all values.
#[allow(unused_macros)] // Not every test uses every one.
macro_rules! on_every_kind {
    ($runner:ident: $($program:ident),+ $(,)?) => {
        $(
            on_kinds!($runner $program:
                rendezvous on Rendezvous,
                buffered_1 on Buffered1,
                buffered_3 on Buffered3,
                buffered_128 on Buffered128,
                unlimited on Unlimited,
                cramped on Cramped,
                priority_3 on Priority3,
            );
        )+
    };
}

/// As [`on_kinds`], with every kind that has a capacity.
#[allow(unused_macros)] // Not every test uses every one.
macro_rules! on_every_bounded_kind {
    ($runner:ident: $($program:ident),+ $(,)?) => {
        $(
            on_kinds!($runner $program:
                rendezvous on Rendezvous,
                buffered_1 on Buffered1,
                buffered_3 on Buffered3,
                buffered_128 on Buffered128,
                priority_3 on Priority3,
            );
        )+
    };
}
