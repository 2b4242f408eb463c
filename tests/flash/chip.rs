//! A NOR flash that is only simulated: words of `W` bytes, each written once between two erases, which is enforced. Power can fail
//! at any write or erase, and leaves words that are written in part, or a block with anything in it; both must be erased before
//! they are written, even if they look blank.

use std::cell::RefCell;
use std::rc::Rc;

use embedded_storage::nor_flash::{ErrorType, NorFlash, NorFlashErrorKind, ReadNorFlash};

use crate::random::Random;

/// Bytes of an erase block.
pub const BLOCK: usize = 512;

/// What a power cut leaves behind.
#[derive(Clone, PartialEq)]
pub struct Image {
    pub bytes: Vec<u8>,
    /// By byte: written, or torn, since it was erased for certain.
    used: Vec<bool>,
    /// By byte: error correction gives up.
    torn: Vec<bool>,
}

impl Image {
    pub fn blank(len: usize) -> Self {
        Self { bytes: vec![0xFF; len], used: vec![false; len], torn: vec![false; len] }
    }

    /// With other bytes than were written.
    pub fn flip(&mut self, bit: usize) {
        self.bytes[bit / 8] ^= 1 << (bit % 8);
    }

    /// With these bytes erased.
    pub fn erase(&mut self, bytes: std::ops::Range<usize>) {
        self.bytes[bytes.clone()].fill(0xFF);
        self.used[bytes.clone()].fill(false);
        self.torn[bytes].fill(false);
    }

    pub fn fill_with(&mut self, mut byte: impl FnMut() -> u8) {
        self.bytes.fill_with(&mut byte);
        self.used.fill(true);
    }
}

/// How often it was asked for something.
#[derive(Clone, Copy, Default, Debug)]
pub struct Counts {
    pub writes: u64,
    pub written: u64,
    pub reads: u64,
    pub read: u64,
    pub erases: u64,
}

struct Inner {
    image: Image,
    /// Writes and erases.
    calls: u64,
    kinds: Vec<&'static str>,
    cut_at: Option<u64>,
    /// This write or erase fails, and those behind it do not.
    fail_at: Option<u64>,
    dead: bool,
    unreadable: bool,
    /// What is torn cannot be read.
    corrects: bool,
    random: Random,
    counts: Counts,
}

/// A flash. Clones are the same one.
#[derive(Clone)]
pub struct Chip<const W: usize>(Rc<RefCell<Inner>>);

impl<const W: usize> Chip<W> {
    pub fn of(image: &Image) -> Self {
        Self(Rc::new(RefCell::new(Inner {
            image: image.clone(),
            calls: 0,
            kinds: Vec::new(),
            cut_at: None,
            fail_at: None,
            dead: false,
            unreadable: false,
            corrects: false,
            random: Random(1),
            counts: Counts::default(),
        })))
    }

    /// Power fails in this write or erase, as chance has it.
    pub fn cut(self, at: u64, seed: u64) -> Self {
        self.0.borrow_mut().cut_at = Some(at);
        self.0.borrow_mut().random = Random(seed);
        self
    }

    pub fn corrects(self, corrects: bool) -> Self {
        self.0.borrow_mut().corrects = corrects;
        self
    }

    pub fn fail(&self, at: u64) {
        self.0.borrow_mut().fail_at = Some(at);
    }

    pub fn unreadable(&self, unreadable: bool) {
        self.0.borrow_mut().unreadable = unreadable;
    }

    pub fn flip(&self, bit: usize) {
        self.0.borrow_mut().image.flip(bit);
    }

    pub fn is_dead(&self) -> bool {
        self.0.borrow().dead
    }

    pub fn calls(&self) -> u64 {
        self.0.borrow().calls
    }

    pub fn kinds(&self) -> Vec<&'static str> {
        self.0.borrow().kinds.clone()
    }

    pub fn counts(&self) -> Counts {
        self.0.borrow().counts
    }

    pub fn image(&self) -> Image {
        self.0.borrow().image.clone()
    }
}

impl Inner {
    /// Counts a call; true if power fails in it.
    fn call(&mut self, kind: &'static str) -> Result<bool, NorFlashErrorKind> {
        let call = self.calls;
        self.calls += 1;
        self.kinds.push(kind);
        if self.dead || self.fail_at == Some(call) {
            return Err(NorFlashErrorKind::Other);
        }
        self.dead = self.cut_at == Some(call);
        Ok(self.dead)
    }

