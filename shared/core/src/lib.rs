//! The core of Ratchet: everything that decides, nothing that does I/O.
//!
//! Time and randomness are parameters throughout; nothing in here reads a clock, an environment
//! variable or a socket. The modules, in reading order:
//!
//! * [`rotation`] – the decision table at the heart of the service
//! * [`session`] – a session as stored in the tokens table
//! * [`refresh_token`] and [`seal`] – the wire format and the way from an old token to the live one
//! * [`amr`], [`authentication`] – how and when a user was authenticated, and what a request can require
//! * [`access_token`] and [`jws`] – issuing and the strict verification of JWTs
//! * [`custom_claims`] – claims that administrators add to a user's access tokens
//! * [`key_ring`] – the keys behind both
//! * [`dpop`] – proofs of possession, and sessions bound to a key
//! * [`revocations`] – sessions that ended before their access tokens did
//! * [`introspection`] and [`client`] – what resource servers may ask about tokens, and who they are
//! * [`password`] and [`user`] – who may sign in
//! * [`second_factor`] – codes of authenticator apps, and recovery codes
//! * [`passkey`] – passkeys, and the ceremonies that add and use them
//! * [`attempts`] and [`device_token`] – limits on guessing, and known devices
//! * [`email`], [`letter`] and [`challenge`] – what is sent by e-mail, and what it proves
//! * [`registration`] – who owns an address, and who waits for its confirmation
//! * [`trusted_proxies`] and [`network`] – where requests come from
//! * [`cors`] – which web applications may call
//! * [`domain_event`] – what other systems are told
//! * [`config`] – every setting, read once into one typed value

pub mod access_token;
pub mod amr;
pub mod attempts;
pub mod authentication;
pub mod challenge;
pub mod client;
pub mod config;
pub mod cors;
pub mod custom_claims;
pub mod device_token;
pub mod domain_event;
pub mod dpop;
pub mod email;
mod encoded_token;
pub mod encoding;
pub mod entropy;
pub mod error_chain;
pub mod ids;
pub mod introspection;
pub mod jws;
pub mod key_ring;
pub mod letter;
pub mod network;
pub mod passkey;
pub mod password;
pub mod refresh_token;
pub mod registration;
pub mod revocations;
pub mod rotation;
pub mod seal;
pub mod second_factor;
pub mod secret;
pub mod session;
mod stored_hash;
mod tagged_token;
pub mod time;
pub mod trusted_proxies;
pub mod user;
