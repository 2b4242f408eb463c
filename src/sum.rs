//! CRC-32 as in zip (IEEE), from a crate: by the processor's instructions where the `wal` or the
//! `spill-std` feature is on, otherwise from a table of 1 KiB that stays in flash.

#[cfg(not(any(feature = "wal", feature = "spill-std")))]
static CRC: crc::Crc<u32, crc::Table<1>> =
    crc::Crc::<u32, crc::Table<1>>::new(&crc::CRC_32_ISO_HDLC);

/// A sum over bytes that come in pieces.
pub(crate) struct Sum(
    #[cfg(any(feature = "wal", feature = "spill-std"))] crc32fast::Hasher,
    #[cfg(not(any(feature = "wal", feature = "spill-std")))]
    crc::Digest<'static, u32, crc::Table<1>>,
);

impl Sum {
    pub(crate) fn new() -> Self {
        // What the processor can do is asked once, not for each sum.
        #[cfg(any(feature = "wal", feature = "spill-std"))]
        static FRESH: std::sync::OnceLock<crc32fast::Hasher> = std::sync::OnceLock::new();
        #[cfg(any(feature = "wal", feature = "spill-std"))]
        let fresh = FRESH.get_or_init(crc32fast::Hasher::new).clone();
        #[cfg(not(any(feature = "wal", feature = "spill-std")))]
        let fresh = CRC.digest();
        Self(fresh)
    }

    pub(crate) fn add(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    pub(crate) fn end(self) -> u32 {
        self.0.finalize()
    }
}

/// The sum of bytes that lie together.
pub(crate) fn sum(bytes: &[u8]) -> u32 {
    let mut sum = Sum::new();
    sum.add(bytes);
    sum.end()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The value that catalogues of checksums give: both implementations must have it.
    #[test]
    fn it_is_the_checksum_of_the_format() {
        assert_eq!(sum(b"123456789"), 0xCBF4_3926);
        let mut pieces = Sum::new();
        pieces.add(b"1234");
        pieces.add(b"");
        pieces.add(b"56789");
        assert_eq!(pieces.end(), 0xCBF4_3926);
    }
}
