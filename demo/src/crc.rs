//! CRC-32, the checksum of zip and Ethernet, taken as the bytes come.

use crc::{CRC_32_ISO_HDLC, Crc, Digest, Table};

/// One table of 256 entries: 1 KiB of flash for five instructions a byte. (The `crc` crate's default
/// has sixteen of them, made for servers.)
static TABLE: Crc<u32, Table<1>> = Crc::<u32, Table<1>>::new(&CRC_32_ISO_HDLC);

/// A running CRC-32.
///
/// ```
/// use cloakroom_demo::Crc32;
///
/// let mut crc = Crc32::new();
/// crc.update(b"12345");
/// crc.update(b"6789");
/// assert_eq!(crc.value(), 0xCBF4_3926);
/// ```
#[derive(Clone)]
pub struct Crc32 {
    digest: Digest<'static, u32, Table<1>>,
}

impl Crc32 {
    /// The checksum of no bytes.
    #[must_use]
    pub const fn new() -> Self {
        Self { digest: TABLE.digest() }
    }

    /// The checksum of `bytes` alone.
    #[must_use]
    pub fn of(bytes: &[u8]) -> u32 {
        TABLE.checksum(bytes)
    }

    /// Takes in the bytes that come next.
    pub fn update(&mut self, bytes: &[u8]) {
        self.digest.update(bytes);
    }

    /// The checksum of everything so far.
    #[must_use]
    pub fn value(&self) -> u32 {
        self.digest.clone().finalize()
    }
}

impl Default for Crc32 {
    fn default() -> Self {
        Self::new()
    }
}

impl core::fmt::Debug for Crc32 {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Crc32({:#010x})", self.value())
    }
}
