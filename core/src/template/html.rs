//! A page being written, that knows where in it the next value goes.
//!
//! Go's html/template escapes each value by its surroundings; here the literal text is followed as
//! it is written, and a value takes the escape of the place reached. It must not know templates.

use super::escape;
use super::exec::Output;
use super::value::{Trust, Value};

/// Where in the page the next character goes.
#[derive(Clone, Debug, PartialEq)]
enum Place {
    /// Between tags.
    Text,
    /// Inside `<!-- -->`, which is not sent.
    Comment,
    /// Right behind `<`.
    TagName,
    /// In a tag, before the next attribute.
    Tag,
    /// In the name of an attribute.
    Name,
    /// Behind the name of an attribute.
    AfterName,
    /// Behind `=`.
    BeforeValue,
    /// In the value of an attribute; the quote that ends it, or none.
    Value(Option<char>),
    /// In an element whose content is no markup: `script`, `style`, `title`, `textarea`.
    Raw,
}

/// HTML output.
#[derive(Debug)]
pub(super) struct Html {
    out: String,
    place: Place,
    /// Name of the tag being read, or of the element whose raw content is.
    tag: String,
    attribute: String,
    /// What the attribute's value has so far.
    value: String,
    /// The end of what was read, as long as it may begin something.
    tail: String,
}

/// What a value of an attribute means.
#[derive(Clone, Copy, PartialEq)]
enum Meaning {
    Plain,
    Url,
    Style,
    Script,
}

impl Html {
    pub(super) fn new() -> Self {
        Html {
            out: String::new(),
            place: Place::Text,
            tag: String::new(),
            attribute: String::new(),
            value: String::new(),
            tail: String::new(),
        }
    }

    fn step(&mut self, c: char) {
        match &self.place {
            Place::Text => return self.in_text(c),
            Place::Comment => {
                self.tail.push(c);
                if self.tail.ends_with("-->") {
                    self.enter(Place::Text);
                } else if !self.tail.starts_with('-') || self.tail.len() > 2 {
                    self.tail.remove(0);
                }
                return;
            }
            Place::Raw => self.in_raw(c),
            Place::TagName => match c {
                '>' => self.end_tag(),
                c if c.is_whitespace() => self.enter(Place::Tag),
                '/' if !self.tag.is_empty() => self.enter(Place::Tag),
                c => self.tag.push(c.to_ascii_lowercase()),
            },
            Place::Tag | Place::Name | Place::AfterName => self.in_tag(c),
            Place::BeforeValue => match c {
                '"' | '\'' => self.begin_value(Some(c)),
                '>' => self.end_tag(),
                c if c.is_whitespace() => {}
                c => {
                    self.begin_value(None);
                    self.value.push(c);
                }
            },
            Place::Value(Some(quote)) if *quote == c => self.enter(Place::Tag),
            Place::Value(None) if c == '>' => self.end_tag(),
            Place::Value(None) if c.is_whitespace() => self.enter(Place::Tag),
            Place::Value(_) => self.value.push(c),
        }
        self.out.push(c);
    }

    fn enter(&mut self, place: Place) {
        self.place = place;
        self.tail.clear();
    }

