//! Many to many: every way to send against every way to receive. Each value arrives once, and no receiver sees
//! two values of one sender in the wrong order.

use std::sync::{Arc, Mutex};

use cloakroom::error::{RecvTimeoutError, SendTimeoutError, TryRecvError, TrySendError};
use cloakroom::limit::Operation;

use crate::crew::{Crew, breathe};
use crate::kinds::{Kind, Line};
use crate::random::Random;

on_every_kind!(every_crew: many_to_many);

const SENDERS: u64 = 4;
const RECEIVERS: u64 = 4;
const EACH: u64 = 250;

/// A sender and its how-manieth value.
type Numbered = (u64, u64);

/// Sends in one way or another. What did not go through at once is sent again, in another way: without a
/// buffer, two that only try never meet.
async fn send_somehow<K: Kind>(line: &Line<K, Numbered>, random: &mut Random, mut value: Numbered) {
    loop {
        match random.below(6) {
            0 => match line.try_send(value) {
                Ok(_) => return,
                Err(TrySendError::Closed(_)) => panic!("closed early"),
                Err(TrySendError::Full(back)) => value = back,
            },
            1 => match line.send(value).deadline(breathe()).await {
                Ok(_) => return,
                Err(SendTimeoutError::Timeout(back)) => value = back,
                Err(why) => panic!("{why}"),
            },
            2 => {
                let Ok(permit) = line.reserve().await else { panic!("closed early") };
                permit.send(value);
                return;
            }
            3 => {
                if let Ok(permit) = line.try_reserve() {
                    permit.send(value);
                    return;
                }
            }
            _ => {
                let Ok(_) = line.send(value).await else { panic!("closed early") };
                return;
            }
        }
        breathe().await;
    }
}

/// Receives in one way or another, until something comes. `None` when the channel is closed.
async fn receive_somehow<K: Kind>(
    line: &Line<K, Numbered>,
    random: &mut Random,
) -> Option<Numbered> {
    loop {
        match random.below(4) {
            0 => match line.try_recv() {
                Ok(value) => return Some(value),
                Err(TryRecvError::Closed) => return None,
                Err(TryRecvError::Empty) => {}
            },
            1 => match line.recv().deadline(breathe()).await {
                Ok(value) => return Some(value),
                Err(RecvTimeoutError::Closed) => return None,
                Err(_) => {}
            },
            _ => return line.recv().await.ok(),
        }
        breathe().await;
    }
}

fn many_to_many<K: Kind>(crew: Crew) {
    let line = K::line::<Numbered>();
    let sending = Arc::new(Mutex::new(SENDERS));
    for sender in 0..SENDERS {
        let (line, sending) = (line.clone(), sending.clone());
        crew.spawn(async move {
            let mut random = Random(sender);
            for number in 0..EACH {
                send_somehow::<K>(&line, &mut random, (sender, number)).await;
            }
            let mut sending = sending.lock().unwrap();
            *sending -= 1;
            if *sending == 0 {
                line.close();
            }
        });
    }
    let received = Arc::new(Mutex::new(Vec::new()));
    for receiver in 0..RECEIVERS {
        let (line, received) = (line.clone(), received.clone());
        crew.spawn(async move {
            let mut random = Random(100 + receiver);
            let mut mine = Vec::new();
            while let Some(value) = receive_somehow::<K>(&line, &mut random).await {
                mine.push(value);
            }
            for sender in 0..SENDERS {
                let of_one = mine.iter().filter(|value| value.0 == sender);
                assert!(of_one.is_sorted(), "values of sender {sender} changed places");
            }
            received.lock().unwrap().append(&mut mine);
        });
    }
    crew.run(async {});
    let mut received = std::mem::take(&mut *received.lock().unwrap());
    received.sort_unstable();
    let all = (0..SENDERS).flat_map(|sender| (0..EACH).map(move |number| (sender, number)));
    assert!(received.into_iter().eq(all), "a value is missing, or came twice");
    let end = line.snapshot();
    assert_eq!((u64::from(end.sent), end.sent, end.depth), (SENDERS * EACH, end.received, 0));
}
