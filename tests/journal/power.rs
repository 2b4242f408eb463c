//! Kills and power cuts, at every call that changes something on the disk.

use cloakroom::std_layer::journal::{Level, Log, Options};

use crate::disk::{Disk, EIO, Fault, Image};
use crate::random::Random;
use crate::script::{Ledger, Manner, check, handed_out, open, options, run, run_in};

/// Steps of a run: enough for every slot to be used more than once.
const STEPS: u32 = 500;

/// Runs a log on `disk` until it ends, or cannot go on.
fn run_on(disk: &Disk, ledger: &mut Ledger) {
    if let Ok((log, _)) = Log::open(disk.clone(), options()) {
        run(&log, ledger, 1, STEPS, 7);
    }
}

/// What is left opens, holds what was promised, and the same when it is opened again.
fn judge(image: &Image, ledger: &Ledger, power_cut: bool) {
    let disk = Disk::of(image);
    let (log, report) = open(&disk);
    assert!(!report.acked_damage, "{report:?}");
    check(&log, ledger, power_cut);
    let first = handed_out(&log);
    drop(log);
    let (log, report) = open(&Disk::of(&disk.image()));
    assert_eq!(handed_out(&log), first, "the same again");
    assert_eq!(report.damaged, 0, "what was passed over once is no news: {report:?}");
}

#[test]
fn a_run_goes_through_everything() {
    let disk = Disk::default();
    let mut ledger = Ledger::new();
    run_on(&disk, &mut ledger);
    let kinds = disk.kinds();
    let count = |kind| kinds.iter().filter(|&&found| found == kind).count();
    assert!(count("create") >= 4, "slots are made: {}", count("create"));
    assert!(count("size") >= 3, "slots are used again: {}", count("size"));
    assert!(ledger.values().filter(|fate| fate.durable && !fate.acked).count() > 5);
    judge(&disk.image(), &ledger, false);
}

#[test]
fn killed_at_every_call() {
    let disk = Disk::default();
    run_on(&disk, &mut Ledger::new());
    for call in 0..disk.calls() {
        let disk = Disk::default().with(Fault::PowerAt(call));
        let mut ledger = Ledger::new();
        run_on(&disk, &mut ledger);
        judge(&disk.image(), &ledger, false);
    }
}

#[test]
fn power_fails_at_every_call() {
    let disk = Disk::default();
    run_on(&disk, &mut Ledger::new());
    let mut random = Random(1);
    for call in 0..disk.calls() {
        let disk = Disk::default().with(Fault::PowerAt(call));
        let mut ledger = Ledger::new();
        run_on(&disk, &mut ledger);
        for _ in 0..6 {
            judge(&disk.after_power_cut(&mut random), &ledger, true);
        }
    }
}

/// A log that is written, and hardly ever synced: segments are collected while those behind them are on no disk.
#[test]
fn power_fails_at_every_call_of_a_log_that_is_hardly_synced() {
    let written = |disk: &Disk, ledger: &mut Ledger| {
        let options = Options { keys: 0, ..options() };
        let Ok((log, _)) = Log::open(disk.clone(), options) else { return };
        // Something is to be promised in between.
        let parts = [(Level::Buffered, 500), (Level::Sync, 20), (Level::Buffered, 700)];
        for ((level, steps), first) in parts.into_iter().zip([1, 1001, 2001]) {
            let manner = Manner { levels: [level; 4], channels: 2, syncs: false };
            if !run_in(manner, &log, ledger, first, steps, 7) {
                return;
            }
        }
    };
    let (disk, mut ledger) = (Disk::default(), Ledger::new());
    written(&disk, &mut ledger);
    let count = |kind: &str| disk.kinds().iter().filter(|&&found| found == kind).count();
    assert!(count("size") >= 5, "slots are used again: {}", count("size"));
    assert!(ledger.values().filter(|fate| fate.durable).count() > 5);
    let mut random = Random(11);
    for call in 0..disk.calls() {
        let disk = Disk::default().with(Fault::PowerAt(call));
        let mut ledger = Ledger::new();
        written(&disk, &mut ledger);
        for _ in 0..4 {
            judge(&disk.after_power_cut(&mut random), &ledger, true);
        }
        judge(&disk.image(), &ledger, false);
    }
}

#[test]
fn power_fails_at_every_call_of_a_recovery() {
    let mut random = Random(2);
    for cut in [40, 150, 300, 500, 700] {
        let disk = Disk::default().with(Fault::PowerAt(cut));
        let mut ledger = Ledger::new();
        run_on(&disk, &mut ledger);
        let torn = disk.after_power_cut(&mut random);
        let (log, _) = open(&Disk::of(&torn));
        let expected = handed_out(&log);

        let mut call = 0;
        loop {
            let disk = Disk::of(&torn).with(Fault::PowerAt(call));
            let opened = Log::open(disk.clone(), options());
            for _ in 0..4 {
                let image = disk.after_power_cut(&mut random);
                let (log, _) = open(&Disk::of(&image));
                assert_eq!(
                    handed_out(&log),
                    expected,
                    "cut at {cut}, and at {call} of its recovery"
                );
            }
            call += 1;
            if opened.is_ok() {
                break;
            }
        }
        assert!(call > 4, "a recovery syncs, and begins a segment");
    }
}

/// One sync fails, and then the power: the failed one is not made up for by a later one.
#[test]
fn a_sync_fails_and_then_the_power() {
    let disk = Disk::default();
    run_on(&disk, &mut Ledger::new());
    let mut random = Random(3);
    let kinds = disk.kinds();
    for call in (0..kinds.len()).filter(|&call| kinds[call].starts_with("sync")) {
        let disk = Disk::default().with(Fault::FailAt(call as u64, EIO));
        let mut ledger = Ledger::new();
        run_on(&disk, &mut ledger);
        assert_eq!(disk.calls(), call as u64 + 1, "after an error nothing is written, nor synced");
        for _ in 0..3 {
            judge(&disk.after_power_cut(&mut random), &ledger, true);
        }
        judge(&disk.image(), &ledger, false);
    }
}

/// What a recovery hands out after a kill may be in the system's memory only: it is made durable first.
#[test]
fn killed_and_opened_and_then_the_power_fails() {
    let disk = Disk::default();
    run_on(&disk, &mut Ledger::new());
    let mut random = Random(4);
    for call in (0..disk.calls()).step_by(3) {
        let disk = Disk::default().with(Fault::PowerAt(call));
        run_on(&disk, &mut Ledger::new());
        disk.repair();
        let (log, _) = open(&disk);
        let expected = handed_out(&log);
        for _ in 0..2 {
            let (log, _) = open(&Disk::of(&disk.after_power_cut(&mut random)));
            assert_eq!(handed_out(&log), expected, "killed at {call}");
        }
    }
}
