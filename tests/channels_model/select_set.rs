//! Sets of arms over channels of different kinds, against the model with claims.
//!
//! Two sets share the channels with each other and with operations of the usual sort. Their arms are added and
//! removed at random; they are polled, tried, and asked what is ready. So the arm that happens was ready,
//! no other happens, and those that do not happen leave no trace but that they have waited.

use std::fmt::Debug;
use std::future::Future;
use std::mem;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Waker};

use cloakroom::channel::{
    Buffered, Channel, Conflated, DropOldest, Priority, RecvFuture, Rendezvous,
};
use cloakroom::select::SelectSet;

use crate::line::{AnyArm, AnySlot, Event, Line};
use crate::model::{Kind, Model, Outcome, Policy, Shape};
use crate::random::Random;
use crate::set_model::{PLACES, Piece, SetModel};
use crate::{Count, Ledger, Lock, Value, ended};

const STEPS: usize = 300;
/// Arms made for each set.
const ARMS: usize = 40;

/// A set, its model, and the arms that are not in it.
struct Set<'s, 'a> {
    set: Pin<Box<SelectSet<'s, AnyArm<'a>, PLACES>>>,
    model: SetModel,
    spare: Vec<(Piece, Pin<&'s mut AnyArm<'a>>)>,
    /// Wake-ups of its waker.
    woken: Arc<Count>,
    /// Wake-ups of a waker that does nothing.
    unheard: usize,
}

impl Set<'_, '_> {
    /// How often the channels have woken its arms.
    fn wakes(&self, models: &[Model]) -> usize {
        let spare = self.spare.iter().map(|(piece, _)| *piece);
        let all = self.model.arms().map(|(_, piece)| piece).chain(spare);
        all.map(|(channel, operation)| models[channel].operations[operation].wakes).sum()
    }
}

/// What happened in all sequences.
#[derive(Default, Debug)]
struct Seen {
    polled: usize,
    after_waiting: usize,
    tried: usize,
    nothing_to_try: usize,
    ready: usize,
    nothing_ready: usize,
}

struct Driver<'d, 's, 'a> {
    lines: &'d [&'a dyn Line<'a>],
    models: Vec<Model>,
    sets: Vec<Set<'s, 'a>>,
    peers: Vec<(Piece, Pin<Box<AnyArm<'a>>>, Arc<Count>)>,
    permits: Vec<(usize, Box<dyn AnySlot + 'a>)>,
    ledger: Ledger,
    random: Random,
    seen: &'d mut Seen,
    seed: u64,
    step: usize,
}

/// A random operation on a random channel.
fn new_arm<'a>(
    lines: &[&'a dyn Line<'a>],
    models: &mut [Model],
    random: &mut Random,
    ledger: &Ledger,
) -> (Piece, Pin<Box<AnyArm<'a>>>) {
    let channel = random.index(lines.len());
    let mut value = None;
    let kind = match random.below(20) {
        0..7 => Kind::Send(value.insert(ledger.value()).id, random.below(3) as u8),
        7..14 => Kind::Recv,
        14..18 => Kind::Reserve,
        _ => Kind::Closed,
    };
    ((channel, models[channel].add(kind)), lines[channel].arm(kind, value))
}

