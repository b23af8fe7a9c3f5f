//! What Ratchet costs and how it scales, in arithmetic that can be run:
//! `cargo run -p estimates --bin cost` and `--bin scale`.

pub mod bill;
pub mod calls;
pub mod crowd;
