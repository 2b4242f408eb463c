//! What a dump says of payloads, where they wait, and what is freed when it is asked for.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Waker};

use cloakroom::channel::{Buffered, Bytes, Channel};
use cloakroom::report::{Action, Name, Outcome, Record, TicketRecord, TicketState};
use cloakroom::std_layer::report::{Registered, Registry, Report};
use cloakroom::{Parcel, Ticket};

use crate::{Hall, Lock};

type Line = Bytes<'static, Lock, Buffered<2>>;

/// A process with a channel and an arena.
struct Process {
    hall: &'static Hall,
    line: &'static Line,
    registry: Registry,
    _registered: [Registered; 2],
}

impl Process {
    fn new() -> Self {
        let hall: &'static Hall = Box::leak(Box::default());
        let line: &'static Line = Box::leak(Box::new(Bytes::new()));
        let registry = Registry::new("process");
        let _registered = [registry.arena("hall", hall), registry.channel("line", line)];
        Self { hall, line, registry, _registered }
    }

    fn message(&self, len: usize) -> Parcel<'static, Lock> {
        self.hall.try_alloc(len).expect("memory").into_parcel()
    }

    fn reap(&self, age: u32) -> Outcome {
        self.registry.act("hall", Action::Reap { age })
    }
}

fn tickets(report: &Report) -> impl Iterator<Item = &TicketRecord> {
    report.records.iter().filter_map(|record| match record {
        Record::Ticket(ticket) => Some(ticket),
        _ => None,
    })
}

/// What is said of the payload of that length.
fn of(report: &Report, len: usize) -> (TicketState, Option<(Name, bool, u32)>) {
    let ticket = tickets(report).find(|ticket| ticket.dump.len == len).expect("a payload");
    (ticket.state, ticket.place.map(|place| (place.channel, place.parked, place.position)))
}

fn is_pending<F: Future>(future: Pin<&mut F>) -> bool {
    future.poll(&mut Context::from_waker(Waker::noop())).is_pending()
}

#[test]
fn every_payload_says_its_state_and_where_it_waits() {
    let process = Process::new();
    let line = Name::new("line");
    for len in [1, 2] {
        process.line.try_send_parcel(process.message(len)).expect("room");
    }
    let mut parked = [3, 4].map(|len| Box::pin(process.line.send_parcel(process.message(len))));
    assert!(parked.iter_mut().all(|send| is_pending(send.as_mut())));
    let in_hand = process.hall.try_alloc(5).expect("memory");
    let number = process.hall.try_alloc(6).expect("memory").deposit();
    let dump = process.registry.dump();
    assert_eq!(of(&dump, 1), (TicketState::Ready, Some((line, false, 0))));
    assert_eq!(of(&dump, 2), (TicketState::Ready, Some((line, false, 1))));
    assert_eq!(of(&dump, 3), (TicketState::Suspended, Some((line, true, 0))));
    assert_eq!(of(&dump, 4), (TicketState::Suspended, Some((line, true, 1))));
    assert_eq!(of(&dump, 5), (TicketState::Active, None));
    assert_eq!(of(&dump, 6), (TicketState::Dehydrated, None));

    // What is received is in hand, what is held of it stays where it is.
    let received = process.line.try_recv().expect("a message");
    assert!(!is_pending(parked[0].as_mut()));
    let dump = process.registry.dump();
    assert_eq!(of(&dump, 1), (TicketState::Active, None));
    assert_eq!(of(&dump, 3), (TicketState::Ready, Some((line, false, 1))));

    // Nobody is there to receive what is left in a closed channel.
    process.line.close();
    let dump = process.registry.dump();
    assert_eq!(of(&dump, 2), (TicketState::Orphan, Some((line, false, 0))));
    drop((received, in_hand));
    process.hall.redeem(number).expect("it is there");
}

#[test]
fn scattered_payloads_are_one_each() {
    let process = Process::new();
    let walls: Vec<_> = (0..32).map(|_| process.hall.try_alloc(128).expect("memory")).collect();
    let every_other = |(number, wall)| (number % 2 == 0).then_some(wall);
    let _walls: Vec<_> = walls.into_iter().enumerate().filter_map(every_other).collect();
    let tickets_line: &'static Channel<Lock, Ticket, Buffered<2>> =
        Box::leak(Box::new(Channel::new()));
    let _registered = process.registry.channel("tickets", tickets_line);
    let chain = process.hall.handle().try_alloc_scattered(300).expect("memory");
    let ticket = chain.deposit();
    tickets_line.try_send(ticket).expect("room");
    let dump = process.registry.dump();
    let rests = |ticket: &&TicketRecord| ticket.dump.at_rest > 0;
    let runs: Vec<&TicketRecord> = tickets(&dump).filter(rests).collect();
    assert!(runs.len() > 1 && runs.iter().filter(|run| !run.dump.part).count() == 1, "{runs:?}");
    assert!(runs.iter().all(|run| run.state == TicketState::Ready && run.place.is_some()));
    assert_eq!(tickets_line.try_recv(), Ok(ticket));
    let dump = process.registry.dump();
    assert!(tickets(&dump).filter(rests).all(|run| run.state == TicketState::Dehydrated));
    process.hall.handle().discard(ticket).expect("it is there");
}