impl<'a> Driver<'_, '_, 'a> {
    fn step(&mut self) {
        let channel = self.random.index(self.lines.len());
        let set = self.random.index(self.sets.len());
        match self.random.below(100) {
            0..8 => self.try_send(channel),
            8..16 => {
                let expected = self.models[channel].take(&None);
                self.models[channel].counters.empty += u32::from(expected.is_none());
                self.same(self.lines[channel].try_recv(), expected);
            }
            16..19 => {
                let expected = self.models[channel].hold(&None);
                self.models[channel].counters.full += u32::from(expected.is_none());
                let got = self.lines[channel].try_reserve();
                let got = got.map(|event| self.keep(channel, event));
                self.same(got, expected);
            }
            19..28 => self.use_permit(),
            28..34 if self.peers.len() < 8 => {
                let (piece, arm) =
                    new_arm(self.lines, &mut self.models, &mut self.random, &self.ledger);
                self.peers.push((piece, arm, Arc::default()));
            }
            28..46 if !self.peers.is_empty() => self.poll_peer(),
            46..50 if !self.peers.is_empty() => {
                let at = self.random.index(self.peers.len());
                let ((channel, operation), ..) = self.peers.swap_remove(at);
                self.models[channel].abandon(operation);
            }
            50..62 => self.add(set),
            62..66 => self.remove(set),
            66..78 => self.poll(set),
            78..85 => self.try_now(set),
            85..93 => self.ready(set),
            93..98 => self.try_ready(set),
            98 if self.random.one_in(4) => {
                let expected = self.models[channel].close();
                self.same(self.lines[channel].close(), expected);
            }
            _ => {}
        }
    }

    #[track_caller]
    fn same<T: PartialEq + Debug>(&self, got: T, expected: T) {
        assert_eq!(got, expected, "seed {}, step {}", self.seed, self.step);
    }

    /// Keeps the permit, if it is one.
    fn keep(&mut self, channel: usize, event: Event<'a>) -> Outcome {
        self.permits.extend(event.permit.map(|permit| (channel, permit)));
        event.outcome
    }

    fn try_send(&mut self, channel: usize) {
        let (value, priority) = (self.ledger.value(), self.random.below(3) as u8);
        let expected = self.models[channel].offer(&None, value.id, priority);
        self.models[channel].counters.full += u32::from(expected.is_none());
        self.same(self.lines[channel].try_send(value, priority), expected);
    }

    fn use_permit(&mut self) {
        if self.permits.is_empty() {
            return;
        }
        let at = self.random.index(self.permits.len());
        let (channel, permit) = self.permits.swap_remove(at);
        if self.random.one_in(3) {
            drop(permit);
            self.models[channel].return_slot();
        } else {
            let value = self.ledger.value();
            let expected = self.models[channel].keep_slot(value.id, 1);
            self.same(permit.send(value, 1), expected);
        }
    }

    fn poll_peer(&mut self) {
        let at = self.random.index(self.peers.len());
        let ((channel, operation), arm, count) = &mut self.peers[at];
        let channel = *channel;
        let expected = self.models[channel].poll(*operation);
        let waker = Waker::from(count.clone());
        let got = ended(arm.as_mut().poll(&mut Context::from_waker(&waker)));
        let got = got.map(|event| self.keep(channel, event));
        self.same(got, expected);
        if got.is_some() {
            self.peers.swap_remove(at);
        }
    }

    fn add(&mut self, set: usize) {
        let Set { set, model, spare, .. } = &mut self.sets[set];
        if spare.is_empty() {
            return;
        }
        let (piece, arm) = spare.swap_remove(self.random.index(spare.len()));
        model.part(&mut self.models);
        let place = model.places.iter().position(Option::is_none);
        match set.as_mut().add(arm) {
            Ok(number) => {
                assert_eq!(Some(number), place, "seed {}, step {}", self.seed, self.step);
                model.places[number] = Some(piece);
            }
            Err(arm) => {
                assert_eq!(None, place, "seed {}, step {}", self.seed, self.step);
                spare.push((piece, arm));
            }
        }
    }

    fn remove(&mut self, set: usize) {
        // One number too many: there is no arm.
        let number = self.random.index(PLACES + 1);
        let Set { set, model, spare, .. } = &mut self.sets[set];
        if number < PLACES {
            model.part(&mut self.models);
        }
        let piece = model.places.get_mut(number).and_then(Option::take);
        if number == PLACES {
            model.part(&mut self.models);
        }
        let arm = set.as_mut().remove(number);
        assert_eq!(arm.is_some(), piece.is_some(), "seed {}, step {}", self.seed, self.step);
        spare.extend(piece.zip(arm));
    }

