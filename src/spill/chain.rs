//! Two targets, one after the other.

use super::target::{SpillError, SpillTarget};

/// The first target, and where that is full or fails, the second. For more, the second may be a chain.
///
/// An extent's last bit says whose it is.
///
/// ```
/// use cloakroom::spill::{Chain, Class, Extents, MemoryTarget, SpillTarget, Word};
///
/// let (mut near, mut far) = ([0; 64], [0; 256]);
/// let one = |bytes| Extents::new([Class { bytes, count: 1 }], Word::free::<1>());
/// let target = Chain(MemoryTarget::new(&mut near, one(64)), MemoryTarget::new(&mut far, one(256)));
/// let extents = [target.store(b"first")?, target.store(b"second")?];
/// assert!(target.store(b"third").is_err());
/// // SAFETY: it was stored just now.
/// assert_eq!(unsafe { target.view(extents[1], 6) }, Some(&b"second"[..]));
/// # Ok::<(), cloakroom::spill::SpillError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Chain<A, B>(pub A, pub B);

impl<A: SpillTarget, B: SpillTarget> Chain<A, B> {
    fn of(&self, extent: u32) -> (&dyn SpillTarget, u32) {
        (if extent & 1 == 0 { &self.0 } else { &self.1 }, extent >> 1)
    }
}

/// Stores in the target of that bit.
fn store(target: &dyn SpillTarget, bit: u32, bytes: &[u8]) -> Result<u32, SpillError> {
    let extent = target.store(bytes)?;
    if extent >= 1 << 30 {
        // SAFETY: stored just now, and shown to nobody.
        unsafe { target.free(extent) };
        return Err(SpillError::Full);
    }
    Ok(extent << 1 | bit)
}

impl<A: SpillTarget, B: SpillTarget> SpillTarget for Chain<A, B> {
    fn store(&self, bytes: &[u8]) -> Result<u32, SpillError> {
        store(&self.0, 0, bytes).or_else(|_| store(&self.1, 1, bytes))
    }

    unsafe fn read(&self, extent: u32, into: &mut [u8]) -> Result<(), SpillError> {
        let (target, extent) = self.of(extent);
        // SAFETY: passed on, to the target whose extent it is.
        unsafe { target.read(extent, into) }
    }

    unsafe fn view(&self, extent: u32, len: usize) -> Option<&[u8]> {
        let (target, extent) = self.of(extent);
        // SAFETY: as above.
        unsafe { target.view(extent, len) }
    }

    unsafe fn free(&self, extent: u32) {
        let (target, extent) = self.of(extent);
        // SAFETY: as above.
        unsafe { target.free(extent) }
    }

    unsafe fn read_ahead(&self, extent: u32, len: usize) {
        let (target, extent) = self.of(extent);
        // SAFETY: as above.
        unsafe { target.read_ahead(extent, len) }
    }

    fn lends(&self) -> bool {
        self.0.lends() && self.1.lends()
    }

    fn capacity(&self) -> u64 {
        self.0.capacity().saturating_add(self.1.capacity())
    }

    fn used(&self) -> u64 {
        self.0.used().saturating_add(self.1.used())
    }
}
