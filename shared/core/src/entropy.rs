//! The one source of randomness.

/// The operating system gave no random bytes.
#[derive(Debug, thiserror::Error)]
#[error("the system's random source is not available")]
pub struct RandomUnavailable;

/// Draws `N` bytes from the system's random source.
///
/// Only the edges call this; the core takes what was drawn as a parameter.
///
/// # Errors
/// [`RandomUnavailable`]; nothing may be issued then.
pub fn random<const N: usize>() -> Result<[u8; N], RandomUnavailable> {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| RandomUnavailable)?;
    Ok(bytes)
}
