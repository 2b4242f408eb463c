//! What is stuck, and what may have been lost.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Waker};
use std::time::Duration;

use cloakroom::channel::{Buffered, Channel, ChannelSnapshot, Conflated, Rendezvous};
use cloakroom::kernel::Kernel;
use cloakroom::report::Record;
use cloakroom::std_layer::report::{Registry, Report, Stall, StallDetector};

use crate::{Hall, Lock};

/// A detector, and reports that are a second apart.
struct Watcher<'r> {
    registry: &'r Registry,
    detector: StallDetector,
    seconds: u64,
}

impl<'r> Watcher<'r> {
    fn of(registry: &'r Registry, patience: u64) -> Self {
        let detector = StallDetector::new(Duration::from_secs(patience));
        Self { registry, detector, seconds: 0 }
    }

    fn report(&mut self) -> Report {
        let mut report = self.registry.collect();
        self.seconds += 1;
        report.begin.ticks = self.seconds * report.begin.ticks_per_second;
        report
    }

    fn stalls(&mut self) -> Vec<(String, u64, u64)> {
        let report = self.report();
        let stalls = self.detector.observe(&report).into_iter();
        stalls
            .map(|Stall { name, waiting, since, .. }| (name.to_string(), waiting, since.as_secs()))
            .collect()
    }
}

fn stall(name: &str, waiting: u64, since: u64) -> Vec<(String, u64, u64)> {
    vec![(name.to_owned(), waiting, since)]
}

#[test]
fn a_latest_value_does_not_wait() {
    static LATEST: Channel<Lock, u32, Conflated> = Channel::new();
    static LINE: Channel<Lock, u32, Buffered<1>> = Channel::new();
    let registry = Registry::new("test");
    let _registered = [registry.channel("latest", &LATEST), registry.channel("line", &LINE)];
    let mut watcher = Watcher::of(&registry, 0);
    LATEST.try_send(1).expect("open");
    LINE.try_send(1).expect("room");
    assert_eq!(watcher.stalls(), []);
    assert_eq!(watcher.stalls(), stall("line", 1, 1));
}

#[test]
fn work_that_waits_and_does_not_move_is_a_stall() {
    static LINE: Channel<Lock, u32, Buffered<4>> = Channel::new();
    let registry = Registry::new("test");
    let _registered = registry.channel("line", &LINE);
    let mut watcher = Watcher::of(&registry, 2);
    // Nothing moves, and nothing waits.
    for _ in 0..5 {
        assert_eq!(watcher.stalls(), []);
    }
    LINE.try_send_many([1, 2]).expect("room");
    assert_eq!(watcher.stalls(), []);
    assert_eq!(watcher.stalls(), []);
    assert_eq!(watcher.stalls(), stall("line", 2, 2));
    assert_eq!(watcher.stalls(), stall("line", 2, 3));
    // One received: it gets on.
    LINE.try_recv().expect("a value");
    assert_eq!(watcher.stalls(), []);
    // As many as before are in it, and it has moved all the same.
    LINE.try_recv().expect("a value");
    LINE.try_send(3).expect("room");
    assert_eq!(watcher.stalls(), []);
    assert_eq!(watcher.stalls(), []);
    assert_eq!(watcher.stalls(), stall("line", 1, 2));
    LINE.drain().for_each(drop);
}

