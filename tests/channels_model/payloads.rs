//! Payloads that a broadcast shares by a reference count in an arena: there for as long as the channel or a
//! subscriber holds one, and no longer.

use std::collections::{BTreeSet, VecDeque};

use cloakroom::channel::{
    Broadcast, Channel, ConstOverflow, Delivery, DropNewest, DropOldest, Overflow, Share,
    Subscriber, Wait,
};
use cloakroom::error::TryRecvError;
use cloakroom::{Arena, Lease, Parcel, Shared};

use crate::random::Random;
use crate::{Ledger, Lock, Value};

const ROOM: usize = 3;

type Hall = Arena<Lock, 64, 64, 64>;

/// Something in an arena that can be had several times.
trait Payload<'a>: Share {
    fn make(hall: &'a Hall, ledger: &Ledger) -> (usize, Self);
    fn id(&self) -> usize;
    /// What a subscriber makes of it.
    fn kept(self) -> Self {
        self
    }
}

fn id_of(bytes: &[u8]) -> usize {
    usize::from_le_bytes(bytes[..8].try_into().expect("eight bytes"))
}

impl<'a> Payload<'a> for Shared<'a, Value, Lock> {
    fn make(hall: &'a Hall, ledger: &Ledger) -> (usize, Self) {
        let value = ledger.value();
        (value.id, hall.try_alloc_value(value).map_err(drop).expect("memory").share())
    }
    fn id(&self) -> usize {
        self.id
    }
}

impl<'a> Payload<'a> for Lease<'a, Lock> {
    fn make(hall: &'a Hall, ledger: &Ledger) -> (usize, Self) {
        let id = ledger.value().id;
        (id, hall.try_alloc_from(&id.to_le_bytes()).expect("memory"))
    }
    fn id(&self) -> usize {
        id_of(self)
    }
}

impl<'a> Payload<'a> for Parcel<'a, Lock> {
    fn make(hall: &'a Hall, ledger: &Ledger) -> (usize, Self) {
        let (id, lease) = Lease::make(hall, ledger);
        (id, lease.into_parcel().map_err(drop).expect("few tickets"))
    }
    fn id(&self) -> usize {
        let again = self.share().expect("few tickets");
        again.redeem().expect("undamaged").id()
    }
    fn kept(self) -> Self {
        // In hand and at rest again: as a receiver would.
        self.redeem().expect("undamaged").into_parcel().map_err(drop).expect("few tickets")
    }
}

type News<T, P> = Channel<Lock, T, Broadcast<ROOM, P>>;
/// A subscriber, the values that it has yet to read, and how many it has missed.
type Reader<'c, T, P> = (Subscriber<&'c News<T, P>>, VecDeque<usize>, u64);

/// What a send without room comes to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Full {
    Waits,
    LosesOldest,
    LosesNewest,
}

