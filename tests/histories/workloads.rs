//! Rounds: a few threads that each do a few things at random, on one or two fresh channels.

use std::sync::Arc;
use std::thread;

use super::actor::{Actor, Hall, Place};
use super::checker::{Verdict, check};
use super::history::{Answer, Clock, History, Lane, Outcome};
use super::random::Random;
use super::stage::{Bedroom, Gate, stir_by};
use super::subjects::Subject;

const THREADS: usize = 4;
/// Things that each thread does in a round.
pub const DEEDS: usize = 7;
/// Rounds between two checks.
const BATCH: u64 = 64;

/// What a thread may do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Deed {
    TrySend,
    TryReceive,
    TryReserve,
    Send,
    Receive,
    Reserve,
    Closed,
    Close,
    Unsubscribe,
    Select,
}

/// How often which, and how often of 8 times a future is awaited to its end.
pub struct Mix {
    pub deeds: &'static [(u64, Deed)],
    pub patience: u64,
    pub channels: u8,
}

/// Ends the batch when a thread panics: the others wait for it.
struct Alarm<'h, A: Subject, B: Subject>(&'h [Hall<A, B>]);

impl<A: Subject, B: Subject> Drop for Alarm<'_, A, B> {
    fn drop(&mut self) {
        if thread::panicking() {
            for hall in self.0 {
                hall.gate.break_down();
                hall.bedroom.give_up();
            }
        }
    }
}

/// What the histories of a run held.
#[derive(Default, Debug)]
pub struct Tally {
    pub calls: usize,
    /// Of them, those that ran while another thread's did.
    pub overlapping: usize,
    pub visits: usize,
    /// The most of one history.
    pub most: usize,
}

impl Tally {
    fn add(&mut self, history: &History, visits: usize) {
        self.calls += history.len();
        self.overlapping += history.overlapping();
        self.visits += visits;
        self.most = self.most.max(visits);
    }
}

/// Takes `rounds` histories and checks each.
pub fn run<A: Subject, B: Subject>(mix: &Mix, seed: u64, rounds: u64) -> Tally {
    let (a, b) = (A::new(), B::new());
    let kinds = [A::KIND, B::KIND];
    let mut tally = Tally::default();
    let mut begun = 0;
    while begun < rounds {
        let batch: Vec<u64> = (begun..rounds.min(begun + BATCH)).map(|n| seed + n).collect();
        begun += batch.len() as u64;
        let halls: Vec<Hall<A, B>> = batch
            .iter()
            .map(|_| Hall {
                a: a.channel(),
                b: b.channel(),
                clock: Clock::default(),
                bedroom: Arc::new(Bedroom::new(THREADS)),
                gate: Gate::default(),
            })
            .collect();
        let mut lanes: Vec<_> = thread::scope(|scope| {
            let (halls, batch) = (&halls, &batch);
            let play = |number| scope.spawn(move || play_batch(halls, mix, number, batch));
            let threads: Vec<_> = (0..THREADS).map(play).collect();
            threads
                .into_iter()
                .map(|thread| match thread.join() {
                    Ok(lanes) => lanes.into_iter(),
                    Err(_) => panic!("a thread panicked in a round of seeds {batch:?}"),
                })
                .collect()
        });
        for (hall, seed) in halls.iter().zip(&batch) {
            let mut of_round: Vec<Lane> =
                lanes.iter_mut().map(|lane| lane.next().expect("one a round")).collect();
            let over = hall.bedroom.is_over();
            if !over {
                of_round.push(drain(hall, mix));
            }
            let history = History::of(of_round);
            assert!(!over, "seed {seed}, {kinds:?}: somebody was not woken:\n{history}");
            let verdict = check(&history, &kinds[..usize::from(mix.channels)]);
            let Verdict::Explained(visits) = verdict else {
                panic!("seed {seed}, {kinds:?}: {verdict}\n{history}");
            };
            let complaints = &history.complaints;
            assert!(complaints.is_empty(), "seed {seed}, {kinds:?}: {complaints:?}\n{history}");
            tally.add(&history, visits);
        }
    }
    tally
}

fn play_batch<A: Subject, B: Subject>(
    halls: &[Hall<A, B>],
    mix: &Mix,
    number: usize,
    batch: &[u64],
) -> Vec<Lane> {
    let _alarm = Alarm(halls);
    let mut lanes = Vec::new();
    for (hall, seed) in halls.iter().zip(batch) {
        let mut random = Random(seed.wrapping_mul(0x1_0000).wrapping_add(number as u64));
        stir_by(random.next(), [0, 1, 3, 6][(seed % 4) as usize]);
        let mut actor = Actor::new(hall, mix, number, random);
        if !hall.gate.pass(THREADS) {
            break;
        }
        let over = actor.play().is_err();
        lanes.push(actor.lane);
        if over {
            // The others will find out, too; what comes after is not looked at.
            lanes.extend(std::iter::repeat_n(Lane::default(), halls.len() - lanes.len()));
            halls.iter().for_each(|hall| hall.gate.break_down());
            break;
        }
    }
    stir_by(0, 0);
    lanes
}

/// Everything that is left, received by nobody in particular.
fn drain<A: Subject, B: Subject>(hall: &Hall<A, B>, mix: &Mix) -> Lane {
    let mut actor = Actor::new(hall, mix, THREADS, Random(0));
    let mut a = Place::<A>::new(&hall.a, 0);
    let mut b = Place::<B>::new(&hall.b, 1);
    let is_value = |answer| matches!(answer, Answer::Ready(_, Outcome::Received(_)));
    while is_value(actor.try_receive(&mut a)) {}
    actor.unsubscribe(&mut a);
    if mix.channels > 1 {
        while is_value(actor.try_receive(&mut b)) {}
        actor.unsubscribe(&mut b);
    }
    for snapshot in [hall.a.snapshot(), hall.b.snapshot()] {
        let accounted = snapshot.received.wrapping_add(snapshot.dropped);
        if snapshot.sent != accounted.wrapping_add(snapshot.depth as u32) {
            actor.lane.complaints.push(format!("counters do not reconcile: {snapshot:?}"));
        }
    }
    actor.lane
}