#[test]
fn pages_in_hand_are_told_by_home() {
    let process = Process::new();
    let telemetry = process.hall.handle().open_home(16, 0).expect("a home");
    let message = telemetry.try_alloc(130).expect("memory");
    process.line.try_send(message).expect("room");
    let _other = process.hall.try_alloc(64).expect("memory");
    let held = || -> Vec<(usize, usize)> {
        let report = process.registry.collect();
        let homes = report.records.iter().filter_map(|record| match record {
            Record::Home(home) => home.census,
            _ => None,
        });
        homes.map(|census| (census.pages_in_hand, census.pages_at_rest)).collect()
    };
    assert_eq!(held(), [(1, 0), (0, 3)]);
    // In flight: received, and its lease still held.
    let lease = process.line.try_recv().expect("a message");
    assert_eq!(held(), [(1, 0), (3, 0)]);
    let text = process.registry.collect().prometheus();
    let sample =
        r#"cloakroom_home_held_pages{source="process",arena="hall",home="1",held="in_hand"} 3"#;
    assert!(text.lines().any(|line| line == sample), "{text}");
    drop(lease);
    assert_eq!(held(), [(1, 0), (0, 0)]);
}

#[cfg(feature = "correlation")]
#[test]
fn a_correlation_id_goes_with_the_payload() {
    use std::num::NonZeroU32;

    let process = Process::new();
    let id = NonZeroU32::new(4711);
    let shown = || tickets(&process.registry.dump()).next().map(|ticket| ticket.dump.correlation);
    let lease = process.hall.try_alloc(10).expect("memory");
    assert_eq!((lease.correlation(), shown()), (None, Some(None)));
    lease.set_correlation(id);
    let parcel = lease.into_parcel();
    assert_eq!((parcel.correlation(), shown()), (id, Some(id)));
    process.line.try_send_parcel(parcel).expect("room");
    assert_eq!(shown(), Some(id));
    let received = process.line.try_recv().expect("a message");
    assert_eq!(received.correlation(), id);
    let ticket = received.deposit().expect("few tickets");
    assert_eq!(process.hall.redeem(ticket).expect("it is there").correlation(), id);
    // The next payload of this descriptor has none.
    let next = process.hall.try_alloc(10).expect("memory");
    assert_eq!((next.correlation(), shown()), (None, Some(None)));
    next.set_correlation(id);
    next.set_correlation(None);
    assert_eq!(next.correlation(), None);
}

#[cfg(not(feature = "stamps"))]
#[test]
fn nothing_is_old_where_ages_are_not_known() {
    let process = Process::new();
    process.registry.set_orphan_age(0);
    let lost = process.hall.try_alloc(6).expect("memory").deposit();
    assert_eq!(of(&process.registry.dump(), 6).0, TicketState::Dehydrated);
    assert_eq!(process.reap(0), Outcome::Unsuited);
    process.hall.redeem(lost).expect("it is there");
}

#[cfg(feature = "stamps")]
mod old {
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
    use std::thread;

    use cloakroom::RedeemError;
    use cloakroom::channel::{Broadcast, DropOldest, Priority, Unlimited};
    use cloakroom::report::Orphans;
    use cloakroom::std_layer::block_on;

    use super::*;

    fn orphans(report: &Report) -> Option<Orphans> {
        report.records.iter().find_map(|record| match record {
            Record::Arena(arena) => arena.orphans,
            _ => None,
        })
    }