    /// Part of a word is written: some of its bits, or anything.
    fn tear(&mut self, at: usize, wanted: &[u8]) {
        let how = self.random.below(4);
        for (at, &wanted) in (at..).zip(wanted) {
            let bits = self.random.next() as u8;
            let byte = &mut self.image.bytes[at];
            match how {
                0 => {}
                1 => *byte = bits,
                _ => *byte &= wanted | bits,
            }
            self.image.used[at] = true;
            self.image.torn[at] = how > 1 && self.corrects;
        }
    }

    /// Part of a block is erased.
    fn wear(&mut self, from: usize, to: usize) {
        let how = self.random.below(7);
        let middle = from + self.random.below((to - from) as u64) as usize;
        for at in from..to {
            let bits = self.random.next() as u8;
            let byte = &mut self.image.bytes[at];
            match how {
                0 => {}
                1 => *byte = 0xFF,
                2 => *byte = bits,
                3 => *byte |= bits,
                4 if at < middle => *byte = 0xFF,
                5 if at >= middle => *byte = 0xFF,
                // Here and there.
                6 if (at / 32 * middle) % 3 == 1 => *byte = 0xFF,
                _ => {}
            }
            self.image.used[at] = true;
            self.image.torn[at] = how == 3 && self.corrects;
        }
    }
}

impl<const W: usize> ErrorType for Chip<W> {
    type Error = NorFlashErrorKind;
}

impl<const W: usize> ReadNorFlash for Chip<W> {
    const READ_SIZE: usize = if W > 4 { 4 } else { W };

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), NorFlashErrorKind> {
        let mut inner = self.0.borrow_mut();
        let (from, to) = (offset as usize, offset as usize + bytes.len());
        assert!(from % Self::READ_SIZE == 0 && bytes.len() % Self::READ_SIZE == 0, "unaligned");
        inner.counts.reads += 1;
        inner.counts.read += bytes.len() as u64;
        if inner.dead || inner.unreadable || inner.image.torn[from..to].contains(&true) {
            return Err(NorFlashErrorKind::Other);
        }
        bytes.copy_from_slice(&inner.image.bytes[from..to]);
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.0.borrow().image.bytes.len()
    }
}

impl<const W: usize> NorFlash for Chip<W> {
    const WRITE_SIZE: usize = W;
    const ERASE_SIZE: usize = BLOCK;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), NorFlashErrorKind> {
        let mut inner = self.0.borrow_mut();
        let (from, to) = (from as usize, to as usize);
        assert!(from % BLOCK == 0 && to % BLOCK == 0 && from < to, "unaligned");
        if inner.call("erase")? {
            let blocks = (to - from) / BLOCK;
            let whole = from + inner.random.below(blocks as u64) as usize * BLOCK;
            inner.image.bytes[from..whole].fill(0xFF);
            inner.image.used[from..whole].fill(false);
            inner.image.torn[from..whole].fill(false);
            inner.wear(whole, whole + BLOCK);
            return Err(NorFlashErrorKind::Other);
        }
        inner.counts.erases += ((to - from) / BLOCK) as u64;
        inner.image.bytes[from..to].fill(0xFF);
        inner.image.used[from..to].fill(false);
        inner.image.torn[from..to].fill(false);
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), NorFlashErrorKind> {
        let mut inner = self.0.borrow_mut();
        let (from, to) = (offset as usize, offset as usize + bytes.len());
        assert!(from % W == 0 && bytes.len() % W == 0 && !bytes.is_empty(), "unaligned");
        let cut = inner.call("write")?;
        assert!(!inner.image.used[from..to].contains(&true), "a word is written twice");
        inner.counts.writes += 1;
        inner.counts.written += bytes.len() as u64;
        let whole = if cut {
            inner.random.below((bytes.len() / W) as u64) as usize * W
        } else {
            bytes.len()
        };
        inner.image.bytes[from..from + whole].copy_from_slice(&bytes[..whole]);
        inner.image.used[from..from + whole].fill(true);
        if cut {
            inner.tear(from + whole, &bytes[whole..whole + W]);
            return Err(NorFlashErrorKind::Other);
        }
        Ok(())
    }
}
