//! Bytes that are not those that were sent: told, freed, and the channel goes on.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::path::PathBuf;

use cloakroom::Arena;
use cloakroom::channel::Buffered;
use cloakroom::spill::{
    Class, Policy, Spill, SpillBytes, SpillError, SpillRecvError, SpillTarget, TrySpillRecvError,
    Watermarks,
};
use cloakroom::std_layer::block_on;
use cloakroom::std_layer::spill::{FileTarget, MemfdTarget};

use crate::fixture::{Faulty, Lock, Mood, assert_clean, message, slots};

type Ring<'a> = SpillBytes<'a, Lock, Buffered<64>>;

#[test]
fn whatever_a_target_returns_no_other_byte_is_received() {
    let faults = [
        (Mood::Lying, SpillError::Damaged),
        (Mood::Swapping, SpillError::Damaged),
        (Mood::Short, SpillError::Damaged),
        (Mood::Broken, SpillError::Device(5)),
    ];
    for (mood, error) in faults {
        let (arena, target) = (Arena::<Lock, 8, 64, 8>::new(), Faulty::default());
        let spill = Spill::over(&arena, &target, Watermarks::new(50, 25));
        let channel = Ring::new(&spill, Policy::ColdFirst);
        for number in 0..20 {
            channel.try_send_bytes(&[number; 64]).expect("room");
        }
        target.set(mood);
        for number in 0..4 {
            assert_eq!(*channel.try_recv().expect("it is in the arena"), [number; 64]);
        }
        for _ in 0..4 {
            assert_eq!(channel.try_recv().err(), Some(TrySpillRecvError::Lost(error)), "{mood:?}");
            assert_eq!(
                block_on(channel.recv()).err(),
                Some(SpillRecvError::Lost(error)),
                "{mood:?}"
            );
        }
        target.set(Mood::Well);
        for number in 12..20 {
            assert_eq!(*channel.try_recv().expect("it is whole"), [number; 64]);
        }
        assert_clean(spill.snapshot());
        assert_eq!((spill.snapshot().lost, spill.snapshot().back), (8, 8));
        drop(channel);
        assert_eq!((arena.snapshot().live, target.is_misused()), (0, false));
    }
}

/// The file of a descriptor of this process, as somebody else might get at it.
fn behind(file: &impl AsRawFd) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()))
}

/// The target's file among all that are open.
#[cfg(target_os = "linux")]
fn file_of(len: u64) -> File {
    let open = std::fs::read_dir("/proc/self/fd").expect("Linux");
    let paths = open.filter_map(|entry| Some(entry.ok()?.path()));
    let ours = |path: &PathBuf| {
        std::fs::metadata(path)
            .is_ok_and(|data| data.is_file() && data.nlink() == 0 && data.len() == len)
    };
    let path = paths.into_iter().find(ours).expect("the target's file");
    File::options().read(true).write(true).open(path).expect("it is this user's")
}

#[test]
#[cfg(target_os = "linux")]
fn a_file_that_is_truncated_or_written_by_others_loses_messages_and_no_more() {
    let arena = Arena::<Lock, 8, 64, 8>::new();
    // A length that no other file has.
    let target =
        FileTarget::new(&std::env::temp_dir(), [Class { bytes: 67, count: 31 }]).expect("room");
    let file = file_of(67 * 31);
    let data = file.metadata().expect("a file");
    assert_eq!((data.permissions().mode() & 0o777, data.nlink()), (0o600, 0));
    assert!(data.blocks() * 512 >= 67 * 31, "its room is taken");

    let spill = Spill::over(&arena, &target, Watermarks::new(0, 0));
    let channel = Ring::new(&spill, Policy::ColdFirst);
    let send = || (0..16).for_each(|number| channel.try_send_bytes(&[number; 64]).expect("room"));
    send();
    // The eighth payload and those behind it are cut off, the third is overwritten.
    file.set_len(67 * 7 + 5).expect("nobody forbids it");
    file.write_all_at(b"garbage", 67 * 2 + 10).expect("nobody forbids it");
    for number in 0..16 {
        match channel.try_recv() {
            Ok(message) => {
                assert!(number < 7 && number != 2 && *message == [number; 64], "{number}")
            }
            Err(error) => {
                assert_eq!(error, TrySpillRecvError::Lost(SpillError::Damaged));
                assert!(number >= 7 || number == 2, "{number}");
            }
        }
    }
    assert_eq!((spill.snapshot().lost, spill.snapshot().back), (10, 6));
    // And it goes on.
    send();
    for number in 0..16 {
        assert_eq!(*channel.try_recv().expect("a message"), [number; 64]);
    }
    assert_clean(spill.snapshot());
}

#[test]
#[cfg(target_os = "linux")]
fn sealed_memory_can_be_neither_truncated_nor_written_by_others() {
    let arena = Arena::<Lock, 8, 64, 8>::new();
    let target = MemfdTarget::new(slots(64, 64)).expect("memory");
    let spill = Spill::over(&arena, &target, Watermarks::new(0, 0));
    let channel = Ring::new(&spill, Policy::ColdFirst);
    channel.try_send_bytes(&[7; 64]).expect("room");
    let other = File::options()
        .read(true)
        .write(true)
        .open(behind(target.file()))
        .expect("it is this user's");
    for len in [0, 63, 64 * 64 - 1, 64 * 64 + 1] {
        let refused = other.set_len(len).expect_err("it is sealed");
        assert_eq!(refused.kind(), std::io::ErrorKind::PermissionDenied);
    }
    assert!(other.write_all_at(&[1], 0).is_err(), "it is sealed");
    assert_eq!(*channel.try_recv().expect("a message"), [7; 64]);
    assert_clean(spill.snapshot());
}

/// What is lent is looked at before: here the memory changes under it, as broken PSRAM does.
#[test]
fn lent_bytes_that_have_changed_are_not_lent() {
    use cloakroom::spill::{Extents, MemoryTarget, Word};
    let arena = Arena::<Lock, 8, 64, 8>::new();
    let mut memory = vec![0_u8; 64 * 8];
    let bytes = std::ptr::NonNull::from(&mut memory[..]).cast::<u8>();
    let extents = Extents::new(slots(8, 64), Word::free::<1>());
    // SAFETY: the memory is there until the end, and nobody uses it while the target, or this test below, does.
    let target = unsafe { MemoryTarget::at(bytes, 64 * 8, extents) };
    let spill = Spill::over(&arena, &target, Watermarks::new(0, 0));
    let channel = Ring::new(&spill, Policy::ColdFirst);
    for number in 0..3 {
        channel.try_send_bytes(&message(number, 64)).expect("room");
    }
    // SAFETY: nothing is lent now.
    unsafe { *bytes.add(64 + 2).as_ptr() ^= 0x80 };
    assert_eq!(*channel.try_recv().expect("it is whole"), message(0, 64));
    assert_eq!(channel.try_recv().err(), Some(TrySpillRecvError::Lost(SpillError::Damaged)));
    assert_eq!(*channel.try_recv().expect("it is whole"), message(2, 64));
    assert_eq!((spill.snapshot().lost, spill.snapshot().lent, target.used()), (1, 2, 0));
}

#[test]
fn a_target_without_room_is_not_made() {
    assert!(FileTarget::new(&std::env::temp_dir(), slots(0, 64)).is_err());
    assert!(FileTarget::new(std::path::Path::new("/no/such/place"), slots(1, 64)).is_err());
    #[cfg(target_os = "linux")]
    for count in [0, 1 << 31] {
        assert!(MemfdTarget::new(slots(count, 1)).is_err());
    }
}