    #[test]
    fn what_nobody_redeems_is_an_orphan_from_an_age_on() {
        let process = Process::new();
        process.registry.set_orphan_age(50);
        let hall = process.hall.handle();
        hall.set_now(100);
        let home = hall.open_home(8, 0).expect("a home");
        let lost = home.try_alloc(70).expect("memory").deposit();
        process.line.try_send_parcel(process.message(2)).expect("room");
        let mut parked = [3, 4].map(|len| Box::pin(process.line.send_parcel(process.message(len))));
        assert!(!is_pending(parked[0].as_mut()) && is_pending(parked[1].as_mut()));
        hall.set_now(149);
        assert_eq!(orphans(&process.registry.dump()), Some(Orphans::default()));
        hall.set_now(150);
        let dump = process.registry.dump();
        let found = Orphans { payloads: 1, bytes: 70, pages: 2, oldest_age: Some(50) };
        assert_eq!(orphans(&dump), Some(found));
        let old = |age| dump.orphans(age).map(|ticket| (ticket.dump.len, ticket.dump.home));
        assert!(old(50).eq([(70, 1)]) && old(51).count() == 0);
        assert_eq!(of(&dump, 70), (TicketState::Orphan, None));
        for line in
            ["orphans", "orphan_bytes", "oldest_orphan_age_ticks"].into_iter().zip([1, 70, 50])
        {
            let (name, figure) = line;
            let sample =
                format!("cloakroom_arena_{name}{{source=\"process\",arena=\"hall\"}} {figure}\n");
            assert!(dump.prometheus().contains(&sample), "no {sample}");
        }
        // Without a dump nobody has looked.
        let figures = process.registry.collect();
        assert_eq!(orphans(&figures), None);
        assert!(!figures.prometheus().contains("orphan"));
        let mut lines = Vec::new();
        dump.write_json(&mut lines).expect("space");
        let lines = String::from_utf8(lines).expect("text");
        let lines: Vec<serde_json::Value> =
            lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        let line = |len: u64| {
            let found = lines.iter().find(|line| line["type"] == "ticket" && line["len"] == len);
            found.expect("a line").clone()
        };
        assert_eq!((&line(70)["ticket_state"], &line(70)["age"]), (&"orphan".into(), &50.into()));
        assert_eq!(line(4)["ticket_state"], "suspended");
        assert_eq!(line(2)["place"]["channel"], "line");
        let arena = lines.iter().find(|line| line["type"] == "arena").expect("a line");
        assert_eq!(
            (&arena["orphans"]["payloads"], &arena["orphans"]["bytes"]),
            (&1.into(), &70.into())
        );
        hall.discard(lost).expect("it is there");
    }

    #[test]
    fn what_is_lost_is_freed_and_its_number_is_stale() {
        let process = Process::new();
        let hall = process.hall.handle();
        let lost = [10, 100, 200].map(|len| hall.try_alloc(len).expect("memory").deposit());
        // Two tickets of one payload, and one in several runs.
        let twice = hall.try_alloc(30).expect("memory").freeze();
        let twice = [twice.clone(), twice].map(|lease| lease.deposit().expect("few tickets"));
        let scattered = hall.try_alloc_scattered(40).expect("memory").deposit();
        let in_hand = hall.try_alloc(64).expect("memory");
        let shared = hall.try_alloc(64).expect("memory").freeze();
        let half = shared.clone().deposit().expect("few tickets");
        hall.set_now(1000);
        let young = hall.try_alloc(64).expect("memory").deposit();
        assert_eq!(process.reap(1001), Outcome::Reaped { payloads: 0, bytes: 0 });
        assert_eq!(process.reap(1000), Outcome::Reaped { payloads: 5, bytes: 380 });
        for ticket in lost.into_iter().chain(twice) {
            assert_eq!(hall.redeem(ticket).err(), Some(RedeemError::Stale));
        }
        assert_eq!(hall.redeem_scattered(scattered).err(), Some(RedeemError::Stale));
        assert_eq!(process.reap(1000), Outcome::Reaped { payloads: 0, bytes: 0 });
        for kept in [young, half] {
            hall.redeem(kept).expect("it is there");
        }
        drop((in_hand, shared));
        assert_eq!(hall.snapshot().used(), 0);
        assert!(hall.verify().is_clean());
        assert_eq!(process.registry.act("line", Action::Reap { age: 0 }), Outcome::Unsuited);
    }

