//! A text that must never be shown.
//!
//! Passwords, tokens and URLs that carry them live in this type from the moment they are read;
//! whoever needs the text says so with [`Secret::expose`]. It must not know what it protects.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{ConfigError, Node, read_bounded};

/// Prints and serializes as `<secret>`, as Alertmanager does.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// What is shown instead.
    pub const SHOWN: &'static str = "<secret>";

    /// Wraps a text.
    pub fn new(text: impl Into<String>) -> Self {
        Secret(text.into())
    }

    /// The text itself; never pass it to a log, an error or an answer.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether there is no text.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(Secret::SHOWN)
    }
}

impl std::fmt::Display for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(Secret::SHOWN)
    }
}

impl Serialize for Secret {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(Secret::SHOWN)
    }
}

/// Where a secret is: in the configuration, or in a file that is read each time it is needed, so
/// that a changed password counts without a reload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretSource {
    /// `password: ...`
    Text(Secret),
    /// `password_file: ...`
    File(PathBuf),
}

impl SecretSource {
    /// Reads `key` or `{key}_file` of a map; a relative path starts at the configuration's folder.
    ///
    /// # Errors
    /// When both are there, or one is no text.
    pub fn of(node: &Node, key: &str) -> Result<Option<Self>, ConfigError> {
        let file_key = format!("{key}_file");
        let filled = |key: &str| node.get(key).filter(|value| !value.is_null());
        match (filled(key), filled(&file_key)) {
            (Some(_), Some(file)) => {
                Err(file.error(format!("{key} and {file_key} exclude each other")))
            }
            (Some(text), None) => Ok(Some(SecretSource::Text(Secret::new(text.text()?)))),
            (None, Some(file)) => {
                let path = file.place.resolve(Path::new(file.text()?));
                Ok(Some(SecretSource::File(path)))
            }
            (None, None) => Ok(None),
        }
    }

    /// The secret, without white space around it when it comes from a file.
    ///
    /// # Errors
    /// When the file cannot be read or is larger than 64 KiB; the text names the file.
    pub fn read(&self) -> Result<Secret, String> {
        match self {
            SecretSource::Text(secret) => Ok(secret.clone()),
            SecretSource::File(path) => {
                let bytes = read_bounded(path, 64 << 10)?;
                let text = String::from_utf8(bytes)
                    .map_err(|_| format!("{} is not UTF-8", path.display()))?;
                Ok(Secret::new(text.trim()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse_yaml;

    #[test]
    fn a_source_is_a_text_or_a_file() {
        let dir = tempfile::tempdir().unwrap();
        let config = dir.path().join("a.yml").display().to_string();
        std::fs::write(dir.path().join("token"), "hunter2\n").unwrap();
        let of = |text: &str| SecretSource::of(&parse_yaml(&config, text).unwrap(), "token");
        for text in ["token: hunter2", "token_file: token"] {
            assert_eq!(of(text).unwrap().unwrap().read(), Ok(Secret::new("hunter2")), "{text}");
        }
        assert_eq!(of("x: y").unwrap(), None);
        assert!(of("token: a\ntoken_file: b").unwrap_err().what.contains("exclude each other"));
        for bad in ["token_file: none", "token_file: ."] {
            assert!(of(bad).unwrap().unwrap().read().unwrap_err().contains("cannot read"), "{bad}");
        }
    }

    #[test]
    fn it_never_shows() {
        let secret = Secret::new("hunter2");
        let shown = format!("{secret} {secret:?} {}", serde_json::to_string(&secret).unwrap());
        assert!(!shown.contains("hunter2"));
        assert_eq!(secret.expose(), "hunter2");
    }
}
