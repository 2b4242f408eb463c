//! Power cuts, at every write and every erase.

use crate::chip::{Chip, Image};
use crate::random::Random;
use crate::script::{
    End, Ledger, Memory, blank, check, check_attempts, handed_out, open, run, settle,
};

/// Steps between two openings of a run, and openings: enough for every slot to be used more than once.
const STEPS: u32 = 70;
const OPENINGS: u32 = 6;

/// Opens and runs a log, again and again, until that is done or the power fails.
fn scripted<const W: usize>(chip: &Chip<W>, ledger: &mut Ledger) {
    let mut random = Random(7);
    for _ in 0..OPENINGS {
        let mut memory = Memory::new();
        let Ok((log, report)) = open(chip, &mut memory) else {
            assert!(chip.is_dead());
            return;
        };
        assert_eq!(report.damaged, 0);
        let there = handed_out(&log);
        check(&there, ledger);
        check_attempts(&log, ledger);
        settle(&there, ledger);
        if run(&log, ledger, &mut random, STEPS) == End::Failed {
            assert!(chip.is_dead());
            return;
        }
    }
}

/// Opens what is left, strictly.
fn opened<const W: usize>(image: &Image) -> (Vec<(u16, u64)>, Image) {
    let (chip, mut memory) = (Chip::<W>::of(image), Memory::new());
    let (log, report) = match open(&chip, &mut memory) {
        Ok(opened) => opened,
        Err(error) => panic!("{error:?}"),
    };
    assert!(!report.acked_damage, "{report:?}");
    (handed_out(&log), chip.image())
}

/// Word sizes, with and without error correction.
macro_rules! each_word {
    ($($name:ident: $what:ident;)*) => {$(
        #[test]
        fn $name() {
            $what::<1>(false);
            $what::<2>(false);
            $what::<4>(false);
            $what::<8>(false);
            $what::<16>(false);
            $what::<32>(false);
            $what::<1>(true);
            $what::<8>(true);
            $what::<32>(true);
        }
    )*};
}

each_word! {
    power_fails_at_every_call: every_call;
    power_fails_at_every_call_of_a_recovery: every_call_of_a_recovery;
    power_fails_again_and_again: again_and_again;
}

#[test]
fn a_run_goes_through_everything() {
    let chip = Chip::<4>::of(&blank());
    let mut ledger = Ledger::new();
    scripted(&chip, &mut ledger);
    assert!(!chip.is_dead());
    let erases = chip.kinds().iter().filter(|&&kind| kind == "erase").count();
    assert!(erases > 24, "slots are used again and again: {erases}");
    let (there, _) = opened::<4>(&chip.image());
    check(&there, &ledger);
    assert!(there.len() > 3);
}

fn every_call<const W: usize>(corrects: bool) {
    let chip = Chip::<W>::of(&blank());
    scripted(&chip, &mut Ledger::new());
    let calls = chip.calls();
    assert!(calls > 200, "{calls}");
    for call in 0..calls {
        for seed in 0..3 {
            let chip = Chip::<W>::of(&blank()).corrects(corrects).cut(call, call * 3 + seed + 1);
            let mut ledger = Ledger::new();
            scripted(&chip, &mut ledger);
            assert!(chip.is_dead());
            let (there, image) = opened::<W>(&chip.image());
            check(&there, &ledger);
            let (chip, mut memory) = (Chip::<W>::of(&image), Memory::new());
            check_attempts(&open(&chip, &mut memory).unwrap().0, &mut ledger);
            assert_eq!(opened::<W>(&image).0, there, "the same again: {call}, {seed}");
        }
    }
}

fn every_call_of_a_recovery<const W: usize>(corrects: bool) {
    let chip = Chip::<W>::of(&blank());
    scripted(&chip, &mut Ledger::new());
    for cut in (0..chip.calls()).step_by(7) {
        let chip = Chip::<W>::of(&blank()).corrects(corrects).cut(cut, cut + 1);
        let mut ledger = Ledger::new();
        scripted(&chip, &mut ledger);
        let torn = chip.image();
        let (there, _) = opened::<W>(&torn);
        check(&there, &ledger);
        for call in 0.. {
            let chip = Chip::<W>::of(&torn).corrects(corrects).cut(call, cut + call + 1);
            let finished = open(&chip, &mut Memory::new()).is_ok();
            assert_eq!(opened::<W>(&chip.image()).0, there, "cut at {cut}, and at {call}");
            if finished {
                assert!(call >= 2, "a recovery erases, and begins a segment: {call}");
                break;
            }
        }
    }
}

/// One log, with cuts at random for a long time, and of each recovery up to eight.
fn again_and_again<const W: usize>(corrects: bool) {
    // The last one has been through a torn erase of the newest segment that made an old checkpoint readable.
    for seed in (1..=12).chain([230]) {
        let mut random = Random(seed * 1000 + W as u64);
        let mut ledger = Ledger::new();
        let mut image = blank();
        let mut cuts = 0;
        for round in 0..60 {
            for _ in 0..random.below(8) {
                let chip = Chip::<W>::of(&image).corrects(corrects);
                let chip = chip.cut(random.below(12), random.next());
                let _ = open(&chip, &mut Memory::new());
                image = chip.image();
                cuts += u32::from(chip.is_dead());
            }
            let chip = Chip::<W>::of(&image).corrects(corrects);
            let chip = chip.cut(random.below(120) + 12, random.next());
            let mut memory = Memory::new();
            match open(&chip, &mut memory) {
                Ok((log, _)) => {
                    let there = handed_out(&log);
                    check(&there, &ledger);
                    check_attempts(&log, &mut ledger);
                    settle(&there, &mut ledger);
                    run(&log, &mut ledger, &mut random, 80);
                }
                Err(error) => assert!(chip.is_dead(), "seed {seed}, round {round}: {error:?}"),
            }
            image = chip.image();
            cuts += u32::from(chip.is_dead());
        }
        assert!(cuts > 60, "{cuts}");
    }
}
