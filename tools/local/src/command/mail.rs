//! `cargo local mail`: the messages of the running stack.

use local::{mail::messages, running, workspace::Workspace};
use tokio::runtime::Runtime;

use super::Failure;

/// Prints them, the oldest first.
pub fn run(runtime: &Runtime, port: Option<u16>) -> Result<(), Failure> {
    let stack = running::find(&Workspace::locate(), port)?;
    let messages = runtime.block_on(messages(&stack.moto))?;
    for message in &messages {
        println!("── {} ──\nTo: {}\n\n{}\n", message.subject, message.to, message.text());
    }
    if messages.is_empty() {
        println!("no messages yet");
    }
    Ok(())
}