fn sequence<'a, T: Payload<'a>, P: Overflow<T> + ConstOverflow>(
    hall: &'a Hall,
    seed: u64,
    full: Full,
) {
    let ledger = Ledger::default();
    {
        let news: News<T, P> = Channel::new();
        let mut random = Random(seed);
        let mut readers: Vec<Reader<'_, T, P>> = Vec::new();
        let mut ring: VecDeque<usize> = VecDeque::new();
        let mut kept: Vec<T> = Vec::new();
        for step in 0..200 {
            let context = || format!("seed {seed}, step {step}");
            match random.below(100) {
                0..35 => {
                    let (id, payload) = T::make(hall, &ledger);
                    let sent = news.try_send(payload).is_ok();
                    let is_full = ring.len() == ROOM;
                    assert_eq!(sent, !is_full || full != Full::Waits, "{}", context());
                    if is_full && full == Full::LosesOldest {
                        let lost = ring.pop_front();
                        for (_, unread, missed) in &mut readers {
                            if unread.front().copied() == lost {
                                unread.pop_front();
                                *missed += 1;
                            }
                        }
                    }
                    if !is_full || full == Full::LosesOldest {
                        // Without readers it goes at once.
                        ring.push_back(id);
                        readers.iter_mut().for_each(|(_, unread, _)| unread.push_back(id));
                    }
                }
                35..75 if !readers.is_empty() => {
                    let at = random.index(readers.len());
                    let (subscriber, unread, missed) = &mut readers[at];
                    let expected = match (std::mem::take(missed), unread.front()) {
                        (0, None) => Err(TryRecvError::Empty),
                        (0, Some(&id)) => Ok(Delivery::Value(id)),
                        (missed, _) => Ok(Delivery::Lagged(missed)),
                    };
                    let got = subscriber.try_recv();
                    if let Ok(Delivery::Value(_)) = expected {
                        unread.pop_front();
                    }
                    let shown = match &got {
                        Ok(Delivery::Value(payload)) => Ok(Delivery::Value(payload.id())),
                        Ok(Delivery::Lagged(missed)) => Ok(Delivery::Lagged(*missed)),
                        Err(why) => Err(*why),
                    };
                    assert_eq!(shown, expected, "{}", context());
                    if let Ok(Delivery::Value(payload)) = got {
                        kept.push(payload.kept());
                    }
                }
                75..82 if readers.len() < 4 => readers.push((news.subscribe(), VecDeque::new(), 0)),
                82..87 if !readers.is_empty() => {
                    drop(readers.swap_remove(random.index(readers.len())));
                }
                87..98 => kept.truncate(random.index(kept.len() + 1)),
                _ => {}
            }
            ring.retain(|id| readers.iter().any(|(_, unread, _)| unread.contains(id)));
            let held: BTreeSet<usize> =
                ring.iter().copied().chain(kept.iter().map(Payload::id)).collect();
            assert_eq!(hall.snapshot().live, held.len(), "payloads, {}", context());
            assert_eq!(news.len(), ring.len(), "{}", context());
        }
    }
    assert_eq!(hall.snapshot().live, 0, "seed {seed}");
    assert!(hall.handle().verify().is_clean(), "seed {seed}");
    assert_eq!(ledger.wrong(), [0; 0], "seed {seed}: values dropped other than once");
}

/// Under each policy.
macro_rules! under_each_policy {
    ($name:ident: $payload:ty) => {
        #[test]
        fn $name() {
            let hall = Hall::new();
            for seed in 0..200 {
                sequence::<$payload, Wait>(&hall, seed, Full::Waits);
                sequence::<$payload, DropOldest>(&hall, seed, Full::LosesOldest);
                sequence::<$payload, DropNewest>(&hall, seed, Full::LosesNewest);
            }
        }
    };
}

under_each_policy!(shared_values: Shared<'_, Value, Lock>);
under_each_policy!(leases: Lease<'_, Lock>);
under_each_policy!(parcels: Parcel<'_, Lock>);

/// A parcel of which no second one can be had is missed by all but its last reader, who gets it itself.
#[test]
fn a_parcel_with_too_many_tickets_is_missed() {
    const MOST: usize = 16_382;
    let hall = Hall::new();
    let ledger = Ledger::default();
    let (id, lease) = Lease::make(&hall, &ledger);
    let parcel = || lease.clone().into_parcel().map_err(drop).expect("fewer than there may be");
    let others: Vec<Parcel<'_, Lock>> = (1..MOST).map(|_| parcel()).collect();
    let news: News<Parcel<'_, Lock>, Wait> = Channel::new();
    let (mut first, mut second, mut third) = (news.subscribe(), news.subscribe(), news.subscribe());
    news.try_send(parcel()).map_err(drop).expect("room");
    drop(lease);
    assert!(matches!(first.try_recv(), Ok(Delivery::Lagged(1))));
    assert!(matches!(first.try_recv(), Err(TryRecvError::Empty)));
    assert!(matches!(second.try_recv(), Ok(Delivery::Lagged(1))));
    let Ok(Delivery::Value(last)) = third.try_recv() else { panic!("it is the last reader's") };
    let snapshot = news.snapshot();
    assert_eq!((snapshot.sent, snapshot.received, snapshot.dropped), (1, 1, 0));
    assert_eq!((snapshot.delivered, snapshot.lagged, snapshot.depth), (1, 2, 0));
    drop(others);
    assert_eq!(last.redeem().expect("undamaged").id(), id);
    assert_eq!(hall.snapshot().live, 0);
    assert!(hall.handle().verify().is_clean());
}
