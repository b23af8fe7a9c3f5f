//! `cargo local mail`: the messages of the running stack.

use local::{mail::messages, workspace::Workspace};
use tokio::runtime::Runtime;

use super::Failure;

/// Prints them, the oldest first.
pub fn run(runtime: &Runtime) -> Result<(), Failure> {
    let nobody = "no stack is running: start one with `cargo local`";
    let moto = std::fs::read_to_string(Workspace::locate().mail()).map_err(|_| nobody)?;
    let messages = runtime.block_on(messages(moto.trim())).map_err(|_| nobody)?;
    for message in &messages {
        println!("── {} ──\nTo: {}\n\n{}\n", message.subject, message.to, message.text());
    }
    if messages.is_empty() {
        println!("no messages yet");
    }
    Ok(())
}
