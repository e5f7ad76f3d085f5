//! The keys of `email_configs`, and the `smtp_*` of `global` that stand in for them.
//!
//! A key of the receiver counts before the global one, as in Alertmanager. It must not know what
//! a key means.

use vigie_core::config::{ConfigError, Node, SecretSource};

/// Keys of an item of `email_configs`.
pub(crate) const KEYS: &[&str] = &[
    "send_resolved",
    "to",
    "from",
    "smarthost",
    "hello",
    "auth_username",
    "auth_password",
    "auth_password_file",
    "auth_secret",
    "auth_secret_file",
    "auth_identity",
    "require_tls",
    "tls_config",
    "force_implicit_tls",
    "headers",
    "html",
    "text",
    "threading",
];

/// Keys of `global`.
pub(crate) const GLOBALS: &[&str] = &[
    "smtp_from",
    "smtp_hello",
    "smtp_smarthost",
    "smtp_auth_username",
    "smtp_auth_password",
    "smtp_auth_password_file",
    "smtp_auth_secret",
    "smtp_auth_secret_file",
    "smtp_auth_identity",
    "smtp_require_tls",
    "smtp_tls_config",
    "smtp_force_implicit_tls",
];

/// Reads keys of a receiver, or else their global twins.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a> {
    pub(crate) node: &'a Node,
    pub(crate) global: &'a Node,
}

impl<'a> Reader<'a> {
    /// The value of a key, wherever it is set.
    pub(crate) fn get(&self, key: &str) -> Option<&'a Node> {
        let filled = |node: &'a Node, key: &str| node.get(key).filter(|value| !value.is_null());
        filled(self.node, key).or_else(|| filled(self.global, &format!("smtp_{key}")))
    }

    /// A text.
    pub(crate) fn text(&self, key: &str) -> Result<Option<&'a str>, ConfigError> {
        self.get(key).map(Node::text).transpose()
    }

    /// A yes or no.
    pub(crate) fn flag(&self, key: &str) -> Result<Option<bool>, ConfigError> {
        self.get(key).map(Node::read).transpose()
    }

    /// A secret, in the configuration or in a file.
    pub(crate) fn secret(&self, key: &str) -> Result<Option<SecretSource>, ConfigError> {
        match SecretSource::of(self.node, key)? {
            Some(own) => Ok(Some(own)),
            None => SecretSource::of(self.global, &format!("smtp_{key}")),
        }
    }

    /// An error that says where a missing key can be set.
    pub(crate) fn missing(&self, key: &str) -> ConfigError {
        self.node.error(format!("key {key:?} is missing, here or as \"smtp_{key}\" in \"global\""))
    }
}
