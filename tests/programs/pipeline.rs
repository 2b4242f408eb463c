//! Pipelines that are stopped while values are under way. Wherever each value is then, it is there once:
//! through the end, given back to the stage that wanted to pass it on, or still in a channel.

use std::sync::{Arc, Mutex};

use cloakroom::error::SendTimeoutError;
use cloakroom::kernel::CancelToken;
use cloakroom::limit::Operation;

use crate::crew::Crew;
use crate::kinds::{Kind, Line, Lock};

on_every_kind!(every_crew: cancelled_from_the_end, closed_in_the_middle);

const STAGES: u64 = 3;
const WANTED: usize = 60;

/// A value, and how many stages it has gone through.
#[derive(PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Ware {
    number: u64,
    stages: u64,
}

/// A pipeline: `STAGES` stages between a source and an end.
struct Pipeline<K: Kind> {
    lines: Vec<Line<K, Ware>>,
    /// What sends gave back.
    returned: Arc<Mutex<Vec<Ware>>>,
    cancel: Arc<CancelToken<Lock>>,
}

impl<K: Kind> Pipeline<K> {
    fn new() -> Self {
        Self {
            lines: (0..=STAGES).map(|_| K::line()).collect(),
            returned: Arc::default(),
            cancel: Arc::new(CancelToken::new()),
        }
    }

    /// Begins the source and the stages.
    fn begin(&self, crew: &Crew) {
        let (line, cancel) = (self.lines[0].clone(), self.cancel.clone());
        let returned = self.returned.clone();
        crew.spawn(async move {
            for number in 0.. {
                let send = line.send(Ware { number, stages: 0 });
                match send.cancelled_by(cancel.cancelled()).await {
                    Ok(_) => {}
                    Err(SendTimeoutError::Timeout(_)) => panic!("there is no deadline"),
                    Err(SendTimeoutError::Cancelled(ware) | SendTimeoutError::Closed(ware)) => {
                        returned.lock().unwrap().push(ware);
                        return;
                    }
                }
            }
        });
        for pair in self.lines.windows(2) {
            let (input, output) = (pair[0].clone(), pair[1].clone());
            let (returned, cancel) = (self.returned.clone(), self.cancel.clone());
            crew.spawn(async move {
                while let Ok(Ware { number, stages }) =
                    input.recv().cancelled_by(cancel.cancelled()).await
                {
                    let send = output.send(Ware { number, stages: stages + 1 });
                    match send.cancelled_by(cancel.cancelled()).await {
                        Ok(_) => {}
                        Err(SendTimeoutError::Timeout(_)) => panic!("there is no deadline"),
                        Err(SendTimeoutError::Cancelled(ware) | SendTimeoutError::Closed(ware)) => {
                            returned.lock().unwrap().push(ware);
                            break;
                        }
                    }
                }
                // Up the stream, and down.
                input.close();
                output.close();
            });
        }
    }

    /// What has arrived, in order, and everything else: together, each number once.
    fn reconcile(self, arrived: Vec<Ware>) {
        for (place, ware) in arrived.iter().enumerate() {
            assert_eq!((ware.number, ware.stages), (place as u64, STAGES));
        }
        let mut all = arrived;
        for (stages, line) in self.lines.iter().enumerate() {
            let left: Vec<_> = std::iter::from_fn(|| line.try_recv().ok()).collect();
            assert!(left.is_sorted() && left.iter().all(|ware| ware.stages == stages as u64));
            all.extend(left);
        }
        all.append(&mut self.returned.lock().unwrap());
        all.sort_unstable();
        let numbers: Vec<_> = all.iter().map(|ware| ware.number).collect();
        assert!(
            numbers.iter().copied().eq(0..numbers.len() as u64),
            "lost or doubled: {numbers:?}"
        );
    }
}

fn cancelled_from_the_end<K: Kind>(crew: Crew) {
    let pipeline = Pipeline::<K>::new();
    let mut arrived = Vec::new();
    pipeline.begin(&crew);
    crew.run(async {
        let end = pipeline.lines.last().expect("an end");
        for _ in 0..WANTED {
            arrived.push(end.recv().await.expect("the source does not end"));
        }
        pipeline.cancel.cancel();
    });
    pipeline.reconcile(arrived);
}

/// The channel in the middle is closed: those before it give back, those after it run dry.
fn closed_in_the_middle<K: Kind>(crew: Crew) {
    let pipeline = Pipeline::<K>::new();
    let mut arrived = Vec::new();
    pipeline.begin(&crew);
    crew.run(async {
        let end = pipeline.lines.last().expect("an end");
        while let Ok(ware) = end.recv().await {
            arrived.push(ware);
            if arrived.len() == WANTED {
                pipeline.lines[1].close();
            }
        }
    });
    // Everything that was behind the closed channel has come through.
    assert!(arrived.len() >= WANTED);
    assert!(pipeline.lines[1..].iter().all(|line| line.is_empty()));
    pipeline.reconcile(arrived);
}
