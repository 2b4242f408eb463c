//! crossbeam's `Select`: a number of operations that is known only at run time.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use cloakroom::RecvError;
use cloakroom::select::{Arm, SelectSet};

use crate::crew::Crew;
use crate::kinds::{Kind, Line};
use crate::random::Random;

on_every_kind!(every_crew: merge, balance, mixed);

/// More than any of the programs has arms.
const MOST: usize = 12;

/// Begins a task that sends so many values, numbered from 0, and closes.
pub fn source<K: Kind>(crew: &Crew, values: u32) -> Line<K, u32> {
    let line = K::line::<u32>();
    let sending = line.clone();
    crew.spawn(async move {
        for value in 0..values {
            assert!(sending.send(value).await.is_ok());
        }
        sending.close();
    });
    line
}

/// All values of several inputs, which end at different times: those that have ended leave the set, and new ones
/// join it while it is in use.
fn merge<K: Kind>(crew: Crew) {
    let mut random = Random(5);
    let inputs: Vec<_> = (0..MOST as u32).map(|number| 20 + 10 * number).collect();
    crew.run(async {
        let lines: Vec<_> = inputs.iter().map(|&values| source::<K>(&crew, values)).collect();
        let mut receives: Vec<_> = lines.iter().map(|line| Box::pin(line.recv())).collect();
        let mut next = [0; MOST];
        let mut waiting: Vec<_> = receives.iter_mut().map(Pin::as_mut).enumerate().collect();
        // Which input an arm belongs to.
        let mut input_of = [usize::MAX; MOST];
        let mut set = pin!(SelectSet::<_, MOST>::new());
        assert!(set.is_empty());
        loop {
            // Three at first; another one now and then.
            if set.len() < 3 || random.below(20) == 0 {
                if let Some((input, receive)) = waiting.pop() {
                    let Ok(arm) = set.as_mut().add(receive) else { panic!("there is room") };
                    input_of[arm] = input;
                } else if set.is_empty() {
                    break;
                }
            }
            let (arm, value) = set.as_mut().await;
            let input = input_of[arm];
            match value {
                Ok(value) => {
                    assert_eq!(value, next[input], "of input {input}");
                    next[input] += 1;
                }
                Err(RecvError) => {
                    assert!(set.as_mut().remove(arm).is_some());
                    assert!(set.as_mut().remove(arm).is_none());
                    input_of[arm] = usize::MAX;
                }
            }
        }
        assert_eq!(next[..], inputs[..], "values of an input are missing");
    });
}

/// A load balancer: each job goes to a worker that has room for it.
fn balance<K: Kind>(crew: Crew) {
    const JOBS: u64 = 200;
    const WORKERS: usize = 5;
    let workers: Vec<Line<K, u64>> = (0..WORKERS).map(|_| K::line()).collect();
    let sum = Arc::new(AtomicUsize::new(0));
    for jobs in &workers {
        let (jobs, sum) = (jobs.clone(), sum.clone());
        crew.spawn(async move {
            let mut last = 0;
            while let Ok(job) = jobs.recv().await {
                assert!(job > last, "jobs of one worker changed places");
                last = job;
                sum.fetch_add(job as usize, Ordering::Relaxed);
            }
        });
    }
    crew.run(async {
        for job in 1..=JOBS {
            let mut permits: Vec<_> = workers.iter().map(|line| Box::pin(line.reserve())).collect();
            let mut set = pin!(SelectSet::<_, WORKERS>::new().fair());
            for permit in &mut permits {
                assert!(set.as_mut().add(permit.as_mut()).is_ok());
            }
            let (_, permit) = set.await;
            let Ok(permit) = permit else { panic!("nobody closes") };
            drop(permit.send(job));
        }
        for line in &workers {
            line.close();
        }
    });
    assert_eq!(sum.load(Ordering::Relaxed) as u64, JOBS * (JOBS + 1) / 2, "not each job once");
    let sent: u32 = workers.iter().map(|line| line.snapshot().sent).sum();
    assert_eq!(u64::from(sent), JOBS, "a permit that lost its select was used");
}

/// Arms of different kinds in one set: receives of two types, a send and a permit.
fn mixed<K: Kind>(crew: Crew) {
    #[derive(PartialEq, Debug)]
    enum Event {
        Number(u32),
        Letter(char),
        Sent,
    }
    const EACH: usize = 60;
    let (numbers, words, out) = (K::line::<u32>(), K::line::<char>(), K::line::<usize>());
    let (count, speak, listen) = (numbers.clone(), words.clone(), out.clone());
    crew.spawn(async move {
        for number in 0..EACH as u32 {
            assert!(count.send(number).await.is_ok());
        }
    });
    crew.spawn(async move {
        for _ in 0..EACH {
            assert!(speak.send('w').await.is_ok());
        }
    });
    crew.spawn(async move {
        for expected in 0..EACH {
            assert_eq!(listen.recv().await, Ok(expected));
        }
    });
    crew.run(async {
        let (mut next, mut spoken, mut sent) = (0, 0, 0);
        while (next, spoken, sent) != (EACH as u32, EACH, EACH) {
            let mut number = pin!(numbers.recv().mapped(|number| Event::Number(number.unwrap())));
            let mut word = pin!(words.recv().mapped(|word| Event::Letter(word.unwrap())));
            let mut send = pin!(out.send(sent).mapped(|sent| {
                assert!(sent.is_ok());
                Event::Sent
            }));
            let mut set = pin!(SelectSet::<dyn Arm<Output = Event> + Send, 3>::new());
            if next < EACH as u32 {
                assert!(set.as_mut().add(number.as_mut()).is_ok());
            }
            if spoken < EACH {
                assert!(set.as_mut().add(word.as_mut()).is_ok());
            }
            if sent < EACH {
                assert!(set.as_mut().add(send.as_mut()).is_ok());
            }
            match set.await.1 {
                Event::Number(number) => {
                    assert_eq!(number, next);
                    next += 1;
                }
                Event::Letter(word) => {
                    assert_eq!(word, 'w');
                    spoken += 1;
                }
                Event::Sent => sent += 1,
            }
        }
    });
    assert!(numbers.is_empty() && words.is_empty() && out.is_empty());
}
