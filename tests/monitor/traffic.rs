//! Reading while threads send and receive: nothing stops, and nothing is torn.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use cloakroom::channel::{
    Broadcast, Buffered, Bytes, Channel, Conflated, DropOldest, Priority, Rendezvous, Unlimited,
};
use cloakroom::report::Record;
use cloakroom::std_layer::block_on;
use cloakroom::std_layer::report::{Registry, Report};

use crate::{Hall, Lock};

const REPORTS: usize = 400;
/// Bytes of every message.
const LEN: usize = 24;

/// A channel of numbers that everybody uses, until it is closed.
macro_rules! lines {
    ($($name:ident: $kind:ty),+ $(,)?) => {
        $(static $name: Channel<Lock, u32, $kind> = Channel::new();)+
    };
}
lines!(MEETING: Rendezvous, RING: Buffered<4>, OLDEST: Buffered<2, DropOldest>, LATEST: Conflated,
    URGENT: Priority<4>, NEWS: Broadcast<4>);

static HALL: Hall = Hall::new();
static ENDLESS: Channel<Lock, u32, Unlimited<'static, Lock>> = Channel::over(&HALL);
static FRAMES: Bytes<'static, Lock, Buffered<4>> = Bytes::new();

/// What must hold in every report.
fn check(report: &Report) {
    let mut delivered = None;
    for record in &report.records {
        match record {
            Record::Channel(channel) => {
                let now = &channel.snapshot;
                assert!(now.reconciles(), "{channel:?}");
                assert!(now.capacity.is_none_or(|capacity| now.depth <= capacity.max(1)));
                assert!(now.depth <= now.high_water && now.copied <= now.sent, "{channel:?}");
                if &*channel.name == "frames" {
                    delivered = Some(now.delivered);
                    // Bytes and messages are of the same moment.
                    assert_eq!(now.bytes_sent, u64::from(now.sent) * LEN as u64);
                    assert_eq!(now.bytes_received, u64::from(now.received) * LEN as u64);
                }
            }
            Record::Queueing(queueing) => {
                // Of the same moment, too.
                assert_eq!(Some(queueing.histogram.count()), delivered.map(u64::from));
            }
            Record::Arena(arena) => {
                let now = &arena.snapshot;
                assert!(now.used() <= now.high_water && now.free_run <= now.free, "{arena:?}");
                assert!(now.live <= now.descriptors, "{arena:?}");
            }
            _ => {}
        }
    }
}

#[test]
fn every_report_reconciles_while_traffic_runs() {
    let registry = Registry::new("a process");
    let _registered = (
        registry.channel("meeting", &MEETING),
        registry.channel("ring", &RING),
        registry.channel("oldest", &OLDEST),
        registry.channel("latest", &LATEST),
        registry.channel("urgent", &URGENT),
        registry.channel("news", &NEWS),
        registry.channel("endless", &ENDLESS),
        registry.channel("frames", &FRAMES),
        registry.arena("hall", &HALL),
    );
    let over = AtomicBool::new(false);
    let (first, last) = thread::scope(|scope| {
        macro_rules! busy {
            ($($line:ident),+) => {
                $(
                    scope.spawn(|| {
                        for number in 0.. {
                            if over.load(Ordering::Relaxed) || block_on($line.send(number)).is_err() {
                                break;
                            }
                        }
                        $line.close();
                    });
                    scope.spawn(|| while block_on($line.recv()).is_ok() {});
                )+
            };
        }
        busy!(MEETING, RING, OLDEST, LATEST, URGENT);
        scope.spawn(|| {
            let mut subscriber = NEWS.subscribe();
            while !over.load(Ordering::Relaxed) {
                // One that lags, and one that comes and goes.
                let _ = NEWS.try_send(1);
                let _ = NEWS.subscribe().try_recv();
                let _ = subscriber.try_recv();
            }
        });
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                for number in 0..20 {
                    let _ = ENDLESS.try_send(number);
                }
                ENDLESS.drain().for_each(drop);
            }
        });
        scope.spawn(|| {
            let mut copies = false;
            while !over.load(Ordering::Relaxed) {
                copies = !copies;
                let _ = match copies {
                    true => block_on(FRAMES.send_bytes(HALL.handle(), &[7; LEN])).is_ok(),
                    false => {
                        HALL.try_alloc(LEN).is_ok_and(|frame| block_on(FRAMES.send(frame)).is_ok())
                    }
                };
            }
            FRAMES.close();
        });
        scope.spawn(|| while block_on(FRAMES.recv()).is_ok() {});

        let first = registry.collect();
        check(&first);
        let mut last = registry.collect();
        let mut reports = 0;
        // Until everything has moved, as often as it takes.
        while reports < REPORTS || !all_have_moved(&first, &last) {
            last = registry.collect();
            check(&last);
            reports += 1;
            thread::yield_now();
        }
        over.store(true, Ordering::Relaxed);
        (first, last)
    });
    assert!(all_have_moved(&first, &last));
    check(&registry.collect());
}

fn all_have_moved(before: &Report, after: &Report) -> bool {
    let names = ["meeting", "ring", "oldest", "latest", "urgent", "news", "endless", "frames"];
    names.iter().all(|name| {
        let (before, after) = (before.channel(name), after.channel(name));
        let moved = before.zip(after).map(|(before, after)| after.sent != before.sent);
        moved.expect("registered")
    })
}
