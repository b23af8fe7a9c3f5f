//! The numbers of an RSA private key out of its PKCS #8 encoding (RFC 5208 §5, RFC 8017 A.1.2):
//! the library exports nothing else, and a JWK wants them one by one.
//!
//! This reads what the library wrote a moment ago, never anybody else's input.

const INTEGER: u8 = 0x02;
const OCTET_STRING: u8 = 0x04;
const SEQUENCE: u8 = 0x30;

/// n, e, d, p, q, dP, dQ and qInv, big endian, without leading zeros.
pub(super) fn components(pkcs8: &[u8]) -> Option<[&[u8]; 8]> {
    let (outer, _) = take(SEQUENCE, pkcs8)?;
    let (_version, rest) = take(INTEGER, outer)?;
    let (_algorithm, rest) = take(SEQUENCE, rest)?;
    let (private_key, _) = take(OCTET_STRING, rest)?;
    let (inner, _) = take(SEQUENCE, private_key)?;
    let (_version, mut rest) = take(INTEGER, inner)?;
    let mut components = [&[][..]; 8];
    for component in &mut components {
        let (integer, after) = take(INTEGER, rest)?;
        // A zero in front keeps a number with its highest bit set from being negative.
        *component = integer.strip_prefix(&[0]).unwrap_or(integer);
        rest = after;
    }
    Some(components)
}

/// The content of the element at the beginning of `der`, and what follows it.
fn take(tag: u8, der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&first, rest) = der.split_first()?;
    let (&length, rest) = rest.split_first()?;
    if first != tag {
        return None;
    }
    // Up to 127 in one byte; above, the byte says how many bytes the length has (X.690 §8.1.3).
    if length < 0x80 {
        return rest.split_at_checked(usize::from(length));
    }
    let (bytes, rest) = rest.split_at_checked(usize::from(length & 0x7f))?;
    let length = bytes
        .iter()
        .try_fold(0_usize, |sum, byte| sum.checked_mul(256)?.checked_add(usize::from(*byte)))?;
    rest.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_of_either_length_form_are_taken() {
        assert_eq!(take(INTEGER, &[2, 1, 7, 9]), Some((&[7][..], &[9][..])));
        let long = [&[4, 0x81, 200][..], &[1; 200]].concat();
        assert_eq!(take(OCTET_STRING, &long), Some((&[1; 200][..], &[][..])));
    }

    #[test]
    fn truncated_and_other_elements_are_not() {
        for der in [&[][..], &[2], &[2, 1], &[3, 1, 7], &[2, 0x82, 1], &[2, 0x88], &[2, 0xff, 1]] {
            assert_eq!(take(INTEGER, der), None, "{der:?}");
        }
    }
}
