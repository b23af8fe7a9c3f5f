//! A YAML document with `CloudFormation`'s short tags (`!Ref`, `!Sub`, …), and paths into it.

use saphyr::{LoadableYamlNode, ScalarOwned, YamlOwned};

use super::TemplateError;

/// Reads the first document of a text.
pub(super) fn load(text: &str) -> Result<YamlOwned, TemplateError> {
    let documents =
        YamlOwned::load_from_str(text).map_err(|error| TemplateError::Syntax(error.to_string()))?;
    documents.into_iter().next().ok_or_else(|| TemplateError::Syntax("it is empty".to_owned()))
}

/// A node that knows where it is, for messages.
#[derive(Clone)]
pub(super) struct Place<'a> {
    node: &'a YamlOwned,
    path: String,
}

impl<'a> Place<'a> {
    pub(super) fn root(node: &'a YamlOwned) -> Self {
        Self { node, path: String::new() }
    }

    pub(super) fn shape(&self, expected: &'static str) -> TemplateError {
        TemplateError::Shape { place: self.path.clone(), expected }
    }

    fn below(&self, key: &str, node: &'a YamlOwned) -> Self {
        let path =
            if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) };
        Self { node, path }
    }

    pub(super) fn find(&self, key: &str) -> Option<Self> {
        self.node.as_mapping_get(key).map(|node| self.below(key, node))
    }

    pub(super) fn load(&self, key: &str) -> Result<Self, TemplateError> {
        self.find(key).ok_or_else(|| self.shape("a mapping with the key it lacks").with_key(key))
    }

    /// The entries of a mapping.
    pub(super) fn entries(&self) -> Result<Vec<(String, Self)>, TemplateError> {
        let mapping = self.node.as_mapping().ok_or_else(|| self.shape("a mapping"))?;
        mapping
            .iter()
            .map(|(key, node)| {
                let key = scalar(key).ok_or_else(|| self.shape("a mapping with plain keys"))?;
                let place = self.below(&key, node);
                Ok((key, place))
            })
            .collect()
    }

    /// The items of a sequence.
    pub(super) fn items(&self) -> Result<Vec<Self>, TemplateError> {
        let sequence = self.node.as_sequence().ok_or_else(|| self.shape("a sequence"))?;
        Ok(sequence
            .iter()
            .enumerate()
            .map(|(index, node)| self.below(&index.to_string(), node))
            .collect())
    }

    /// A plain value as text: strings, numbers and booleans alike.
    pub(super) fn text(&self) -> Result<String, TemplateError> {
        scalar(self.node).ok_or_else(|| self.shape("a plain value"))
    }

    pub(super) fn number<N: std::str::FromStr>(&self) -> Result<N, TemplateError> {
        self.text()?.parse().map_err(|_| self.shape("a number"))
    }

    pub(super) fn is_true(&self) -> Result<bool, TemplateError> {
        self.text()?.parse().map_err(|_| self.shape("true or false"))
    }

    /// The value in a stack that creates its own tables and key ring: the first alternative of an
    /// `!If`; any other node unchanged.
    pub(super) fn of_own_resource(&self) -> Result<Self, TemplateError> {
        match self.intrinsic() {
            Some(("If", arguments)) => {
                let alternatives: [Self; 3] = arguments
                    .items()?
                    .try_into()
                    .map_err(|_| self.shape("a condition of three"))?;
                let [_, own, _] = alternatives;
                Ok(own)
            }
            _ => Ok(self.clone()),
        }
    }

    /// An intrinsic function: the name of the tag and what it applies to.
    pub(super) fn intrinsic(&self) -> Option<(&'a str, Self)> {
        match self.node {
            YamlOwned::Tagged(tag, node) if tag.handle == "!" => {
                Some((tag.suffix.as_str(), Self { node, path: self.path.clone() }))
            }
            _ => None,
        }
    }
}

impl TemplateError {
    fn with_key(self, key: &str) -> Self {
        match self {
            Self::Shape { place, expected } => {
                Self::Shape { place: format!("{place} (key {key})"), expected }
            }
            other => other,
        }
    }
}

fn scalar(node: &YamlOwned) -> Option<String> {
    match node {
        YamlOwned::Value(ScalarOwned::String(text)) | YamlOwned::Representation(text, _, None) => {
            Some(text.clone())
        }
        YamlOwned::Value(ScalarOwned::Integer(number)) => Some(number.to_string()),
        YamlOwned::Value(ScalarOwned::Boolean(truth)) => Some(truth.to_string()),
        _ => None,
    }
}
