//! Reading and writing attribute values.

use std::collections::HashMap;

use aws_sdk_dynamodb::{primitives::Blob, types::AttributeValue};

use crate::StoreError;

pub(crate) type Item = HashMap<String, AttributeValue>;

pub(crate) fn string(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

pub(crate) fn number(value: impl Into<u64>) -> AttributeValue {
    AttributeValue::N(value.into().to_string())
}

pub(crate) fn binary(bytes: &[u8]) -> AttributeValue {
    AttributeValue::B(Blob::new(bytes))
}

/// A set.
pub(crate) fn binary_set<'m>(members: impl Iterator<Item = &'m [u8]>) -> AttributeValue {
    AttributeValue::Bs(members.map(Blob::new).collect())
}

/// The version in which this release writes sessions and users, stored in their attribute
/// `version`. Items without the attribute are version 1. A release reads every version up to its
/// own. Additions to a version must be such that the previous release can ignore them.
pub(crate) const VERSION: u32 = 1;

/// The name of that attribute.
pub(crate) const VERSION_NAME: &str = "version";

/// Reads an item. Attributes are `optional` only if items without them are valid.
pub(crate) struct Reader<'i>(pub &'i Item);

impl<'i> Reader<'i> {
    /// Refuses items of later releases: their attributes may mean something else.
    pub(crate) fn readable(&self) -> Result<(), StoreError> {
        self.readable_up_to(VERSION)
    }

    /// Refuses items of a later version than this.
    pub(crate) fn readable_up_to(&self, version: u32) -> Result<(), StoreError> {
        match self.optional_number(VERSION_NAME)? {
            Some(found) if found > u64::from(version) => Err(StoreError::NewerItem { found }),
            _ => Ok(()),
        }
    }

    pub(crate) fn string(&self, name: &'static str) -> Result<&'i str, StoreError> {
        self.optional_string(name)?.ok_or(StoreError::MalformedItem(name))
    }

    pub(crate) fn optional_string(
        &self,
        name: &'static str,
    ) -> Result<Option<&'i str>, StoreError> {
        self.0
            .get(name)
            .map(|value| {
                value.as_s().map(String::as_str).map_err(|_| StoreError::MalformedItem(name))
            })
            .transpose()
    }

    pub(crate) fn number(&self, name: &'static str) -> Result<u64, StoreError> {
        self.optional_number(name)?.ok_or(StoreError::MalformedItem(name))
    }

    pub(crate) fn optional_number(&self, name: &'static str) -> Result<Option<u64>, StoreError> {
        self.0
            .get(name)
            .map(|value| {
                let digits = value.as_n().map_err(|_| StoreError::MalformedItem(name))?;
                digits.parse().map_err(|_| StoreError::MalformedItem(name))
            })
            .transpose()
    }

    pub(crate) fn bytes<const N: usize>(&self, name: &'static str) -> Result<[u8; N], StoreError> {
        self.optional_bytes(name)?.ok_or(StoreError::MalformedItem(name))
    }

    pub(crate) fn optional_bytes<const N: usize>(
        &self,
        name: &'static str,
    ) -> Result<Option<[u8; N]>, StoreError> {
        self.0
            .get(name)
            .map(|value| {
                let blob = value.as_b().map_err(|_| StoreError::MalformedItem(name))?;
                blob.as_ref().try_into().map_err(|_| StoreError::MalformedItem(name))
            })
            .transpose()
    }

    /// The members of a set; none if there is no set.
    pub(crate) fn optional_binary_set<const N: usize>(
        &self,
        name: &'static str,
    ) -> Result<Vec<[u8; N]>, StoreError> {
        let Some(value) = self.0.get(name) else { return Ok(Vec::new()) };
        let malformed = || StoreError::MalformedItem(name);
        let members = value.as_bs().map_err(|_| malformed())?;
        members.iter().map(|member| member.as_ref().try_into().map_err(|_| malformed())).collect()
    }

    pub(crate) fn optional_map(
        &self,
        name: &'static str,
    ) -> Result<Option<Reader<'i>>, StoreError> {
        if self.0.contains_key(name) { self.map(name).map(Some) } else { Ok(None) }
    }

    /// The maps of a list; none if there is no list.
    pub(crate) fn optional_list(&self, name: &'static str) -> Result<Vec<Reader<'i>>, StoreError> {
        let Some(value) = self.0.get(name) else { return Ok(Vec::new()) };
        let malformed = || StoreError::MalformedItem(name);
        let members = value.as_l().map_err(|_| malformed())?;
        members.iter().map(|member| member.as_m().map(Reader).map_err(|_| malformed())).collect()
    }

    pub(crate) fn map(&self, name: &'static str) -> Result<Reader<'i>, StoreError> {
        let value = self.0.get(name).ok_or(StoreError::MalformedItem(name))?;
        value.as_m().map(Reader).map_err(|_| StoreError::MalformedItem(name))
    }
}
