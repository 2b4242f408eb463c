//! What a message costs: sent, received and acknowledged, of 60 bytes, in 32 KiB.

use cloakroom::journal::flash::{FlashLog, FlashMemory, FlashOptions, NorSlots};
use cloakroom::journal::{Entry, Journal};

use crate::chip::{BLOCK, Chip, Image};

const MESSAGES: u64 = 20_000;

/// Writes and erases are few, and mostly a message is never copied. In longer slots there are fewer headers and checkpoints.
#[test]
fn of_a_message() {
    assert!(of_a_message_in(4096, 88.0) < 0.0214);
    assert!(of_a_message_in(8192, 85.0) < 0.0207);
}

/// Returns how often 4 KiB are erased for one.
fn of_a_message_in(slot: u32, most: f64) -> f64 {
    let chip = Chip::<4>::of(&Image::blank(8 * 4096));
    let area = NorSlots::new(chip.clone(), 0..8 * 4096, slot).unwrap();
    let mut memory = FlashMemory::<8, 64>::new();
    let (log, _) = FlashLog::open(area, &mut memory, FlashOptions::default()).unwrap();
    let before = chip.counts();
    for seq in 1..=MESSAGES {
        log.keep(&Entry { chan: 1, seq, payload: &[7; 60] }, ()).unwrap();
        // Ten wait, on the average of a queue that is in use.
        if seq > 10 {
            let pending = log.next_pending(1, seq - 11).unwrap();
            let mut buffer = [0; 60];
            log.read(1, pending.seq, &mut buffer).unwrap();
            log.forget(1, pending.seq).unwrap();
        }
    }
    let after = chip.counts();
    // An erase is read back.
    let each = |after: u64, before: u64| (after - before) as f64 / MESSAGES as f64;
    let erases = each(after.erases, before.erases) * BLOCK as f64 / 4096.0;
    let (writes, written) =
        (each(after.writes, before.writes), each(after.written, before.written));
    let (reads, read) = (each(after.reads, before.reads), each(after.read, before.read));
    println!(
        "{written:.1} bytes in {writes:.2} writes, {read:.0} bytes in {reads:.2} reads, {erases:.4} erases"
    );
    assert!(written < most && writes < 1.2 && reads < 4.0);
    erases
}
