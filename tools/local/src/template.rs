//! The parts of `template.yaml` that the local stack imitates.
//!
//! The tables, the secret, the routes and the defaults of the configuration are read from the
//! deployment's template, so that local and deployed behaviour cannot drift apart.

mod document;
mod read;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::Path,
    time::Duration,
};

/// Why the template cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// The file cannot be read.
    #[error("cannot read template.yaml: {0}")]
    Read(#[from] io::Error),
    /// The file is not YAML.
    #[error("template.yaml is not valid YAML: {0}")]
    Syntax(String),
    /// Something that the local stack needs is missing or of another kind.
    #[error("template.yaml: {place} should be {expected}")]
    Shape {
        /// Where, as a path of keys.
        place: String,
        /// What is expected there.
        expected: &'static str,
    },
}

/// The parts of a deployment that exist locally too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    /// Tables by logical id (`UsersTable`, `TokensTable`).
    pub tables: BTreeMap<String, Table>,
    /// How the key ring secret is generated.
    pub key_ring: GeneratedSecret,
    /// Environment of every function: the defaults of the parameters, `None` where the value
    /// exists only in a deployment (names, ARNs, URLs).
    pub environment: BTreeMap<String, Option<String>>,
    /// The parameter that gives a variable of [`environment`](Self::environment) its value, by the
    /// variable's name.
    pub parameter_of: BTreeMap<String, String>,
    /// Functions by the name of their binary.
    pub functions: BTreeMap<String, Function>,
    /// Which functions are invoked with the changes of which table.
    pub event_sources: Vec<EventSource>,
    /// Parameters by name.
    pub parameters: BTreeMap<String, Parameter>,
}

/// A table of DynamoDB.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Partition key, then sort key if there is one.
    pub key: Vec<Key>,
    /// Global secondary indexes.
    pub indexes: Vec<Index>,
    /// Name of the attribute with the time to live.
    pub time_to_live: Option<String>,
    /// The view type of its stream, if it has one whatever the parameters are.
    pub stream: Option<String>,
}

/// A key attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// Name of the attribute.
    pub attribute: String,
    /// `S`, `N` or `B`.
    pub kind: String,
}

/// A global secondary index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Index {
    /// Name of the index.
    pub name: String,
    /// Partition key, then sort key if there is one.
    pub key: Vec<Key>,
    /// `ALL`, `KEYS_ONLY` or `INCLUDE`.
    pub projection: String,
    /// What `INCLUDE` adds to the keys.
    pub included: Vec<String>,
}

/// `GenerateSecretString` of a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GeneratedSecret {
    /// JSON object that the generated string is put into.
    pub template: String,
    /// Under this key.
    pub key: String,
    /// Characters of the generated string.
    pub length: i64,
    /// Whether punctuation is left out.
    pub exclude_punctuation: bool,
    /// Whether the space is among the characters.
    pub include_space: bool,
}

/// A function and its routes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    /// Memory, in MiB.
    pub memory_mib: u32,
    /// What its role allows.
    pub grants: BTreeSet<Grant>,
    /// Paths of its routes, sorted: for any method, or as `<method> <path>` for one.
    pub paths: Vec<String>,
}

/// One action on one resource that a role allows.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Grant {
    /// For example `dynamodb:GetItem`.
    pub action: String,
    /// The logical id of the resource, what follows its ARN, or a text as it is: `UsersTable`,
    /// `UsersTable/index/names`, `*`.
    pub resource: String,
    /// The condition of the statement on a value of the request, for example
    /// `dynamodb:LeadingKeys=outbox#*` or `ses:FromAddress=MailFrom`; `None` if it has none.
    pub condition: Option<String>,
}

/// A table's stream that a function is invoked with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventSource {
    /// Logical id of the table.
    pub table: String,
    /// Binary of the function.
    pub function: String,
    /// The condition under which there is this mapping, for example `HasEventBus`; `None` if there
    /// always is.
    pub condition: Option<String>,
    /// The most records of one invocation.
    pub batch_size: u32,
    /// Only records that match one of these patterns are delivered.
    pub patterns: Vec<serde_json::Value>,
    /// How long the function may take.
    pub timeout: Duration,
    /// How often a batch is retried; `None` for until it is too old.
    pub max_retries: Option<u32>,
    /// Older records are given up.
    pub max_age: Duration,
    /// Whether a failed batch is retried in halves if the function does not name a record.
    pub bisects: bool,
}

/// A parameter of the deployment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// `String`, `Number`, …
    pub kind: String,
    /// The default. Every parameter has one, so that a deployment needs no input.
    pub default: String,
    /// Smallest number allowed.
    pub minimum: Option<i64>,
    /// Largest number allowed.
    pub maximum: Option<i64>,
    /// The values allowed; empty if there is no such list.
    pub allowed: Vec<String>,
    /// Its description.
    pub description: String,
}

impl Template {
    /// Reads a template file.
    ///
    /// # Errors
    /// If it cannot be read, is not YAML, or lacks what the local stack needs.
    pub fn read(path: &Path) -> Result<Self, TemplateError> {
        fs::read_to_string(path)?.parse()
    }
}
