//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// Users, sessions, clients and keys of Ratchet, directly in its tables and its key ring.
#[derive(Debug, Parser)]
#[command(name = "ratchet", version)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) connection: ConnectionArguments,
    /// Print JSON instead of text
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Args)]
pub(crate) struct ConnectionArguments {
    /// Name of the users table (the stack's output `UsersTableName`)
    #[arg(long, global = true, env = "RATCHET_USERS_TABLE", default_value = "")]
    pub(crate) users_table: String,
    /// Name of the tokens table (the stack's output `TokensTableName`)
    #[arg(long, global = true, env = "RATCHET_TOKENS_TABLE", default_value = "")]
    pub(crate) tokens_table: String,
    /// Name or ARN of the key ring (the stack's output `KeyRingSecretArn`)
    #[arg(long, global = true, env = "RATCHET_KEY_RING_SECRET", default_value = "")]
    pub(crate) key_ring_secret: String,
    /// The DynamoDB to use instead of AWS's, for example that of `cargo local`
    #[arg(long, global = true)]
    pub(crate) endpoint_url: Option<String>,
    /// The profile of the AWS configuration
    #[arg(long, global = true)]
    pub(crate) profile: Option<String>,
    /// The AWS region
    #[arg(long, global = true)]
    pub(crate) region: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Users
    #[command(subcommand)]
    Users(UsersCommand),
    /// Sessions
    #[command(subcommand)]
    Sessions(SessionsCommand),
    /// Clients: resource servers that may introspect tokens
    #[command(subcommand)]
    Clients(ClientsCommand),
    /// The key ring
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Restores both tables to a point in time, into new tables; what ended since stays ended
    Restore(Restore),
}

#[derive(Debug, Args)]
pub(crate) struct Restore {
    /// The point in time, for example 2026-11-28T08:00:00Z
    #[arg(long)]
    pub(crate) at: String,
    /// Bring back users that were deleted since
    #[arg(long)]
    pub(crate) undelete: bool,
    /// Name of the new users table; if it exists, it counts as restored
    #[arg(long)]
    pub(crate) into_users: Option<String>,
    /// Name of the new tokens table; if it exists, it counts as restored
    #[arg(long)]
    pub(crate) into_tokens: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    /// Shows the keys and their states, nothing private
    List,
    /// Rotates as the schedule would, without an interruption
    Rotate {
        /// Let the new key sign at once: verifiers refuse its tokens until they have loaded it
        #[arg(long)]
        now: bool,
    },
    /// Removes a key from the ring: what it signed is refused
    Revoke {
        /// The key's id, as `list` shows it
        // It is base64url, and may begin with a hyphen.
        #[arg(allow_hyphen_values = true)]
        kid: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum UsersCommand {
    /// Adds a user; prompts for the password, or reads it from standard input
    Add(Add),
    /// Lists users in name order
    List {
        /// The maximum number of users to list
        #[arg(long, default_value_t = 1_000)]
        limit: usize,
        /// Start after this name
        #[arg(long)]
        after: Option<String>,
    },
    /// Shows a user
    Show { name: String },
    /// Keeps a user from signing in and ends all sessions
    Disable { name: String },
    /// Lets a disabled user sign in again
    Enable { name: String },
    /// Forgets the failed attempts at an account, so that its user can try again
    Unlock { name: String },
    /// Removes a user's second factor and ends all sessions, for a user who has lost the phone
    ResetSecondFactor { name: String },
    /// Removes all passkeys of a user and ends all sessions, for a user whose device was stolen
    RemovePasskeys { name: String },
    /// Replaces a user's roles; without arguments, removes all
    Roles { name: String, roles: Vec<String> },
    /// Replaces a user's custom claims
    SetClaims {
        name: String,
        /// A JSON object, for example '{"tenant": "acme"}'; '{}' removes all
        claims: String,
    },
    /// Deletes a user, ends all sessions and frees name and address
    Delete {
        name: String,
        /// Do not ask for confirmation
        #[arg(long)]
        yes: bool,
    },
    /// Imports users from JSON Lines, see docs/operators.md
    Import(Import),
    /// Writes all users as JSON Lines, with their password hashes
    Export {
        /// The file; `-` is standard output
        file: PathBuf,
    },
    /// Prints what is kept about a user, as JSON, without secrets and hashes
    ExportOne { name: String },
}

#[derive(Debug, Args)]
pub(crate) struct Add {
    /// The user name
    pub(crate) name: String,
    /// The e-mail address
    pub(crate) email: String,
    /// A role; may be given more than once
    #[arg(long = "role")]
    pub(crate) roles: Vec<String>,
    /// The address counts as confirmed
    #[arg(long)]
    pub(crate) confirmed: bool,
    /// Read the password from standard input (one line)
    #[arg(long)]
    pub(crate) password_stdin: bool,
    /// The minimum length of the password, in characters
    #[arg(long, env = "RATCHET_PASSWORD_MIN_LENGTH", default_value_t = 15,
          value_parser = clap::value_parser!(u8).range(8..=64))]
    pub(crate) min_length: u8,
}

#[derive(Debug, Args)]
pub(crate) struct Import {
    /// The file; `-` is standard input
    pub(crate) file: PathBuf,
    /// Check every line without writing anything
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Start at this line, where an earlier run was interrupted
    #[arg(long, default_value_t = 1)]
    pub(crate) from_line: u64,
    /// Write the refused lines and the reasons to this file instead of standard error, as JSON Lines
    #[arg(long)]
    pub(crate) refused: Option<PathBuf>,
    /// The number of batches that are written at the same time
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u8).range(1..=64))]
    pub(crate) parallel: u8,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SessionsCommand {
    /// Lists a user's live sessions
    List { name: String },
    /// Ends all sessions of a user, or one
    End {
        name: String,
        /// The id of the one to end
        id: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum ClientsCommand {
    /// Makes a client, and prints its id and its secret: the secret this once
    Create {
        /// What to call it; names need not be unique
        name: String,
    },
    /// Lists clients in name order, without their secrets
    List,
    /// Revokes a client: its credential is refused at once
    Revoke {
        /// The client's id, as `list` shows it
        id: String,
    },
}

#[cfg(test)]
mod tests;
