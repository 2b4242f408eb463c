//! A target that can do anything wrong, and other things that tests share.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Mutex;
use std::task::{Context, Poll, Waker};

use cloakroom::spill::{Class, SpillError, SpillSnapshot, SpillTarget};
use cloakroom::std_layer::StdRawMutex;

pub type Lock = StdRawMutex;

/// How a target behaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Mood {
    #[default]
    Well,
    /// Stores nothing.
    Full,
    /// Neither stores nor reads.
    Broken,
    /// Reads, but other bytes.
    Lying,
    /// Reads another payload, if there is one of that length.
    Swapping,
    /// Has lost the ends of payloads.
    Short,
}

/// On the heap. Freeing what is not held is noticed.
#[derive(Default)]
pub struct Faulty {
    inner: Mutex<Inner>,
    /// Called in the middle of a store, and of a read.
    pub interrupt: Mutex<Option<Box<dyn FnMut() + Send>>>,
}

#[derive(Default)]
struct Inner {
    held: HashMap<u32, Vec<u8>>,
    next: u32,
    mood: Mood,
    misused: bool,
}

impl Faulty {
    pub fn set(&self, mood: Mood) {
        self.inner.lock().unwrap().mood = mood;
    }

    pub fn held(&self) -> usize {
        self.inner.lock().unwrap().held.len()
    }

    pub fn is_misused(&self) -> bool {
        self.inner.lock().unwrap().misused
    }

    fn interrupt(&self) {
        // Taken out, as what is called may come here again.
        let interrupt = self.interrupt.lock().unwrap().take();
        if let Some(mut interrupt) = interrupt {
            interrupt();
        }
    }
}

impl SpillTarget for Faulty {
    fn store(&self, bytes: &[u8]) -> Result<u32, SpillError> {
        self.interrupt();
        let mut inner = self.inner.lock().unwrap();
        match inner.mood {
            Mood::Full => return Err(SpillError::Full),
            Mood::Broken => return Err(SpillError::Device(5)),
            _ => {}
        }
        let extent = inner.next;
        inner.next += 1;
        inner.held.insert(extent, bytes.to_vec());
        Ok(extent)
    }

    unsafe fn read(&self, extent: u32, into: &mut [u8]) -> Result<(), SpillError> {
        self.interrupt();
        let mut inner = self.inner.lock().unwrap();
        let Some(bytes) = inner.held.get(&extent) else {
            inner.misused = true;
            return Err(SpillError::Damaged);
        };
        let length = bytes.len();
        assert_eq!(length, into.len());
        match inner.mood {
            Mood::Broken => return Err(SpillError::Device(5)),
            Mood::Short => return Err(SpillError::Damaged),
            Mood::Swapping => {
                let mut others = inner.held.iter();
                let other =
                    others.find(|(number, other)| **number != extent && other.len() == length);
                into.copy_from_slice(other.map_or(bytes, |(_, other)| other));
            }
            mood => {
                into.copy_from_slice(bytes);
                if mood == Mood::Lying {
                    into[length / 2] ^= 4;
                }
            }
        }
        Ok(())
    }

    unsafe fn free(&self, extent: u32) {
        let mut inner = self.inner.lock().unwrap();
        inner.misused |= inner.held.remove(&extent).is_none();
    }

    fn capacity(&self) -> u64 {
        u64::MAX
    }

    fn used(&self) -> u64 {
        self.inner.lock().unwrap().held.values().map(|bytes| bytes.len() as u64).sum()
    }
}

/// So many slots of one size.
pub fn slots(count: u32, bytes: u32) -> [Class; 1] {
    [Class { bytes, count }]
}

/// The message of a number: its length and its bytes follow from that.
pub fn message(number: u32, longest: usize) -> Vec<u8> {
    let mut state = number.wrapping_mul(0x9E37_79B9) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state
    };
    let length = 4 + next() as usize % (longest - 3);
    let mut bytes: Vec<u8> = (0..length).map(|_| next() as u8).collect();
    bytes[..4].copy_from_slice(&number.to_le_bytes());
    bytes
}

/// What happens at the second look at it, which is soon.
pub fn second_look() -> impl Future<Output = ()> {
    let mut looked = false;
    std::future::poll_fn(move |cx| {
        cx.waker().wake_by_ref();
        if std::mem::replace(&mut looked, true) { Poll::Ready(()) } else { Poll::Pending }
    })
}

pub fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// Nothing is left anywhere.
pub fn assert_clean(snapshot: SpillSnapshot) {
    assert!(snapshot.reconciles(), "{snapshot:?}");
    assert_eq!((snapshot.messages, snapshot.bytes, snapshot.used), (0, 0, 0), "{snapshot:?}");
}
