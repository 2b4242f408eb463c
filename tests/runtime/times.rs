//! The arena's time is told by the runtime's threads.

use std::time::Duration;

use cloakroom::channel::{Buffered, Bytes};
use cloakroom::kernel::Clock;
use cloakroom::std_layer::{StdClock, StdRawMutex as Lock};

use crate::with_each_size;

const NAP: Duration = Duration::from_millis(5);

/// What waits while a task sleeps is older than that afterwards, by the same clock.
#[test]
fn a_sleep_makes_what_is_queued_older() {
    with_each_size(|runtime| {
        let handle = runtime.handle();
        let line: &'static Bytes<'static, Lock, Buffered<4>> = Box::leak(Box::default());
        let task = runtime.spawn(async move {
            line.try_send_bytes(handle.arena(), b"frame").expect("room");
            handle.sleep(NAP).await;
            let age = line.snapshot().times.and_then(|times| times.oldest_age);
            drop(line.try_recv().expect("a message"));
            age
        });
        let age =
            runtime.block_on(task.expect("room")).expect("it ends").expect("a message waited");
        assert!(u64::from(age) >= StdClock::ticks(NAP), "{age} ticks");
        assert!(u64::from(age) <= handle.clock().now(), "{age} ticks");
        #[cfg(feature = "histograms")]
        {
            let queueing = line.snapshot().queueing.expect("they are messages");
            assert_eq!(queueing.count(), 1);
            // From the send to the receive, while its age is from its allocation to the look: another thread
            // may have told the time in between.
            let limits = StdClock::ticks(NAP)..=handle.clock().now();
            assert!(limits.contains(&queueing.ticks), "{} of {limits:?}", queueing.ticks);
        }
    });
}

/// Threads that sleep tell nobody the time; whoever sends can.
#[test]
fn a_thread_can_tell_the_time_itself() {
    with_each_size(|runtime| {
        let line: &'static Bytes<'static, Lock, Buffered<4>> = Box::leak(Box::default());
        let send = || line.try_send_bytes(runtime.arena(), b"frame").expect("room");
        runtime.tell_time();
        send();
        let first = line.snapshot().times.expect("used").first;
        std::thread::sleep(NAP);
        runtime.tell_time();
        send();
        let last = line.snapshot().times.expect("used").last;
        assert!(u64::from(last - first) >= StdClock::ticks(NAP), "from {first} to {last}");
        line.channel().drain().for_each(drop);
    });
}
