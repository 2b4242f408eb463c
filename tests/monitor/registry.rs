//! What is registered, and what has gone.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use cloakroom::channel::{Broadcast, Buffered, Bytes, Channel, Rendezvous};
use cloakroom::kernel::Kernel;
use cloakroom::report::{Action, Name, Outcome, Record};
use cloakroom::std_layer::MappedArena;
use cloakroom::std_layer::report::{Assembler, Kept, Registered, Registry, Report, TooLongError};

use crate::{Hall, Lock, without_histograms};

/// What a report is about, in order.
fn names(report: &Report) -> Vec<(&'static str, Name)> {
    let records = report.records.iter().map(|record| match record {
        Record::Channel(channel) => ("channel", channel.name),
        Record::Arena(arena) => ("arena", arena.name),
        Record::Home(home) => ("home", home.arena),
        Record::Kernel(kernel) => ("kernel", kernel.name),
        Record::Ticket(ticket) => ("ticket", ticket.arena),
        other => panic!("{other:?} is of no thing"),
    });
    records.collect()
}

#[test]
fn everything_is_reported_until_it_is_removed() {
    static NUMBERS: Channel<Lock, u32, Rendezvous> = Channel::new();
    static FRAMES: Bytes<'static, Lock, Buffered<4>> = Bytes::new();
    static KERNEL: Kernel<Lock> = Kernel::new();
    static HALL: Hall = Hall::new();

    let registry = Registry::new("a process");
    let first = registry.channel("numbers", &NUMBERS);
    let _others = (
        registry.channel("frames", &FRAMES),
        registry.kernel("kernel", &KERNEL),
        registry.arena("hall", &HALL),
    );
    FRAMES.try_send_bytes(HALL.handle(), b"twelve bytes").expect("room");
    let report = without_histograms(registry.collect());
    let all = ["numbers", "frames", "kernel", "hall", "hall"].map(Name::new);
    let sorts = ["channel", "channel", "kernel", "arena", "home"];
    assert!(names(&report).into_iter().eq(sorts.into_iter().zip(all)));
    assert_eq!((&*report.begin.source, report.begin.sequence), ("a process", 0));
    assert_eq!(report.channel("frames").expect("registered").bytes_sent, 12);
    let Record::Arena(hall) = report.records[3] else { panic!("an arena") };
    assert_eq!(hall.census.expect("a census").pages_at_rest, 1);

    // A dump has the payload, too.
    let dump = without_histograms(registry.dump());
    assert_eq!(names(&dump).last(), Some(&("ticket", Name::new("hall"))));
    assert_eq!(dump.begin.sequence, 1);

    drop(first);
    let report = without_histograms(registry.collect());
    assert_eq!((report.channel("numbers"), report.records.len()), (None, 4));
}

#[cfg(feature = "histograms")]
#[test]
fn a_histogram_follows_its_channel() {
    static NUMBERS: Channel<Lock, u32, Rendezvous> = Channel::new();
    static FRAMES: Bytes<'static, Lock, Buffered<4>> = Bytes::new();
    static HALL: Hall = Hall::new();
    let registry = Registry::new("a process");
    let _registered = (registry.channel("frames", &FRAMES), registry.channel("numbers", &NUMBERS));
    for waits in [5, 9] {
        HALL.handle().set_now(0);
        FRAMES.try_send_bytes(HALL.handle(), b"frame").expect("room");
        HALL.handle().set_now(waits);
        drop(FRAMES.try_recv().expect("a message"));
    }
    let report = registry.collect();
    let [Record::Channel(frames), Record::Queueing(queueing), Record::Channel(numbers)] =
        report.records[..]
    else {
        panic!("{report:?}")
    };
    assert_eq!([frames.name, queueing.channel, numbers.name].map(|name| name.len()), [6, 6, 7]);
    assert_eq!(Some(queueing.histogram), FRAMES.snapshot().queueing);
    assert_eq!((queueing.histogram.ticks, queueing.histogram.longest()), (14, Some(15)));
    assert_eq!(report.queueing("frames"), Some(&queueing.histogram));
    assert_eq!(report.queueing("numbers"), None);
}

