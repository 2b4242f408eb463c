//! Names of what is reported on.

use core::fmt;
use core::ops::Deref;

use serde::de::{Deserialize, Deserializer, Error, Visitor};
use serde::ser::{Serialize, Serializer};

/// A name of at most 32 bytes, without a heap.
///
/// A longer one is cut, between two characters.
///
/// ```
/// use cloakroom::report::Name;
///
/// assert_eq!(&*Name::new("frames"), "frames");
/// assert_eq!(Name::new(&"x".repeat(40)).len(), Name::MAX);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name {
    /// Zeros behind the name, so that equal names have equal bytes.
    bytes: [u8; Self::MAX],
    len: u8,
}

impl Name {
    /// Bytes that a name has at the most.
    pub const MAX: usize = 32;

    /// A name, cut if it is too long.
    pub fn new(text: &str) -> Self {
        let mut len = text.len().min(Self::MAX);
        while !text.is_char_boundary(len) {
            len -= 1;
        }
        let mut bytes = [0; Self::MAX];
        for (to, from) in bytes.iter_mut().zip(text.bytes().take(len)) {
            *to = from;
        }
        // Lossless: 32 at the most.
        Self { bytes, len: len as u8 }
    }
}

impl Name {
    /// With a number at its end, for which it is cut.
    #[cfg(feature = "monitor")]
    pub(crate) fn numbered(&self, number: u64) -> Self {
        let number = std::format!("~{number}");
        let mut text = std::string::String::from(&**self);
        while text.len() + number.len() > Self::MAX {
            text.pop();
        }
        Self::new(&(text + &number))
    }
}

impl Deref for Name {
    type Target = str;
    fn deref(&self) -> &str {
        let bytes = self.bytes.get(..usize::from(self.len)).unwrap_or(&[]);
        // Always text: it was cut between characters.
        core::str::from_utf8(bytes).unwrap_or("")
    }
}

impl From<&str> for Name {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for Name {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "{}", &**self);
    }
}

impl Serialize for Name {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self)
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl Visitor<'_> for Text {
            type Value = Name;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name of at most 32 bytes")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Name, E> {
                if text.len() > Name::MAX {
                    return Err(E::invalid_length(text.len(), &self));
                }
                Ok(Name::new(text))
            }
        }

        deserializer.deserialize_str(Text)
    }
}
