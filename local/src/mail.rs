//! The local Amazon SES: moto's, which keeps messages instead of sending them.

/// The address that local messages come from.
pub const FROM: &str = "accounts@example.com";
