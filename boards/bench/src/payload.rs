//! What is done with a message, whoever carries it: it is filled and read by words.

/// Fills `bytes` with a pattern.
pub fn fill_words(bytes: &mut [u8], pattern: u32) {
    // SAFETY: any bits are a `u32`, and the bytes that are not in aligned words are left alone.
    let (_, words, _) = unsafe { bytes.align_to_mut::<u32>() };
    for word in words {
        *word = pattern;
    }
}

/// Adds up `bytes`.
pub fn sum_words(bytes: &[u8]) -> u32 {
    // SAFETY: as above.
    let (_, words, _) = unsafe { bytes.align_to::<u32>() };
    words.iter().fold(0, |sum: u32, &word| sum.wrapping_add(word))
}