    /// A `<` waits in the tail until what follows tells a tag from a comment from a mere sign.
    fn in_text(&mut self, c: char) {
        self.tail.push(c);
        if "<!--".starts_with(&self.tail) {
            if self.tail.len() == 4 {
                self.enter(Place::Comment);
            }
            return;
        }
        let tail = std::mem::take(&mut self.tail);
        if let Some(rest) = tail.strip_prefix('<')
            && rest.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '/' | '!' | '?'))
        {
            self.out.push('<');
            self.tag.clear();
            self.enter(Place::TagName);
            rest.chars().for_each(|c| self.step(c));
            return;
        }
        // The last character may itself begin a tag.
        if c == '<' && tail.len() > 1 {
            self.out.push_str(&tail[..tail.len() - 1]);
            self.tail.push(c);
            return;
        }
        self.out.push_str(&tail);
    }

    fn in_tag(&mut self, c: char) {
        match c {
            '>' => self.end_tag(),
            '=' if self.place != Place::Tag => self.enter(Place::BeforeValue),
            c if c.is_whitespace() => {
                if self.place == Place::Name {
                    self.enter(Place::AfterName);
                }
            }
            '/' => self.enter(Place::Tag),
            c => {
                if self.place != Place::Name {
                    self.attribute.clear();
                    self.enter(Place::Name);
                }
                self.attribute.push(c.to_ascii_lowercase());
            }
        }
    }

    fn in_raw(&mut self, c: char) {
        if c == '<' {
            self.tail.clear();
        }
        self.tail.push(c.to_ascii_lowercase());
        let ends = self.tail.strip_prefix("</").is_some_and(|name| name == self.tag);
        if ends {
            self.tag.insert(0, '/');
            self.enter(Place::Tag);
        } else if self.tail.len() > self.tag.len() + 2 {
            self.tail.clear();
        }
    }

    fn end_tag(&mut self) {
        let raw = ["script", "style", "title", "textarea"].contains(&self.tag.as_str());
        self.enter(if raw { Place::Raw } else { Place::Text });
    }

    fn begin_value(&mut self, quote: Option<char>) {
        self.value.clear();
        self.enter(Place::Value(quote));
    }

    fn meaning(&self) -> Meaning {
        let name = self.attribute.rsplit(':').next().unwrap_or_default();
        let name = name.strip_prefix("data-").unwrap_or(name);
        match name {
            "style" => Meaning::Style,
            "srcdoc" | "srcset" => Meaning::Script,
            name if name.starts_with("on") => Meaning::Script,
            "action" | "background" | "cite" | "classid" | "codebase" | "data" | "formaction"
            | "href" | "icon" | "longdesc" | "manifest" | "poster" | "profile" | "src"
            | "usemap" | "xmlns" | "archive" => Meaning::Url,
            name if name.contains("src") || name.contains("uri") || name.contains("url") => {
                Meaning::Url
            }
            _ => Meaning::Plain,
        }
    }

    /// The text of a value for the attribute it stands in, before the attribute's own escape.
    fn for_attribute(&mut self, text: &str, trust: Trust) -> Result<String, String> {
        let made = match self.meaning() {
            Meaning::Script => return Err(UNSUPPORTED.into()),
            Meaning::Style => escape::css(text),
            Meaning::Plain if trust == Trust::Html => escape::strip_tags(text),
            Meaning::Plain => text.to_owned(),
            // The scheme is open as long as what stands before cannot have closed it.
            Meaning::Url if self.value.contains(['?', '#']) => escape::url_part(text),
            Meaning::Url if trust == Trust::Url => escape::url(text),
            Meaning::Url if escape::is_safe_url(&format!("{}{text}", self.value.trim())) => {
                escape::url(text)
            }
            Meaning::Url => format!("#{}", escape::REFUSED),
        };
        self.value.push_str(&made);
        Ok(made)
    }
}

/// JavaScript is no content of a notification; escaping for it is not needed, refusing is safe.
const UNSUPPORTED: &str = "a value inside a script is not supported";

impl Output for Html {
    fn literal(&mut self, text: &str) {
        text.chars().for_each(|c| self.step(c));
    }

    fn value(&mut self, value: &Value) -> Result<(), String> {
        let trust = if let Value::Text(_, trust) = value { *trust } else { Trust::None };
        // html/template writes nothing for nothing.
        let text = if matches!(value, Value::Nil) { String::new() } else { value.shown() };
        if self.place == Place::Text {
            let tail = std::mem::take(&mut self.tail);
            self.out.push_str(&tail.replace('<', "&lt;"));
        }
        if self.place == Place::BeforeValue {
            self.begin_value(None);
        }
        let made = match self.place.clone() {
            Place::Comment => return Ok(()),
            Place::Text if trust == Trust::Html => text,
            Place::Text => escape::html(&text),
            Place::Raw => match self.tag.as_str() {
                "script" => return Err(UNSUPPORTED.into()),
                "style" => escape::css(&text),
                _ if trust == Trust::Html => escape::quotes_only(&text),
                _ => escape::html(&text),
            },
            Place::TagName | Place::Tag | Place::Name | Place::AfterName => {
                if self.place != Place::Name {
                    self.attribute.clear();
                    self.place = Place::Name;
                }
                escape::attribute_name(&text)
            }
            Place::Value(quote) => {
                let plain = self.meaning() == Meaning::Plain;
                let made = self.for_attribute(&text, trust)?;
                match quote {
                    Some(_) if trust == Trust::Html && plain => escape::quotes_only(&made),
                    Some(_) => escape::html(&made),
                    None => escape::unquoted(&made),
                }
            }
            // Left above, with the value begun.
            Place::BeforeValue => String::new(),
        };
        self.out.push_str(&made);
        Ok(())
    }

    fn len(&self) -> usize {
        self.out.len()
    }

    fn finish(self: Box<Self>) -> String {
        let pending = if self.place == Place::Text { self.tail } else { String::new() };
        self.out + &pending
    }
}
