//! Worker pools: jobs to several workers, results back; and jobs that say where the reply goes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::crew::Crew;
use crate::kinds::{Kind, Line};

on_every_kind!(every_crew: pool, replies);

const WORKERS: usize = 4;

fn pool<K: Kind>(crew: Crew) {
    const JOBS: u64 = 400;
    let (jobs, results) = (K::line::<u64>(), K::line::<(u64, u64)>());
    let working = Arc::new(AtomicUsize::new(WORKERS));
    for _ in 0..WORKERS {
        let (jobs, results, working) = (jobs.clone(), results.clone(), working.clone());
        crew.spawn(async move {
            while let Ok(job) = jobs.recv().await {
                assert!(results.send((job, job * job)).await.is_ok());
            }
            if working.fetch_sub(1, Ordering::Relaxed) == 1 {
                results.close();
            }
        });
    }
    let to_do = jobs.clone();
    crew.spawn(async move {
        for job in 0..JOBS {
            assert!(to_do.send(job).await.is_ok());
        }
        to_do.close();
    });
    let mut done = crew.run(async {
        let mut done = Vec::new();
        while let Ok(result) = results.recv().await {
            done.push(result);
        }
        done
    });
    done.sort_unstable();
    assert!(done.into_iter().eq((0..JOBS).map(|job| (job, job * job))), "each job once");
    assert_eq!((jobs.len(), results.len()), (0, 0));
}

/// What is asked, and the channel for the answer.
struct Request<K: Kind> {
    number: u64,
    reply: Line<K, u64>,
}

fn replies<K: Kind>(crew: Crew) {
    const CLIENTS: u64 = 3;
    const REQUESTS: u64 = 60;
    let requests = K::line::<Request<K>>();
    for _ in 0..WORKERS {
        let requests = requests.clone();
        crew.spawn(async move {
            while let Ok(Request { number, reply }) = requests.recv().await {
                assert!(reply.send(number + 1).await.is_ok());
            }
        });
    }
    let asking = Arc::new(AtomicUsize::new(CLIENTS as usize));
    for client in 0..CLIENTS {
        let (requests, asking) = (requests.clone(), asking.clone());
        crew.spawn(async move {
            let reply = K::line::<u64>();
            for round in 0..REQUESTS {
                let number = client * 1_000 + round;
                let request = Request { number, reply: reply.clone() };
                assert!(requests.send(request).await.is_ok());
                assert_eq!(reply.recv().await, Ok(number + 1), "somebody else's answer");
            }
            assert!(reply.try_recv().is_err(), "an answer too many");
            if asking.fetch_sub(1, Ordering::Relaxed) == 1 {
                requests.close();
            }
        });
    }
    crew.run(async {});
    assert_eq!(u64::from(requests.snapshot().received), CLIENTS * REQUESTS);
}
