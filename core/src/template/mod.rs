//! Go templates for notifications: Alertmanager's data, functions and default templates.
//!
//! Every notifier writes its texts through it, so that users' template files work unchanged. It
//! must not know any notifier.

mod data;
mod escape;
mod exec;
mod funcs;
mod html;
mod lex;
mod member;
mod parse;
mod printf;
mod time;
mod value;

use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use exec::{Output, Plain, Set};
use lex::Pos;
use parse::{Body, Node, Parsed};

use crate::config::{ConfigError, Place, read_bounded};
use crate::notify::Notification;

/// The templates every set begins with, under Alertmanager's names.
const DEFAULTS: [(&str, &str); 2] =
    [("default.tmpl", include_str!("default.tmpl")), ("email.tmpl", include_str!("email.tmpl"))];

/// A larger template file is a mistake.
const MAX_FILE: u64 = 1 << 20;

/// A set of named templates: the defaults and what users added. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Templates {
    set: Arc<Set>,
}

impl Default for Templates {
    fn default() -> Self {
        static SET: LazyLock<Arc<Set>> = LazyLock::new(|| {
            let mut set = Set::new();
            for (_, text) in DEFAULTS {
                // A test proves that they parse.
                set.extend(read(text).map(|parsed| parsed.defined).unwrap_or_default());
            }
            Arc::new(set)
        });
        Templates { set: SET.clone() }
    }
}

impl Templates {
    /// The defaults and the definitions of `files`, the later one of a name counting.
    ///
    /// # Errors
    /// For a file that cannot be read, is larger than 1 MiB or is no template, with its line.
    pub fn load(files: impl IntoIterator<Item = PathBuf>) -> Result<Self, ConfigError> {
        let mut set = Set::clone(&Templates::default().set);
        for path in files {
            let file = path.display().to_string();
            let text = read_file(&path)
                .map_err(|what| ConfigError::new(Place::file(file.as_str()), what))?;
            let parsed = read(&text).map_err(|error| {
                let place =
                    Place { file: file.as_str().into(), line: error.line, column: error.column };
                ConfigError::new(place, error.what)
            })?;
            if let Some(name) = path.file_name().and_then(|name| name.to_str()) {
                set.insert(name.into(), Arc::new(parsed.body));
            }
            set.extend(parsed.defined);
        }
        Ok(Templates { set: Arc::new(set) })
    }

    /// Renders a template as plain text.
    ///
    /// # Errors
    /// When it is no template, fails on this data, or goes beyond the limits: 4 MiB of text, four
    /// million steps, 120 levels.
    pub fn text(
        &self,
        template: &str,
        notification: &Notification,
    ) -> Result<String, TemplateError> {
        self.run(template, notification, Box::new(Plain::default()))
    }

    /// Renders a template as HTML: each value is escaped for the place it stands in.
    ///
    /// # Errors
    /// As [`Templates::text`], and for a value inside a script.
    pub fn html(
        &self,
        template: &str,
        notification: &Notification,
    ) -> Result<String, TemplateError> {
        self.run(template, notification, Box::new(html::Html::new()))
    }

    /// Whether a template can be rendered at all: its syntax is right, and each function, variable
    /// and template it reaches exists. Fields are only known when it runs.
    ///
    /// # Errors
    /// At the first place that is wrong.
    pub fn check(&self, template: &str) -> Result<(), TemplateError> {
        let parsed = read(template)?;
        let mut called = Vec::new();
        templates_in(&parsed.body, None, &mut called);
        let mut at = 0;
        while let Some(Called { name, pos, within }) = called.get(at).copied() {
            at += 1;
            if called[..at - 1].iter().any(|before| before.name == name) {
                continue;
            }
            let found = parsed.defined.get(name).or_else(|| self.set.get(name));
            let Some(found) = found else {
                let error = pos.error(format!("template {name:?} not defined"));
                return Err(within.into_iter().fold(error, TemplateError::within));
            };
            templates_in(found, Some(name), &mut called);
        }
        Ok(())
    }

    fn run(
        &self,
        template: &str,
        notification: &Notification,
        output: Box<dyn Output>,
    ) -> Result<String, TemplateError> {
        // What most configurations leave as it is needs no engine.
        if !template.contains("{{") {
            return Ok(template.to_owned());
        }
        let parsed = read(template)?;
        let now = time::utc(notification.now);
        let data = data::data(notification);
        exec::run(&parsed.body, [&parsed.defined, &self.set], &data, &now, output)
    }
}

fn read(text: &str) -> Result<Parsed, TemplateError> {
    parse::parse(text, |name| funcs::find(name).is_some())
}

fn read_file(path: &Path) -> Result<String, String> {
    let bytes = read_bounded(path, MAX_FILE)?;
    String::from_utf8(bytes).map_err(|_| "not UTF-8".to_owned())
}

/// A `{{template "name"}}`, and the named template it stands in.
#[derive(Clone, Copy)]
struct Called<'a> {
    name: &'a str,
    pos: Pos,
    within: Option<&'a str>,
}

/// Adds the templates that a body calls.
fn templates_in<'a>(body: &'a Body, within: Option<&'a str>, called: &mut Vec<Called<'a>>) {
    for node in body {
        match node {
            Node::Template { name, pos, .. } => called.push(Called { name, pos: *pos, within }),
            Node::If { then, otherwise, .. }
            | Node::With { then, otherwise, .. }
            | Node::Range { body: then, otherwise, .. } => {
                templates_in(then, within, called);
                templates_in(otherwise, within, called);
            }
            Node::Text(_) | Node::Action(_) | Node::Break | Node::Continue => {}
        }
    }
}

/// Why a template cannot be read or rendered, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateError {
    /// The named template it happened in; none in the text itself.
    pub template: Option<String>,
    /// Line in that template's text, from 1; 0 when the whole is meant.
    pub line: usize,
    /// Column, from 1.
    pub column: usize,
    /// What is wrong.
    pub what: String,
}

impl TemplateError {
    fn new(pos: Pos, what: impl Into<String>) -> Self {
        let (line, column) = (pos.line, pos.column);
        TemplateError { template: None, line, column, what: what.into() }
    }

    /// The innermost template counts.
    fn within(mut self, name: &str) -> Self {
        self.template.get_or_insert_with(|| name.to_owned());
        self
    }
}

impl std::fmt::Display for TemplateError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(name) = &self.template {
            write!(f, "template {name:?}: ")?;
        }
        if self.line > 0 {
            write!(f, "{}:{}: ", self.line, self.column)?;
        }
        f.write_str(&self.what)
    }
}

impl std::error::Error for TemplateError {}

#[cfg(test)]
mod tests;