#[test]
fn what_has_gone_is_not_reported() {
    let registry = Registry::new("a process");
    let line: Arc<Channel<Lock, u32, Buffered<4>>> = Arc::default();
    let hall = Arc::new(Hall::new());
    registry.channel("line", Arc::downgrade(&line)).keep();
    registry.arena("hall", Arc::downgrade(&hall)).keep();
    assert_eq!(registry.collect().records.len(), 3);
    // It is not kept alive.
    drop(Arc::into_inner(line).expect("the only one"));
    assert_eq!(registry.act("line", Action::Close), Outcome::Unknown);
    assert_eq!(names(&registry.collect()).len(), 2);
    drop(hall);
    assert_eq!(registry.collect().records, []);
}

#[test]
fn a_mapped_arena_is_kept() {
    let hall = MappedArena::<Lock>::new(1 << 16, 64, 64).expect("memory").leak();
    let registry = Registry::new("a process");
    let _registered = registry.arena("hall", Kept(hall));
    let frame = hall.try_alloc(65).expect("memory");
    let Record::Arena(now) = registry.collect().records[0] else { panic!("an arena") };
    assert_eq!((now.snapshot.used(), now.census.expect("a census").pages_in_hand), (2, 2));
    drop(frame);
}

/// What is registered may own registrations: as the value in a channel that the registry keeps.
#[test]
fn what_is_removed_may_remove_others() {
    let registry = Registry::new("a process");
    let line: Arc<Channel<Lock, u32, Buffered<4>>> = Arc::default();
    let owner: Channel<Lock, Registered, Buffered<1>> = Channel::new();
    owner.try_send(registry.channel("line", Arc::downgrade(&line))).expect("room");
    let registered = registry.channel("owner", Kept(owner));
    assert_eq!(registry.collect().records.len(), 2);
    drop(registered);
    assert_eq!(registry.collect().records, []);
}

/// The last holder of a channel may go while it is looked at, and take its own registration with it.
#[test]
fn what_removes_itself_when_it_is_dropped_may() {
    struct Owner {
        line: Channel<Lock, u32, Buffered<4>>,
        registered: Mutex<Option<Registered>>,
    }
    let registry = Registry::new("a process");
    for _ in 0..50 {
        let owner = Arc::new(Owner { line: Channel::new(), registered: Mutex::default() });
        let line: Arc<Channel<Lock, u32, Buffered<4>>> = Arc::default();
        let other = registry.channel("line", Arc::downgrade(&line));
        *owner.registered.lock().unwrap() = Some(other);
        owner.line.try_send(1).expect("room");
        std::thread::scope(|scope| {
            scope.spawn(|| drop(owner));
            scope.spawn(|| registry.collect());
        });
    }
    assert_eq!(registry.collect().records, []);
}

#[test]
fn actions_are_done_to_what_can_bear_them() {
    static HALL: Hall = Hall::new();
    static KERNEL: Kernel<Lock> = Kernel::new();
    let registry = Registry::new("a process");
    let line: Arc<Channel<Lock, u32, Buffered<4>>> = Arc::default();
    let news: Arc<Channel<Lock, u32, Broadcast<4>>> = Arc::default();
    let _registered = (
        registry.drainable("line", Arc::downgrade(&line)),
        registry.channel("news", Arc::downgrade(&news)),
        registry.arena("hall", &HALL),
        registry.kernel("kernel", &KERNEL),
    );
    line.try_send_many([1, 2, 3]).expect("room");
    assert_eq!(registry.act("line", Action::Drain), Outcome::Done(3));
    assert_eq!((line.len(), line.snapshot().received), (0, 3));
    assert_eq!(registry.act("line", Action::Close), Outcome::Done(1));
    assert_eq!(registry.act("line", Action::Close), Outcome::Done(0));
    assert!(line.is_closed());
    assert_eq!(registry.act("news", Action::Drain), Outcome::Unsuited);
    assert_eq!(registry.act("news", Action::Close), Outcome::Done(1));
    let gap = HALL.try_alloc(64).expect("memory");
    let kept = HALL.try_alloc(128).expect("memory").deposit();
    drop(gap);
    assert_eq!(registry.act("hall", Action::Compact), Outcome::Done(2));
    HALL.handle().discard(kept).expect("it is there");
    assert_eq!(registry.act("hall", Action::Close), Outcome::Unsuited);
    assert_eq!(registry.act("kernel", Action::Drain), Outcome::Unsuited);
    assert_eq!(registry.act("nobody", Action::Close), Outcome::Unknown);
}

