//! Values of every shape: of no size, larger than a page, aligned to a cache line, with and without `Drop`,
//! boxes, functions, and channels.

use std::fmt::Debug;
use std::sync::Arc;

use crate::crew::Crew;
use crate::kinds::{Kind, Line};

on_every_kind!(every_crew:
    units, zero_sized, large, aligned, strings, boxes, options, functions, channels_through_channels
);

/// How many of each.
const VALUES: u64 = 40;

/// Sends as many as there are, and looks at each that arrives.
fn carry<K: Kind, T: Send + 'static>(
    crew: &Crew,
    make: impl Fn(u64) -> T + Send + 'static,
    check: impl Fn(u64, T) + Send + 'static,
) {
    let line = K::line::<T>();
    let sending = line.clone();
    crew.spawn(async move {
        for number in 0..VALUES {
            assert!(sending.send(make(number)).await.is_ok());
        }
        sending.close();
    });
    let received = crew.run(async {
        let mut received = 0;
        while let Ok(value) = line.recv().await {
            check(received, value);
            received += 1;
        }
        received
    });
    assert_eq!(received, VALUES);
}

/// As [`carry`], for what can be compared.
fn carry_equal<K: Kind, T: Send + PartialEq + Debug + 'static>(crew: &Crew, make: fn(u64) -> T) {
    carry::<K, T>(crew, make, move |number, value| assert_eq!(value, make(number)));
}

fn units<K: Kind>(crew: Crew) {
    carry_equal::<K, ()>(&crew, |_| ());
}

fn zero_sized<K: Kind>(crew: Crew) {
    #[derive(PartialEq, Debug)]
    #[repr(align(16))]
    struct Nothing([u64; 0]);
    assert_eq!(size_of::<Nothing>(), 0);
    carry_equal::<K, Nothing>(&crew, |_| Nothing([]));
}

fn large<K: Kind>(crew: Crew) {
    carry_equal::<K, [u8; 4096]>(&crew, |number| {
        std::array::from_fn(|at| (number as usize * 31 + at * 7) as u8)
    });
}

fn aligned<K: Kind>(crew: Crew) {
    #[derive(Clone, Copy)]
    #[repr(align(64))]
    struct Line(u64, u8);
    let check = |number, value: Line| {
        assert_eq!((value.0, value.1), (number, number as u8));
        assert!(std::ptr::from_ref(&value).is_aligned());
    };
    carry::<K, Line>(&crew, |number| Line(number, number as u8), check);
}

fn strings<K: Kind>(crew: Crew) {
    carry_equal::<K, String>(&crew, |number| "long enough for the heap ".repeat(number as usize));
}

fn boxes<K: Kind>(crew: Crew) {
    carry_equal::<K, Box<[u64]>>(&crew, |number| (0..number).collect());
}

fn options<K: Kind>(crew: Crew) {
    // With a niche, and without.
    carry_equal::<K, Option<Box<u64>>>(&crew, |number| (number % 2 == 0).then(|| Box::new(number)));
    carry_equal::<K, Option<Option<u64>>>(&crew, |number| {
        (number % 3 > 0).then(|| (number % 3 > 1).then_some(number))
    });
}

fn functions<K: Kind>(crew: Crew) {
    type Job = Box<dyn FnOnce(u64) -> u64 + Send>;
    carry::<K, Job>(
        &crew,
        |number| Box::new(move |factor| number * factor),
        |number, job| assert_eq!(job(3), number * 3),
    );
}

/// Each value is a channel with a value in it, or with a sender that waits in it.
fn channels_through_channels<K: Kind>(crew: Crew) {
    let lines = K::line::<Line<K, Arc<str>>>();
    let sending = lines.clone();
    crew.spawn(async move {
        for _ in 0..VALUES {
            let inner = K::line::<Arc<str>>();
            assert!(sending.send(inner.clone()).await.is_ok());
            assert!(inner.send("through".into()).await.is_ok());
        }
        sending.close();
    });
    let received = crew.run(async {
        let mut received = 0;
        while let Ok(inner) = lines.recv().await {
            assert_eq!(inner.recv().await.as_deref(), Ok("through"));
            received += 1;
        }
        received
    });
    assert_eq!(received, VALUES);
}
