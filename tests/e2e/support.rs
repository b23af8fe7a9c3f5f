//! Shared by the tests: one runtime, one stack, clients, users and access to the tables.

pub(crate) mod api;
pub(crate) mod asked;
pub(crate) mod aws;
pub(crate) mod bus;
pub(crate) mod dpop;
pub(crate) mod factor;
pub(crate) mod items;
pub(crate) mod logs;
pub(crate) mod mail;
pub(crate) mod passkey;
pub(crate) mod people;
pub(crate) mod proxy;
pub(crate) mod raw;
pub(crate) mod recorder;
pub(crate) mod ring;
pub(crate) mod world;

pub(crate) use api::{Answer, Api, Tokens};
pub(crate) use world::{World, run, run_apart};