#[test]
fn only_complete_reports_are_put_together() {
    static LINE: Channel<Lock, u32, Rendezvous> = Channel::new();
    let registry = Registry::new("a process");
    let _registered = (registry.channel("a", &LINE), registry.channel("b", &LINE));
    let reports = [registry.collect(), registry.collect()];
    let records: Vec<Record> = reports.iter().flat_map(Report::to_records).collect();
    let assemble = |without: Option<usize>| {
        let mut assembler = Assembler::new();
        let records = records.iter().enumerate().filter(|(at, _)| Some(*at) != without);
        let whole: Vec<Report> =
            records.filter_map(|(_, &record)| assembler.push(record).expect("short")).collect();
        (whole, assembler.dropped())
    };
    assert_eq!(assemble(None), (reports.to_vec(), 0));
    // Each has four records: one missing costs the report in which it is.
    for missing in 0..8 {
        let whole = reports[1 - missing / 4].clone();
        // Of a last report without an end nobody knows that it is not complete.
        let dropped = u64::from(missing != 7);
        assert_eq!(assemble(Some(missing)), (vec![whole], dropped), "without record {missing}");
    }
}

/// A report that does not end takes no more memory than was said.
#[test]
fn a_report_without_an_end_is_given_up() {
    let mut report = Registry::new("test").collect();
    let mut of_length = |length: usize| {
        report.records = vec![Record::Outcome(Outcome::Unknown); length];
        report.clone()
    };
    let (short, long) = (of_length(3), of_length(4));
    let mut assembler = Assembler::with_most(3);
    let mut push = |report: &Report, records: usize| -> (Vec<Report>, usize, u64) {
        let (mut whole, mut errors) = (Vec::new(), 0);
        for record in report.to_records().take(records) {
            match assembler.push(record) {
                Ok(report) => whole.extend(report),
                Err(error) => {
                    assert_eq!(error, TooLongError { most: 3 });
                    errors += 1;
                }
            }
        }
        (whole, errors, assembler.dropped())
    };
    assert_eq!(push(&short, 5), (vec![short.clone()], 0, 0));
    assert_eq!(push(&long, 6), (vec![], 1, 1));
    // Without an end it counts when the next one begins.
    assert_eq!(push(&of_length(1_000), 900), (vec![], 1, 1));
    assert_eq!(push(&short, 5), (vec![short.clone()], 0, 2));
}

/// Names are different though they are cut, or were the same, so that what is known of one thing is not another's.
#[test]
fn names_are_told_apart() {
    static LINES: [Channel<Lock, u32, Rendezvous>; 4] = [const { Channel::new() }; 4];
    static KERNEL: Kernel<Lock> = Kernel::new();
    let registry = Registry::new("test");
    let long = "a name that is longer than thirty-two bytes: ";
    let registered: Vec<_> = ["first", "second", "third"]
        .iter()
        .zip(&LINES)
        .map(|(which, line)| registry.channel(&format!("{long}{which}"), line))
        .collect();
    let _same = registry.channel("line", &LINES[3]);
    let _chosen = registry.channel("line~5", &LINES[3]);
    let _again = registry.channel("line", &LINES[3]);
    // Another sort has names of its own.
    let _kernel = registry.kernel("line", &KERNEL);
    let names = |registry: &Registry| {
        let report = without_histograms(registry.collect());
        names(&report).into_iter().map(|(_, name)| name.to_string()).collect::<Vec<_>>()
    };
    let all = names(&registry);
    assert_eq!(
        all,
        [
            "a name that is longer than thirt",
            "a name that is longer than thi~1",
            "a name that is longer than thi~2",
            "line",
            "line~5",
            "line~6",
            "line"
        ]
    );
    // No series stands there twice.
    let text = registry.collect().prometheus();
    let series: Vec<_> = text.lines().filter_map(|line| line.rsplit_once(' ')).collect();
    let distinct: HashSet<_> = series.iter().map(|(series, _)| series).collect();
    assert_eq!(distinct.len(), series.len());
    assert_eq!(registry.act("line~6", Action::Close), Outcome::Done(1));
    // A name is free again when what had it is removed.
    drop(registered);
    let _new = registry.channel(long, &LINES[0]);
    assert_eq!(names(&registry)[4], all[0]);
}
