//! Fan-out to all channels of a set, waiting for room, against one model a channel; and more tickets than can be
//! counted.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Waker};

use cloakroom::channel::{
    Buffered, Bytes, ChannelSnapshot, FanOut, NoFanOut, Outlet, fan_out, fan_out_all,
    try_fan_out_all,
};

use crate::fan_out::{Hall, all, message, number};
use crate::model::{Kind, Model, Outcome, Policy, Shape, without_times};
use crate::random::Random;
use crate::{Count, Lock, ended};

/// A fan-out that waits, as documented: for a slot in one channel, with none held in the others meanwhile.
struct Waiting {
    id: usize,
    named: Vec<usize>,
    /// Which of the named it waits for, and its operation there.
    slot: Option<(usize, usize)>,
    wakes: usize,
}

impl Waiting {
    fn poll(&mut self, models: &mut [Model]) -> Option<Result<(), NoFanOut>> {
        for _ in 0..=self.named.len() {
            let mut held = None;
            if let Some((number, operation)) = self.slot {
                let model = &mut models[self.named[number]];
                let outcome = model.poll(operation)?;
                self.wakes += model.operations[operation].wakes;
                self.slot = None;
                if outcome != Outcome::Held {
                    return Some(Err(NoFanOut::Closed(number)));
                }
                held = Some(number);
            }
            match all(models, &self.named, self.id, held) {
                Err(NoFanOut::Full(number)) => {
                    self.slot = Some((number, models[self.named[number]].add(Kind::Reserve)));
                }
                other => return Some(other),
            }
        }
        self.wakes += 1;
        None
    }

    fn wakes(&self, models: &[Model]) -> usize {
        let now = self
            .slot
            .map(|(number, operation)| models[self.named[number]].operations[operation].wakes);
        self.wakes + now.unwrap_or(0)
    }
}

type Fan<'c, 'a> = (Waiting, Pin<Box<FanOut<'c, 'a, Lock, Buffered<2>>>>, Arc<Count>);