    #[test]
    fn what_waits_is_never_freed() {
        let process = Process::new();
        let hall = process.hall.handle();
        let log: &'static Bytes<'static, Lock, Unlimited<'static, Lock, 2>> =
            Box::leak(Box::new(Bytes::over(process.hall)));
        let urgent: &'static Channel<Lock, Parcel<'static, Lock>, Priority<4>> =
            Box::leak(Box::new(Channel::new()));
        let news: &'static Bytes<'static, Lock, Broadcast<4, DropOldest>> =
            Box::leak(Box::new(Bytes::new()));
        let numbers: &'static Channel<Lock, Ticket, Buffered<4>> =
            Box::leak(Box::new(Channel::new()));
        let _registered = (
            process.registry.channel("log", log),
            process.registry.channel("urgent", urgent),
            process.registry.channel("news", news),
            process.registry.channel("numbers", numbers),
        );
        let mut reader = news.channel().subscribe();
        for len in 1..=3 {
            log.try_send_parcel(process.message(len)).expect("memory");
            urgent.try_send(process.message(10 * len)).expect("room");
            news.try_send_parcel(process.message(100 * len)).expect("room");
        }
        let number = process.hall.try_alloc(50).expect("memory").deposit();
        numbers.try_send(number).expect("room");
        for _ in 0..2 {
            process.line.try_send_parcel(process.message(7)).expect("room");
        }
        let mut parked = Box::pin(process.line.send_parcel(process.message(8)));
        assert!(is_pending(parked.as_mut()));
        let _lost = process.hall.try_alloc(400).expect("memory").deposit();
        hall.set_now(1_000_000);
        assert_eq!(process.reap(1), Outcome::Reaped { payloads: 1, bytes: 400 });
        // A sender that has been told to go on, and has not yet, holds its message where nobody sees it.
        drop(process.line.try_recv().expect("intact"));
        let _lost = process.hall.try_alloc(300).expect("memory").deposit();
        hall.set_now(2_000_000);
        assert_eq!(process.reap(1), Outcome::Busy);
        assert!(!is_pending(parked.as_mut()));
        assert_eq!(process.reap(1), Outcome::Reaped { payloads: 1, bytes: 300 });

        // All of it is received, whole.
        assert_eq!([(); 2].map(|()| process.line.try_recv().expect("intact").len()), [7, 8]);
        for len in 1..=3 {
            assert_eq!(log.try_recv().expect("intact").len(), len);
            let parcel = urgent.try_recv().expect("a parcel");
            assert_eq!(parcel.redeem().expect("intact").len(), 10 * len);
            let item = reader.try_recv().expect("news").value().expect("nothing missed");
            assert_eq!(item.redeem().expect("intact").len(), 100 * len);
        }
        let ticket = numbers.try_recv().expect("a ticket");
        assert_eq!(process.hall.redeem(ticket).expect("it is there").len(), 50);
    }

    /// Messages go through channels, and senders wait, while somebody reaps and dumps without end: what is lost is
    /// freed in the end, and nothing else.
    #[test]
    fn only_what_is_lost_is_freed_under_traffic() {
        const MESSAGES: u32 = 20_000;
        /// Of so many messages one more is lost.
        const LOSES: u32 = 1_000;
        let process = Process::new();
        let hall = process.hall.handle();
        let log: &'static Bytes<'static, Lock, Unlimited<'static, Lock, 2>> =
            Box::leak(Box::new(Bytes::over(process.hall)));
        let _registered = process.registry.channel("log", log);
        let (over, reaped) = (AtomicBool::new(false), AtomicU64::new(0));
        let reap = |age| match process.reap(age) {
            Outcome::Reaped { payloads, .. } => _ = reaped.fetch_add(payloads, Ordering::Relaxed),
            outcome => assert_eq!(outcome, Outcome::Busy),
        };
        thread::scope(|scope| {
            let sender = scope.spawn(|| {
                for number in 0..MESSAGES {
                    // A tick a message: none is ever under way for more than the arena has room for.
                    hall.set_now(number);
                    if number % LOSES == 0 {
                        let _lost = block_on(hall.alloc(1)).expect("fits").deposit();
                    }
                    let mut message = block_on(hall.alloc(4)).expect("fits");
                    message.copy_from_slice(&number.to_le_bytes());
                    let sent = match number % 2 {
                        0 => block_on(process.line.send(message)),
                        _ => block_on(log.send(message)),
                    };
                    assert!(sent.is_ok());
                }
            });
            let receivers = [0, 1].map(|first| {
                let line = process.line;
                scope.spawn(move || {
                    for number in (first..MESSAGES).step_by(2) {
                        let message = match first {
                            0 => block_on(line.recv()),
                            _ => block_on(log.recv()),
                        };
                        assert_eq!(message.expect("intact")[..], number.to_le_bytes());
                    }
                })
            });
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    reap(100);
                    let _ = process.registry.dump();
                }
            });
            let ended: Vec<_> = receivers
                .map(thread::ScopedJoinHandle::join)
                .into_iter()
                .chain([sender.join()])
                .collect();
            // Whatever has become of them.
            over.store(true, Ordering::Relaxed);
            assert!(ended.iter().all(Result::is_ok), "a message was lost");
        });
        reap(0);
        assert_eq!(reaped.load(Ordering::Relaxed), u64::from(MESSAGES / LOSES));
        // All that is left is the log's own memory.
        assert!(hall.dump().all(|run| run.in_hand > 0) && hall.verify().is_clean());
    }
}
