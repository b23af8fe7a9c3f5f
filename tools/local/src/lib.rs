//! Ratchet's local stack: DynamoDB Local, a Secrets Manager (moto) and the functions under
//! `cargo lambda`, on loopback, as described by `template.yaml`.
//!
//! `cargo local` is the command; tests and benchmarks use [`Stack`](stack::Stack).

pub mod binaries;
pub mod demo_users;
pub mod dynamodb;
mod expired;
pub mod functions;
pub mod gateway;
mod head;
pub mod keep;
pub mod listener;
pub mod logs;
pub mod mail;
pub mod page;
pub mod parameters;
pub mod prerequisites;
pub mod process;
pub mod progress;
pub mod run;
pub mod running;
pub mod secrets;
pub mod services;
pub mod stack;
pub mod starting;
mod stream;
pub mod template;
pub mod toolbox;
pub mod workspace;
