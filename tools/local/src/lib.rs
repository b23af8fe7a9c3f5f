//! Ratchet's local stack: DynamoDB Local, a Secrets Manager (moto) and the functions under
//! `cargo lambda`, on loopback, from what `template.yaml` says.
//!
//! `cargo local` is the command; tests and benchmarks use [`Stack`](stack::Stack).

pub mod binaries;
pub mod demo_users;
pub mod dynamodb;
pub mod functions;
pub mod mail;
pub mod page;
pub mod prerequisites;
pub mod process;
pub mod progress;
pub mod run;
pub mod secrets;
pub mod services;
pub mod stack;
pub mod starting;
mod stream;
pub mod template;
pub mod toolbox;
pub mod workspace;
