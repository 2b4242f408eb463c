//! The whole recording, from the bytes on the board's input to the host's report, without the
//! board: what the firmware does, in a plain loop.

use cloakroom_demo::{
    ArenaStatus, BeatDetector, ChannelStatus, End, Fault, FrameError, FrameReader, Input, Intake,
    MAX_FRAME_LEN, Missing, RECORDING, SAMPLE_RATE_HZ, SamplesWriter, StatusWriter, Summary,
};

static BYTES: &[u8] = include_bytes!("../data/ecg-mitbih-208-360hz.u16le");

/// The beats in the recording, by this detector. An independent one (`SciPy`: a zero-phase 5–15 Hz
/// Butterworth band-pass, `find_peaks` on its magnitude) finds 500.
const BEATS: u32 = 501;

/// Collects finished frames, each built in a piece of memory of its own.
struct Line {
    stream: Vec<u8>,
    sequence: u16,
}

impl Line {
    /// Calls `build` with memory and a sequence number, and sends what it has built.
    fn send(&mut self, build: impl FnOnce(&mut [u8], u16) -> usize) {
        let mut memory = [0; MAX_FRAME_LEN];
        let len = build(&mut memory, self.sequence);
        self.stream.extend_from_slice(&memory[..len]);
        self.sequence = self.sequence.wrapping_add(1);
    }

    fn send_samples(&mut self, samples: &mut Vec<u16>, next: u32) {
        let mut pending = samples.as_slice();
        while !pending.is_empty() {
            let first = next - pending.len() as u32;
            self.send(|memory, sequence| {
                let mut writer = SamplesWriter::new(memory, sequence, first).unwrap();
                while let Some((&sample, rest)) = pending.split_first() {
                    if writer.push_sample(sample).is_err() {
                        break;
                    }
                    pending = rest;
                }
                writer.finish()
            });
        }
        samples.clear();
    }
}

/// What the board sends for the recording: a frame of samples for each beat interval, a frame for
/// each beat, a status with this many dropped messages, and the end.
fn board(dropped: u32) -> Vec<u8> {
    let mut line = Line { stream: vec![], sequence: 0 };
    let (mut intake, mut detector) = (Intake::new(), BeatDetector::new());
    let (mut samples, mut beats) = (vec![], 0);
    for &byte in BYTES {
        let Some(sample) = intake.push(byte) else {
            continue;
        };
        samples.push(sample);
        if let Some(beat) = detector.push(sample) {
            beats += 1;
            line.send_samples(&mut samples, intake.input().samples);
            line.send(|memory, sequence| beat.write(memory, sequence).unwrap());
        }
    }
    line.send_samples(&mut samples, intake.input().samples);
    line.send(|memory, sequence| {
        let arena = ArenaStatus { pages: 64, free: 40, high_water: 31, waits: 2, failed: 0 };
        let mut writer = StatusWriter::new(memory, sequence, &arena).unwrap();
        let channel = ChannelStatus {
            channel: 1,
            capacity: 8,
            sent: 1002,
            received: 1002,
            dropped,
            high_water: 3,
        };
        writer.push_channel(&channel).unwrap();
        writer.finish()
    });
    let input = intake.input();
    line.send(|memory, sequence| End { input, beats }.write(memory, sequence).unwrap());
    line.stream
}

/// What the host makes of `stream`.
fn host(stream: &[u8]) -> Summary {
    let mut summary = Summary::new();
    let mut reader = FrameReader::new();
    for piece in stream.chunks(97) {
        reader.feed(piece, |event| summary.observe(event));
    }
    reader.end(|event| summary.observe(event));
    summary
}

#[test]
fn the_recording_is_the_one_expected() {
    assert_eq!(Input::of(BYTES), RECORDING);
}

#[test]
fn every_sample_and_every_beat_arrives() {
    let stream = board(0);
    assert!(stream.len() < 150_000, "{} bytes", stream.len());
    let summary = host(&stream);
    assert_eq!(summary.check(&RECORDING), Ok(()));
    assert_eq!(summary.received(), RECORDING);
    assert_eq!(summary.beats(), BEATS);
    assert_eq!(summary.heart_rate().unwrap().to_string(), "100.2");

    let report = summary.report(&["bytes", "frames"]).to_string();
    for line in [
        "samples          108000\n",
        "CRC-32           91641025\n",
        "beats            501\n",
        "arena high-water 31 of 64 pages\n",
        "frames                  8          3      1002      1002        0\n",
    ] {
        assert!(report.contains(line), "{report}");
    }
    let live = summary.live().to_string();
    assert!(live.starts_with(" 300.0 s  108000 samples   501 beats"), "{live}");
}

#[test]
fn beats_are_a_plausible_distance_apart() {
    let mut detector = BeatDetector::new();
    let samples = BYTES.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
    let mut late = 0;
    let mut intervals = vec![];
    for (now, sample) in (0u32..).zip(samples) {
        if let Some(beat) = detector.push(sample) {
            late = late.max(now - beat.index);
            intervals.push(beat.rr);
        }
    }
    assert!(late < SAMPLE_RATE_HZ * 2 / 5, "a beat came {late} samples late");
    intervals.sort_unstable();
    let median = intervals[intervals.len() / 2];
    assert!((198..=216).contains(&median), "median interval {median}");
}

#[test]
fn whatever_is_missing_is_named() {
    let stream = board(0);

    let cut = host(&stream[..stream.len() / 2]).check(&RECORDING);
    assert!(
        matches!(cut, Err(Missing::Order { first: Fault::Frame(FrameError::Cut { .. }), .. })),
        "{cut:?}"
    );

    // The last frame, of 12 + 12 bytes, is the end.
    let no_end = host(&stream[..stream.len() - 24]).check(&RECORDING);
    assert_eq!(no_end, Err(Missing::End));

    let mut damaged = stream.clone();
    damaged[70_000] ^= 0x10;
    let damaged = host(&damaged).check(&RECORDING);
    assert!(matches!(damaged, Err(Missing::Order { .. })), "{damaged:?}");

    let other = Input { samples: 108_001, crc: 0 };
    let input_lost = host(&stream).check(&other);
    assert_eq!(input_lost, Err(Missing::OnTheWayIn { sent: other, seen: RECORDING }));

    let dropped = host(&board(3)).check(&RECORDING);
    assert_eq!(dropped, Err(Missing::Dropped { channel: 1, messages: 3 }));
}

#[test]
fn any_damaged_byte_of_the_stream_is_noticed() {
    let stream = board(0);
    // Every byte would take a while; every 997th visits headers, payloads and checksums alike.
    for at in (0..stream.len()).step_by(997) {
        let mut damaged = stream.clone();
        damaged[at] ^= 0x55;
        assert!(host(&damaged).check(&RECORDING).is_err(), "byte {at}");
    }
}
