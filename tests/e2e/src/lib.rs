//! End-to-end tests of Ratchet; see `e2e/main.rs`.
