//! Against a model: whatever is sent, received, moved, and goes wrong, what comes is what was sent, in order, or told to be lost.

use std::collections::VecDeque;

use cloakroom::Arena;
use cloakroom::channel::Buffered;
use cloakroom::spill::{
    Chain, Policy, Spill, SpillBytes, SpillTarget, TrySpillRecvError, TrySpillSendError, Watermarks,
};
use cloakroom::std_layer::spill::{FileTarget, MemfdTarget};
use proptest::prelude::*;

use crate::fixture::{Faulty, Lock, Mood, assert_clean, message, slots};

#[derive(Clone, Debug)]
enum Step {
    SendBytes,
    SendLease,
    Receive,
    Housekeeping(usize),
    Mood(Mood),
    /// Somebody else takes memory, or gives it back.
    Wall(usize),
    /// A receiver keeps what it gets, or drops it all.
    Hold,
    LetGo,
}

fn step() -> impl Strategy<Value = Step> {
    let moods = [
        Mood::Well,
        Mood::Well,
        Mood::Full,
        Mood::Broken,
        Mood::Lying,
        Mood::Swapping,
        Mood::Short,
    ];
    prop_oneof![
        8 => Just(Step::SendBytes),
        8 => Just(Step::SendLease),
        12 => Just(Step::Receive),
        4 => (0_usize..600).prop_map(Step::Housekeeping),
        2 => prop::sample::select(moods.to_vec()).prop_map(Step::Mood),
        2 => (0_usize..12).prop_map(Step::Wall),
        1 => Just(Step::Hold),
        1 => Just(Step::LetGo),
    ]
}

const LONGEST: usize = 150;

/// Runs the steps. `faults`: whose moods change; without it no message may be lost.
fn run(target: &dyn SpillTarget, faults: Option<&Faulty>, policy: Policy, steps: &[Step]) {
    let arena = Arena::<Lock, 16, 32, 16>::new();
    let spill = Spill::over(&arena, target, Watermarks::new(70, 40));
    let channel = SpillBytes::<Lock, Buffered<24>>::new(&spill, policy);
    let (mut model, mut wall, mut held) = (VecDeque::new(), None, Vec::new());
    let (mut next, mut holds, mut lost) = (0, false, 0);
    for step in steps {
        match step {
            Step::SendBytes => match channel.try_send_bytes(&message(next, LONGEST)) {
                Ok(()) => {
                    model.push_back(next);
                    next += 1;
                }
                // And one may be in front, that memory was missing for.
                Err(TrySpillSendError::Full) => assert!((24..=25).contains(&model.len())),
                Err(error) => assert_eq!(error, TrySpillSendError::Memory),
            },
            Step::SendLease => {
                let bytes = message(next, LONGEST);
                let Ok(mut lease) = arena.try_alloc(bytes.len()) else { continue };
                lease.copy_from_slice(&bytes);
                match channel.try_send(lease) {
                    Ok(()) => {
                        model.push_back(next);
                        next += 1;
                    }
                    Err(error) => {
                        assert!(error.is_full() && (24..=25).contains(&model.len()));
                        assert_eq!(*error.into_inner().redeem().expect("it is whole"), bytes);
                    }
                }
            }
            Step::Receive => match channel.try_recv() {
                Ok(received) => {
                    let number = model.pop_front().expect("one was sent");
                    assert_eq!(*received, message(number, LONGEST));
                    if holds {
                        held.push((number, received));
                    }
                }
                Err(TrySpillRecvError::Empty) => assert!(model.is_empty()),
                Err(TrySpillRecvError::Lost(_)) => {
                    assert!(faults.is_some() && model.pop_front().is_some());
                    lost += 1;
                }
                Err(error) => assert_eq!(error, TrySpillRecvError::Memory),
            },
            Step::Housekeeping(budget) => {
                channel.step(*budget);
            }
            Step::Mood(mood) => faults.into_iter().for_each(|target| target.set(*mood)),
            Step::Wall(pages) => {
                drop(wall.take());
                wall = arena.try_alloc(pages * 32).ok();
            }
            Step::Hold => holds = true,
            Step::LetGo => {
                holds = false;
                held.clear();
            }
        }
        assert_eq!(channel.len(), model.len());
        for (number, bytes) in &held {
            assert_eq!(**bytes, message(*number, LONGEST));
        }
        let snapshot = spill.snapshot();
        assert!(snapshot.reconciles() && snapshot.lost == lost, "{snapshot:?}");
        // The only channel of the place, which a policy of its own makes differ in when.
        let mut own = channel.spilled();
        own.above = snapshot.above;
        assert_eq!(own, snapshot);
        assert!(matches!(policy, Policy::ColdFirst | Policy::Priority(_)) || snapshot.out == 0);
    }
    faults.into_iter().for_each(|target| target.set(Mood::Well));
    drop((held, wall));
    for number in model {
        assert_eq!(*channel.try_recv().expect("a message"), message(number, LONGEST));
    }
    assert_eq!(channel.try_recv().err(), Some(TrySpillRecvError::Empty));
    assert_clean(spill.snapshot());
    drop(channel);
    assert_eq!(arena.snapshot().live, 0);
    assert!(arena.handle().verify().is_clean());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_target_that_does_anything_wrong(
        steps in prop::collection::vec(step(), 1..250),
        policy in prop::sample::select(vec![Policy::ColdFirst, Policy::Priority(100), Policy::Never]),
    ) {
        let target = Faulty::default();
        run(&target, Some(&target), policy, &steps);
        prop_assert!(!target.is_misused());
        prop_assert_eq!(target.held(), 0);
    }

    /// Small ones, which are full now and then: memory that lends, then a file that does not.
    #[test]
    fn targets_of_the_system(steps in prop::collection::vec(step(), 1..250)) {
        let memory = MemfdTarget::new(slots(4, 150)).expect("memory");
        let file = FileTarget::new(&std::env::temp_dir(), slots(6, 150)).expect("room");
        run(&Chain(memory, file), None, Policy::ColdFirst, &steps);
    }
}