#[test]
fn senders_tasks_and_allocations_that_wait_are_work() {
    static MEETING: Channel<Lock, u32, Rendezvous> = Channel::new();
    static HALL: Hall = Hall::new();
    static KERNEL: Kernel<Lock> = Kernel::new();
    let registry = Registry::new("test");
    let _registered = (
        registry.channel("meeting", &MEETING),
        registry.arena("hall", &HALL),
        registry.kernel("kernel", &KERNEL),
    );
    let mut watcher = Watcher::of(&registry, 1);
    assert_eq!(watcher.stalls(), []);
    let mut cx = Context::from_waker(Waker::noop());
    {
        let mut send = pin!(MEETING.send(1));
        assert!(send.as_mut().poll(&mut cx).is_pending());
        assert_eq!(watcher.stalls(), []);
        assert_eq!(watcher.stalls(), stall("meeting", 1, 1));
        // It tries again and again, and nobody comes: that is no move.
        send.set(MEETING.send(2));
        assert!(send.as_mut().poll(&mut cx).is_pending());
        assert_eq!(watcher.stalls(), stall("meeting", 1, 2));
    }
    assert_eq!(watcher.stalls(), []);
    let task = KERNEL.spawn(HALL.handle(), async {}).expect("memory");
    assert_eq!(watcher.stalls(), []);
    assert_eq!(watcher.stalls(), stall("kernel", 1, 1));
    KERNEL.poll(0);
    assert_eq!(watcher.stalls(), []);
    drop(task);
    let all = HALL.try_alloc(64 * 64).expect("memory");
    let mut alloc = pin!(HALL.alloc(1));
    assert!(alloc.as_mut().poll(&mut cx).is_pending());
    assert_eq!(watcher.stalls(), []);
    assert_eq!(watcher.stalls(), stall("hall", 1, 1));
    drop(all);
    assert!(alloc.as_mut().poll(&mut cx).is_ready());
    assert_eq!(watcher.stalls(), []);
}

/// What has been removed and comes again, and a source that has started again, begin anew.
#[test]
fn nothing_is_known_of_what_is_new() {
    static LINE: Channel<Lock, u32, Buffered<4>> = Channel::new();
    let registry = Registry::new("test");
    let registered = registry.channel("line", &LINE);
    let mut watcher = Watcher::of(&registry, 1);
    LINE.try_send(1).expect("room");
    assert_eq!(watcher.stalls(), []);
    assert_eq!(watcher.stalls(), stall("line", 1, 1));
    drop(registered);
    assert_eq!(watcher.stalls(), []);
    let _registered = registry.channel("line", &LINE);
    assert_eq!(watcher.stalls(), []);
    assert_eq!(watcher.stalls(), stall("line", 1, 1));
    watcher.seconds = 0;
    assert_eq!(watcher.stalls(), []);
    assert_eq!(watcher.stalls(), stall("line", 1, 1));
    LINE.drain().for_each(drop);
}

/// A board may call several things the same: they are told apart by their order, however many they are.
#[test]
fn namesakes_are_told_apart() {
    static LINE: Channel<Lock, u32, Buffered<1>> = Channel::new();
    let mut report = Registry::new("test").collect();
    let record =
        |sent, depth| Record::channel("line", ChannelSnapshot { sent, depth, ..LINE.snapshot() });
    let mut detector = StallDetector::new(Duration::ZERO);
    report.records = (0..50_000).map(|number| record(number, 1)).collect();
    assert_eq!(detector.observe(&report), []);
    report.records[700] = record(9, 1);
    assert_eq!(detector.observe(&report).len(), 49_999);
    report.records.truncate(2);
    assert_eq!(detector.observe(&report).len(), 2);
}

#[cfg(feature = "stamps")]
#[test]
fn what_has_been_at_rest_for_long_may_be_lost() {
    use cloakroom::channel::Bytes;

    static HALL: Hall = Hall::new();
    static FRAMES: Bytes<'static, Lock, Buffered<4>> = Bytes::new();
    let registry = Registry::new("test");
    let _registered = (registry.arena("hall", &HALL), registry.channel("frames", &FRAMES));
    let hall = HALL.handle();
    hall.set_now(100);
    let lost = hall.try_alloc(10).expect("memory").deposit();
    let in_hand = hall.try_alloc(20).expect("memory");
    hall.set_now(150);
    FRAMES.try_send_bytes(hall, b"young").expect("room");
    hall.set_now(160);
    let dump = registry.dump();
    let orphans = |age| dump.orphans(age).map(|orphan| orphan.dump.len).collect::<Vec<usize>>();
    assert_eq!((orphans(61), orphans(60), orphans(10)), (vec![], vec![10], vec![10]));
    let times = dump.channel("frames").and_then(|frames| frames.times).expect("times");
    assert_eq!((times.first, times.last, times.oldest_age), (150, 150, Some(10)));
    drop(FRAMES.try_recv());
    let times = FRAMES.snapshot().times.expect("times");
    assert_eq!((times.first, times.last, times.oldest_age), (150, 160, None));
    drop(in_hand);
    hall.discard(lost).expect("it is there");
}
