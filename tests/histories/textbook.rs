//! A second opinion on histories of calls that do not wait: the textbook's bounded queue, and every order of the
//! calls tried without any cleverness. The checker must come to the same verdict.

use std::collections::VecDeque;

use super::checker::{Verdict, check};
use super::history::{Answer, Call, History, Lane, Outcome, Record, Value};
use super::models::{Kind, Policy};
use super::random::Random;

const SENT: Answer = Answer::Ready(0, Outcome::Sent(None));

/// What a queue says to a call.
fn answer(queue: &mut VecDeque<Value>, capacity: usize, call: Call) -> Answer {
    match call {
        Call::TrySend { .. } if queue.len() == capacity => Answer::Full,
        Call::TrySend { value, .. } => {
            queue.push_back(value);
            SENT
        }
        _ => queue
            .pop_front()
            .map_or(Answer::Empty, |value| Answer::Ready(0, Outcome::Received(value))),
    }
}

/// Tries every order that real time allows.
fn is_explained(queue: &VecDeque<Value>, capacity: usize, rest: &[Record]) -> bool {
    if rest.is_empty() {
        return true;
    }
    (0..rest.len()).any(|next| {
        let mut others = rest.to_vec();
        let record = others.swap_remove(next);
        let mut queue = queue.clone();
        others.iter().all(|other| record.from < other.to)
            && answer(&mut queue, capacity, record.call) == record.answer
            && is_explained(&queue, capacity, &others)
    })
}

/// A history of three threads that is true, but for one answer in half of the cases.
fn draw(random: &mut Random, capacity: usize) -> Vec<Lane> {
    const CALLS: u64 = 7;
    let mut lanes = vec![Lane::default(); 3];
    let mut queue = VecDeque::new();
    let wrong = random.below(2 * CALLS);
    for number in 0..CALLS {
        let lane = random.below(3) as usize;
        let value = number as Value;
        let call = if random.below(2) == 0 {
            Call::TrySend { channel: 0, value, rank: 0 }
        } else {
            Call::TryReceive { channel: 0, reader: 0 }
        };
        let mut answer = answer(&mut queue, capacity, call);
        if number == wrong {
            answer = match (call, random.below(2)) {
                (Call::TrySend { .. }, _) if answer == SENT => Answer::Full,
                (Call::TrySend { .. }, _) => SENT,
                (_, 0) if answer != Answer::Empty => Answer::Empty,
                _ => Answer::Ready(0, Outcome::Received(random.below(CALLS) as Value)),
            };
        }
        // It took effect at 100 × number; it may have begun earlier and ended later.
        let took_effect = 100 * (number + 3);
        let last = lanes[lane].records.last().map_or(0, |record: &Record| record.to + 1);
        let from = (took_effect - random.below(300)).max(last);
        let to = from.max(took_effect) + 1 + random.below(90);
        lanes[lane].records.push(Record { from, to, call, answer });
    }
    lanes
}

#[test]
fn the_checker_agrees_with_trying_every_order() {
    let mut verdicts = [0; 2];
    for seed in 0..6_000 {
        let mut random = Random(seed);
        let capacity = 1 + random.below(2) as usize;
        let lanes = draw(&mut random, capacity);
        let all: Vec<Record> = lanes.iter().flat_map(|lane| lane.records.clone()).collect();
        let expected = is_explained(&VecDeque::new(), capacity, &all);
        let history = History::of(lanes);
        let verdict = check(&history, &[Kind::Buffered(capacity, Policy::Wait)]);
        let explained = matches!(verdict, Verdict::Explained(_));
        assert_eq!(explained, expected, "seed {seed}: {verdict}\n{history}");
        verdicts[usize::from(explained)] += 1;
    }
    let [refuted, explained] = verdicts;
    println!("{refuted} refuted, {explained} explained");
    assert!(refuted > 1_000 && explained > 1_000, "one-sided: {verdicts:?}");
}
