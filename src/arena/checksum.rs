//! Payload checksums, by policy: a payload that changed while it was at rest is reported at redeem.

use crc::{CRC_32_ISO_HDLC, Crc, Table};

use super::descriptor::Row;
use super::layout::ArenaRef;
use super::word::Bits;
use crate::sync::RawMutex;
use crate::sync::atomic::Ordering::Relaxed;

/// CRC-32 as in zip, from a table of 1 KiB: the table stays in flash.
static CRC: Crc<u32, Table<1>> = Crc::<u32, Table<1>>::new(&CRC_32_ISO_HDLC);

impl<M: RawMutex> ArenaRef<'_, M> {
    /// Turns checksums on or off for payloads that are put to rest from now on.
    ///
    /// The sum is taken at deposit and compared at redeem, each time over the whole payload and
    /// outside any lock. Scattered payloads are not summed. With the policy off nothing is computed.
    ///
    /// ```
    /// # use cloakroom::{Arena, sync::CriticalSectionRawMutex};
    /// static ARENA: Arena<CriticalSectionRawMutex, 16, 64, 8> = Arena::new();
    /// ARENA.handle().set_checksums(true);
    /// let ticket = ARENA.try_alloc_from(b"kept")?.deposit()?;
    /// assert!(ARENA.redeem(ticket).is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn set_checksums(self, on: bool) {
        self.core().checksums.store(on, Relaxed);
    }

    /// Before a deposit: the caller has the payload in hand.
    pub(super) fn seal_payload(self, row: &Row) {
        let bits = self.state(row);
        // A payload that already has tickets out keeps the sum of its first deposit: it has been
        // read-only since.
        if bits.at_rest() > 0 || bits.is_scattered() || bits.is_link() {
            return;
        }
        let on = self.core().checksums.load(Relaxed);
        if on {
            row.set_sum(self.sum_of(row));
        }
        if on != bits.is_summed() {
            let _ = self.update(row, |bits: Bits| Some(bits.with_sum(on)));
        }
    }

    /// After a redeem: whether the payload is what was deposited.
    pub(super) fn seal_holds(self, index: usize) -> bool {
        let row = self.row(index);
        !self.state(row).is_summed() || row.sum() == self.sum_of(row)
    }

    fn sum_of(self, row: &Row) -> u32 {
        // SAFETY: the caller has the payload in hand and nobody writes it: either it is a unique lease
        // being deposited, or shared ones.
        CRC.checksum(unsafe { core::slice::from_raw_parts(self.page(row.start()), row.len()) })
    }
}