    fn poll(&mut self, set: usize) {
        let Set { set, model, woken, .. } = &mut self.sets[set];
        let waited = model.is_waiting();
        let expected = model.poll(&mut self.models);
        let waker = Waker::from(woken.clone());
        let got = ended(set.as_mut().poll(&mut Context::from_waker(&waker)));
        self.happened(got, expected);
        self.seen.polled += usize::from(expected.is_some());
        self.seen.after_waiting += usize::from(expected.is_some() && waited);
    }

    fn try_now(&mut self, number: usize) {
        let expected = self.unheard(number, SetModel::try_now);
        let got = self.sets[number].set.as_mut().try_now();
        self.happened(got, expected);
        self.seen.tried += usize::from(expected.is_some());
        self.seen.nothing_to_try += usize::from(expected.is_none());
    }

    /// Compares what happened, if anything did.
    fn happened(
        &mut self,
        got: Option<(usize, Event<'a>)>,
        expected: Option<(usize, Piece, Outcome)>,
    ) {
        let got = match (got, expected) {
            (Some((place, event)), Some((_, (channel, _), _))) => {
                Some((place, self.keep(channel, event)))
            }
            (got, _) => got.map(|(place, event)| (place, event.outcome)),
        };
        self.same(got, expected.map(|(place, _, outcome)| (place, outcome)));
    }

    fn ready(&mut self, set: usize) {
        let Set { set, model, woken, .. } = &mut self.sets[set];
        let expected = model.ready(&mut self.models);
        let waker = Waker::from(woken.clone());
        let mut ready = Box::pin(set.as_mut().ready());
        let got = ended(ready.as_mut().poll(&mut Context::from_waker(&waker)));
        if self.random.one_in(2) {
            drop(ready);
            model.part(&mut self.models);
        } else {
            // As if it were kept: it goes on looking when the set is asked again.
            mem::forget(ready);
        }
        self.seen.ready += usize::from(expected.is_some());
        self.same(got, expected);
    }

    fn try_ready(&mut self, number: usize) {
        let expected = self.unheard(number, |model, models| {
            let ready = model.ready(models);
            model.part(models);
            ready
        });
        self.seen.ready += usize::from(expected.is_some());
        self.seen.nothing_ready += usize::from(expected.is_none());
        let got = self.sets[number].set.as_mut().try_ready();
        self.same(got, expected);
    }

    /// Something that is done with a waker which does nothing.
    fn unheard<R>(&mut self, number: usize, f: impl FnOnce(&mut SetModel, &mut [Model]) -> R) -> R {
        let set = &mut self.sets[number];
        let before = set.wakes(&self.models);
        let result = f(&mut set.model, &mut self.models);
        set.unheard += set.wakes(&self.models) - before;
        result
    }

    fn check(&mut self) {
        let (seed, step) = (self.seed, self.step);
        for (number, line) in self.lines.iter().enumerate() {
            let context = || format!("channel {number}, seed {seed}, step {step}");
            line.check(&mut self.models[number], &context);
        }
        for ((channel, operation), _, count) in &self.peers {
            self.same(count.get(), self.models[*channel].operations[*operation].wakes);
        }
        for set in &self.sets {
            self.same(set.woken.get(), set.wakes(&self.models) - set.unheard);
            self.same(set.set.len(), set.model.arms().count());
        }
    }
}

fn sequence(seed: u64, seen: &mut Seen) {
    let ledger = Ledger::default();
    {
        let meetings: [Channel<Lock, Value, Rendezvous>; 2] = Default::default();
        let ring: Channel<Lock, Value, Buffered<1>> = Channel::new();
        let losing: Channel<Lock, Value, Buffered<2, DropOldest>> = Channel::new();
        let latest: Channel<Lock, Value, Conflated> = Channel::new();
        let urgent: Channel<Lock, Value, Priority<2, 4>> = Channel::new();
        let all: [(&dyn Line<'_>, Shape); 6] = [
            (&meetings[0], Shape::RENDEZVOUS),
            (&meetings[1], Shape::RENDEZVOUS),
            (&ring, Shape::ring(1, Policy::Wait)),
            (&losing, Shape::ring(2, Policy::DropOldest)),
            (&latest, Shape::ring(1, Policy::Replace)),
            (&urgent, Shape::priority(2, 4)),
        ];
        let mut random = Random(seed);
        // Few channels, so that their operations meet; of one kind, or of several.
        let first = random.index(all.len());
        let used = &all[first..all.len().min(first + 1 + random.index(3))];
        let lines: Vec<_> = used.iter().map(|(line, _)| *line).collect();
        let mut models: Vec<_> = used.iter().map(|(line, shape)| line.model(*shape)).collect();
        let mut arms: Vec<_> =
            (0..2 * ARMS).map(|_| new_arm(&lines, &mut models, &mut random, &ledger)).collect();
        let sets = arms.chunks_mut(ARMS).map(|arms| Set {
            set: Box::pin(SelectSet::new()),
            model: SetModel::default(),
            spare: arms.iter_mut().map(|(piece, arm)| (*piece, arm.as_mut())).collect(),
            woken: Arc::default(),
            unheard: 0,
        });
        let mut driver = Driver {
            lines: &lines,
            sets: sets.collect(),
            models,
            peers: Vec::new(),
            permits: Vec::new(),
            ledger: ledger.clone(),
            random,
            seen,
            seed,
            step: 0,
        };
        for step in 0..STEPS {
            driver.step = step;
            driver.step();
            driver.check();
        }
    }
    assert_eq!(ledger.wrong(), [0; 0], "seed {seed}: values dropped other than once");
}

#[test]
fn sets_and_their_peers() {
    let mut seen = Seen::default();
    for seed in 0..2_000 {
        sequence(seed, &mut seen);
    }
    println!("{seen:?}");
    let Seen { polled, after_waiting, tried, nothing_to_try, ready, nothing_ready } = seen;
    let all = [polled, after_waiting, tried, nothing_to_try, ready, nothing_ready];
    assert!(all.into_iter().all(|times| times > 1_000), "something hardly ever happened");
}

/// How often each of the first `arms` arms of a fair set happens, all of them always ready.
fn wins<const ROOM: usize>(arms: usize, tries: usize) -> Vec<usize> {
    let lines: [Channel<Lock, u8, Buffered<1>>; 8] = Default::default();
    let mut receives: Vec<Pin<Box<RecvFuture<'_, Lock, u8, _>>>> =
        lines[..arms].iter().map(|line| Box::pin(line.recv())).collect();
    let mut set = pin!(SelectSet::<'_, RecvFuture<'_, Lock, u8, Buffered<1>>, ROOM>::new().fair());
    for receive in &mut receives {
        assert!(set.as_mut().add(receive.as_mut()).is_ok());
    }
    let mut wins = vec![0; arms];
    for _ in 0..tries {
        lines[..arms].iter().for_each(|line| _ = line.try_send(0));
        let (winner, value) = set.as_mut().try_now().expect("all are ready");
        assert_eq!(value, Ok(0));
        wins[winner] += 1;
    }
    wins
}

/// The generator is one for the program, and this test alone draws from it here: the figures are exact. Nobody is
/// at a disadvantage because of where its arm stands, or because the set has room for more.
#[test]
fn a_fair_set_is_fair() {
    const TRIES: usize = 4_000;
    for arms in 1..=8 {
        for (room, wins) in [(8, wins::<8>(arms, TRIES)), (200, wins::<200>(arms, TRIES))] {
            println!("{arms} arms in a set for {room}: {wins:?}");
            let least = *wins.iter().min().expect("an arm");
            assert!(least >= TRIES * 3 / 4 / arms, "{arms} arms in a set for {room}: {wins:?}");
        }
    }
}
