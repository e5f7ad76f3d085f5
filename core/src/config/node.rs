//! A tree of what a user wrote, each node with its place.
//!
//! Sections are handed to the code they configure as nodes, which read themselves into that code's
//! own types. A node must not know the syntax it came from.

use serde::de::DeserializeOwned;

use super::{ConfigError, Place, de};

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Where it begins.
    pub place: Place,
    /// The value.
    pub value: Value,
}

/// What a node holds. Scalars keep their text: what it means, the reader decides.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Nothing, `~` or `null`.
    Null,
    /// A text; `plain` when it was written without quotes, so that `3` may be a number.
    Scalar {
        /// The text, unescaped.
        text: String,
        /// Written without quotes.
        plain: bool,
    },
    /// A list.
    Seq(Vec<Node>),
    /// A map, in the order written, keys unique.
    Map(Vec<Entry>),
}

/// One `key: value` of a map.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Where the key stands.
    pub place: Place,
    /// The key.
    pub key: String,
    /// The value.
    pub value: Node,
}

impl Node {
    /// An empty node of a whole file.
    pub fn null(file: impl Into<std::sync::Arc<str>>) -> Self {
        Node { place: Place::file(file), value: Value::Null }
    }

    /// Whether nothing is there.
    #[must_use]
    pub fn is_null(&self) -> bool {
        self.value == Value::Null
    }

    /// The value under `key`, if this is a map that has it.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Node> {
        match &self.value {
            Value::Map(entries) => entries.iter().find(|e| e.key == key).map(|e| &e.value),
            _ => None,
        }
    }

    /// The entries of a map; none when nothing is there.
    ///
    /// # Errors
    /// When this is a list or a scalar.
    pub fn entries(&self) -> Result<&[Entry], ConfigError> {
        match &self.value {
            Value::Map(entries) => Ok(entries),
            Value::Null => Ok(&[]),
            _ => Err(self.error(format!("expected a map, found {}", self.kind()))),
        }
    }

    /// The items of a list; none when nothing is there.
    ///
    /// # Errors
    /// When this is a map or a scalar.
    pub fn items(&self) -> Result<&[Node], ConfigError> {
        match &self.value {
            Value::Seq(items) => Ok(items),
            Value::Null => Ok(&[]),
            _ => Err(self.error(format!("expected a list, found {}", self.kind()))),
        }
    }

    /// The text of a scalar; empty when nothing is there.
    ///
    /// # Errors
    /// When this is a map or a list.
    pub fn text(&self) -> Result<&str, ConfigError> {
        match &self.value {
            Value::Scalar { text, .. } => Ok(text),
            Value::Null => Ok(""),
            _ => Err(self.error(format!("expected a text, found {}", self.kind()))),
        }
    }

    /// Reads this node into a type of the code it configures.
    ///
    /// # Errors
    /// With the place of the offending key or value, and the nearest known key.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, ConfigError> {
        de::read(self)
    }

    /// An error at this node.
    pub fn error(&self, what: impl Into<String>) -> ConfigError {
        ConfigError::new(self.place.clone(), what)
    }

    /// Refuses any key of this map that is not in `known`.
    ///
    /// # Errors
    /// For the first unknown key, with the nearest known one; or when this is no map.
    pub fn only_keys<'a>(
        &self,
        known: impl IntoIterator<Item = &'a str> + Clone,
    ) -> Result<(), ConfigError> {
        for entry in self.entries()? {
            if !known.clone().into_iter().any(|k| k == entry.key) {
                return Err(ConfigError::unknown_key(entry.place.clone(), &entry.key, known));
            }
        }
        Ok(())
    }

    /// The same as JSON text: how configuration crosses to a dynamic plugin.
    #[must_use]
    pub fn to_json(&self) -> String {
        self.to_json_value().to_string()
    }

    fn to_json_value(&self) -> serde_json::Value {
        use serde_json::Value as Json;
        match &self.value {
            Value::Null => Json::Null,
            Value::Scalar { text, plain: true } => de::plain_to_json(text),
            Value::Scalar { text, plain: false } => Json::String(text.clone()),
            Value::Seq(items) => items.iter().map(Node::to_json_value).collect(),
            Value::Map(entries) => {
                entries.iter().map(|e| (e.key.clone(), e.value.to_json_value())).collect()
            }
        }
    }

    pub(super) const fn kind(&self) -> &'static str {
        match self.value {
            Value::Null => "nothing",
            Value::Scalar { .. } => "a text",
            Value::Seq(_) => "a list",
            Value::Map(_) => "a map",
        }
    }
}