fn awaited(seed: u64, delivered: &mut usize) {
    let hall = Hall::new();
    {
        let lines: [Bytes<'_, Lock, Buffered<2>>; 3] = Default::default();
        // Each set of them, in one order and in the other.
        let orders: [&[usize]; 8] =
            [&[0], &[0, 1], &[1, 0], &[1, 2], &[2, 0], &[0, 1, 2], &[2, 1, 0], &[]];
        let sets: Vec<Vec<&Bytes<'_, Lock, Buffered<2>>>> = orders
            .iter()
            .map(|named| named.iter().map(|&channel| &lines[channel]).collect())
            .collect();
        let mut random = Random(seed);
        let shape = Shape::ring(2, Policy::Wait);
        let mut models: Vec<Model> =
            lines.iter().map(|line| Model::new(line.snapshot(), shape)).collect();
        let mut fans: Vec<Fan<'_, '_>> = Vec::new();
        for step in 0..250 {
            let context = format!("seed {seed}, step {step}");
            let channel = random.index(lines.len());
            match random.below(100) {
                0..22 if fans.len() < 6 => {
                    let set = random.index(sets.len());
                    let named = orders[set].to_vec();
                    let waiting = Waiting { id: step, named, slot: None, wakes: 0 };
                    let fan = fan_out_all(&sets[set], message(&hall, step));
                    fans.push((waiting, Box::pin(fan), Arc::default()));
                }
                22..62 if !fans.is_empty() => {
                    let at = random.index(fans.len());
                    let (waiting, fan, count) = &mut fans[at];
                    let expected = waiting.poll(&mut models);
                    let waker = Waker::from(count.clone());
                    let got = ended(fan.as_mut().poll(&mut Context::from_waker(&waker)));
                    let got = got.map(|result| {
                        result.map_err(|error| {
                            assert!(error.message.try_into_mut().is_ok(), "{context}");
                            error.why
                        })
                    });
                    assert_eq!(got, expected, "{context}");
                    if got.is_some() {
                        *delivered += usize::from(got == Some(Ok(())));
                        drop(fans.swap_remove(at));
                    }
                }
                62..68 if !fans.is_empty() => {
                    let (waiting, fan, _) = fans.swap_remove(random.index(fans.len()));
                    drop(fan);
                    if let Some((number, operation)) = waiting.slot {
                        models[waiting.named[number]].abandon(operation);
                    }
                }
                68..99 => {
                    let expected = match models[channel].take(&None) {
                        Some(Outcome::Received(id)) => Some(id),
                        Some(_) => None,
                        None => {
                            models[channel].counters.empty += 1;
                            None
                        }
                    };
                    let got = lines[channel].channel().try_recv().ok().map(number);
                    assert_eq!(got, expected, "{context}");
                }
                _ if random.one_in(4) => {
                    lines[channel].close();
                    models[channel].close();
                }
                _ => {}
            }
            for (line, model) in lines.iter().zip(&mut models) {
                let now = without_times(line.snapshot());
                assert_eq!(now, model.snapshot(), "{context}");
            }
            for (waiting, _, count) in &fans {
                assert_eq!(count.get(), waiting.wakes(&models), "{context}");
            }
            let queued = models.iter().flat_map(Model::queued);
            let tickets: usize = hall.handle().dump().map(|payload| payload.at_rest).sum();
            assert_eq!(tickets, queued.count(), "{context}");
            let in_hand: usize = hall.handle().dump().map(|payload| payload.in_hand).sum();
            assert_eq!(in_hand, fans.len(), "{context}");
        }
    }
    assert_eq!(hall.snapshot().live, 0, "seed {seed}");
    assert!(hall.handle().verify().is_clean(), "seed {seed}");
}

#[test]
fn to_all_in_time() {
    let mut delivered = 0;
    for seed in 0..500 {
        awaited(seed, &mut delivered);
    }
    println!("{delivered} messages delivered to all");
    assert!(delivered > 1_000);
}

/// One payload has 16,382 tickets at most: what goes beyond is given back, with every slot.
#[test]
fn too_many_tickets() {
    const MOST: usize = 16_382;
    let hall = Hall::new();
    // Each small enough for a stack.
    const ROOM: usize = 1_024;
    let many: Vec<Bytes<'_, Lock, Buffered<ROOM>>> =
        (0..MOST.div_ceil(ROOM)).map(|_| Bytes::new()).collect();
    let lines: [Bytes<'_, Lock, Buffered<1>>; 2] = Default::default();
    let both: [&dyn Outlet<'_, Lock>; 2] = [&lines[0], &lines[1]];
    let lease = message(&hall, 7);
    for number in 0..MOST - 1 {
        assert_eq!(fan_out(&[&many[number / ROOM]], lease.clone()), 1);
    }
    let unchanged = || {
        for line in &lines {
            let ChannelSnapshot { depth, sent, .. } = line.snapshot();
            assert_eq!((depth, sent, line.is_full()), (0, 0, false), "a slot is still held");
        }
    };
    let error = try_fan_out_all(&both, lease).expect_err("one too many");
    assert_eq!(error.why, NoFanOut::TooMany);
    unchanged();
    let lease = error.message;
    let same = [&lines[0], &lines[1]];
    let mut fan = Box::pin(fan_out_all(&same, lease));
    let Some(Err(error)) = ended(fan.as_mut().poll(&mut Context::from_waker(Waker::noop()))) else {
        panic!("it ends at once");
    };
    assert_eq!(error.why, NoFanOut::TooMany);
    unchanged();
    // As many as can be counted, and the other slot comes back.
    assert_eq!(fan_out(&both, error.message), 1);
    assert!(lines[0].is_full() && !lines[1].is_full());
    let payload = hall.handle().dump().next().expect("it is there");
    assert_eq!((payload.at_rest, payload.in_hand), (MOST, 0));
    assert_eq!(lines[0].channel().try_recv().ok().map(number), Some(7));
    let drained: usize = many.iter().map(|line| line.channel().drain().count()).sum();
    assert_eq!(drained, MOST - 1);
    assert_eq!(hall.snapshot().live, 0);
    assert!(hall.handle().verify().is_clean());
}
