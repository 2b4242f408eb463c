//! Random runs with crashes, against a plain list.

use std::collections::{BTreeMap, BTreeSet};

use cloakroom::durable::{Delivery, TryRecvError};
use cloakroom::std_layer::journal::Log;

use crate::disk::Disk;
use crate::random::Random;
use crate::{Lock, Small, open, put, queue};

type Out<'s, 'q, 'a> = Delivery<'s, 'q, 'a, Lock, Log<Disk>, 8, 4>;

/// What should live: numbers and payloads.
#[derive(Default)]
struct Model {
    living: BTreeMap<u64, u8>,
    /// Acknowledged, but a crash may bring it back.
    fading: BTreeMap<u64, u8>,
    /// Delivered since the last crash.
    seen: BTreeSet<u64>,
}

/// Sends, receives, acknowledges and returns until the process is killed; all that was kept comes again, in order, and
/// nothing else.
#[test]
fn at_least_once_in_order() {
    for seed in 1..=40 {
        let (disk, mut random, mut model) = (Disk::default(), Random(seed), Model::default());
        for life in 0..12 {
            live(&disk, &mut random, &mut model, &format!("seed {seed}, life {life}"));
            // What was only noted down is forgotten, and may come back.
            let fading = std::mem::take(&mut model.fading);
            model.living.extend(fading);
            model.seen.clear();
        }
        let (arena, log) = (Small::new(), open(&disk));
        let queue = queue(&arena, &log);
        while let Ok(delivery) = queue.try_recv() {
            assert_eq!(model.living.remove(&delivery.seq()), Some(delivery[0]));
            delivery.ack().unwrap();
        }
        assert!(log.pending().is_empty());
    }
}

fn live(disk: &Disk, random: &mut Random, model: &mut Model, place: &str) {
    let (arena, log) = (Small::new(), open(disk));
    // What has come back, and what has not: both can be.
    let pending: BTreeSet<u64> = log.pending().iter().map(|live| live.seq).collect();
    model.living.retain(|seq, _| pending.contains(seq));
    let queue = queue(&arena, &log);
    let mut out: Vec<Out<'_, '_, '_>> = Vec::new();
    for _ in 0..random.below(60) {
        match random.below(8) {
            0..=2 => {
                let byte = random.next() as u8;
                if let Ok(seq) = put(&queue, &arena, &[byte; 70]) {
                    assert!(model.living.insert(seq, byte).is_none(), "{place}: {seq} twice");
                }
            }
            3 | 4 => match queue.try_recv() {
                Ok(delivery) => {
                    let seq = delivery.seq();
                    let expected = model.living.get(&seq);
                    assert_eq!(expected, Some(&delivery[0]), "{place}: message {seq}");
                    if model.seen.insert(seq) {
                        // None that was sent before is yet to come for the first time.
                        let mut earlier = model.living.range(..seq);
                        assert!(earlier.all(|(seq, _)| model.seen.contains(seq)), "{place}: {seq}");
                    }
                    out.push(delivery);
                }
                Err(TryRecvError::Empty) => assert!(
                    out.len() == 4 || model.living.len() == out.len(),
                    "{place}: {} live, {} are out",
                    model.living.len(),
                    out.len()
                ),
                Err(error) => panic!("{place}: {error}"),
            },
            5 | 6 if !out.is_empty() => {
                let delivery = out.swap_remove(random.below(out.len() as u64) as usize);
                let seq = delivery.seq();
                delivery.ack().unwrap();
                model.fading.extend(model.living.remove_entry(&seq));
            }
            7 if !out.is_empty() => {
                out.swap_remove(random.below(out.len() as u64) as usize).nack();
            }
            _ => {
                log.sync().unwrap();
                model.fading.clear();
            }
        }
    }
}
