//! Passwords that many people have chosen, and that guessing therefore begins with.
//!
//! About 40,000 of them, as a sorted list of truncated hashes that `blocklist/make.py` writes. Only
//! a program that checks new passwords carries it.

use aws_lc_rs::digest;

/// Bytes of the SHA-256 that an entry keeps: few enough to be small, and enough that a password is
/// taken for a listed one about once in 100,000 times.
const ENTRY_BYTES: usize = 4;

static ENTRIES: &[u8] = include_bytes!("../../blocklist/common.bin");

/// Whether `text` is a common password, whatever its case.
pub(super) fn contains(text: &str) -> bool {
    let hash = digest::digest(&digest::SHA256, text.to_lowercase().as_bytes());
    let (entries, _) = ENTRIES.as_chunks::<ENTRY_BYTES>();
    hash.as_ref()
        .first_chunk::<ENTRY_BYTES>()
        .is_some_and(|wanted| entries.binary_search(wanted).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_long_sorted_and_whole() {
        let (entries, rest) = ENTRIES.as_chunks::<ENTRY_BYTES>();
        assert!(entries.len() > 40_000, "{}", entries.len());
        assert!(rest.is_empty());
        assert!(entries.is_sorted());
    }

    #[test]
    fn common_passwords_are_in_it_and_random_ones_are_not() {
        for text in ["password", "PassWord", "123456", "qwertyuiop", "letmein", "trustno1"] {
            assert!(contains(text), "{text}");
        }
        let found = (0..10_000).filter(|n| contains(&format!("{n} is not a password"))).count();
        assert!(found < 5, "{found} of 10,000 are taken for common ones");
    }
}
