//! Nodes as a serde data format, with the place of whatever does not fit.
//!
//! serde knows what a type expects, a node knows where it stands; an error here joins both. It
//! must not know any configuration type.

use serde::de::{self, DeserializeOwned, IntoDeserializer, Visitor};

use super::{ConfigError, Entry, Node, Place, Value, nearest};

pub(super) fn read<T: DeserializeOwned>(node: &Node) -> Result<T, ConfigError> {
    T::deserialize(Reader(node)).map_err(|error| {
        ConfigError::new(error.place.unwrap_or_else(|| node.place.clone()), error.what)
    })
}

/// What a plain scalar means to a reader without a wish of its own.
pub(super) fn plain_to_json(text: &str) -> serde_json::Value {
    if let Some(value) = parse_bool(text) {
        return value.into();
    }
    if let Ok(value) = text.parse::<i64>() {
        return value.into();
    }
    // `inf` and `nan` are words to a user, and JSON has no such numbers.
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() && text.bytes().any(|b| b.is_ascii_digit()) => value.into(),
        _ => text.into(),
    }
}

/// As Go's YAML reads them, so that `yes` in an old file stays a yes.
fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "true" | "True" | "TRUE" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => Some(true),
        "false" | "False" | "FALSE" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => Some(false),
        _ => None,
    }
}

#[derive(Debug)]
struct Error {
    place: Option<Place>,
    what: String,
}

impl Error {
    /// The innermost place counts.
    fn at(mut self, place: &Place) -> Self {
        self.place.get_or_insert_with(|| place.clone());
        self
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for Error {}

impl de::Error for Error {
    fn custom<T: std::fmt::Display>(what: T) -> Self {
        Error { place: None, what: what.to_string() }
    }

    fn invalid_type(found: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Error::custom(format!("expected {expected}, found {}", kind(&found)))
    }

    // The value stays unsaid: it may be a secret in the wrong place.
    fn invalid_value(found: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Error::custom(format!("expected {expected}, found another {}", kind(&found)))
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        let place = Place::file("");
        let what = ConfigError::unknown_key(place, field, expected.iter().copied()).what;
        Error { place: None, what }
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        let meant = nearest(variant, expected.iter().copied())
            .map(|meant| format!("; did you mean {meant:?}?"))
            .unwrap_or_default();
        Error::custom(format!("expected one of {}{meant}", expected.join(", ")))
    }

    fn missing_field(field: &'static str) -> Self {
        Error::custom(format!("key {field:?} is missing"))
    }
}

fn kind(found: &de::Unexpected<'_>) -> &'static str {
    match found {
        de::Unexpected::Bool(_) => "a yes or no",
        de::Unexpected::Unsigned(_) | de::Unexpected::Signed(_) => "a whole number",
        de::Unexpected::Float(_) => "a number",
        de::Unexpected::Unit | de::Unexpected::Option => "nothing",
        de::Unexpected::Seq => "a list",
        de::Unexpected::Map => "a map",
        _ => "a text",
    }
}

impl Node {
    fn wrong(&self, expected: &str) -> Error {
        let what = format!("expected {expected}, found {}", self.kind());
        Error { place: Some(self.place.clone()), what }
    }

    fn number<T: std::str::FromStr>(&self, expected: &str) -> Result<T, Error> {
        match &self.value {
            Value::Scalar { text, .. } => text.replace('_', "").parse().map_err(|_| Error {
                place: Some(self.place.clone()),
                what: format!("expected {expected}"),
            }),
            _ => Err(self.wrong(expected)),
        }
    }
}

macro_rules! numbers {
    ($($method:ident $visit:ident $type:ty, $expected:literal;)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            visitor.$visit(self.0.number::<$type>($expected)?)
        })*
    };
}

/// A node being read.
#[derive(Clone, Copy)]
struct Reader<'de>(&'de Node);

impl<'de> de::Deserializer<'de> for Reader<'de> {
    type Error = Error;

    numbers! {
        deserialize_i8 visit_i8 i8, "a whole number from -128 to 127";
        deserialize_i16 visit_i16 i16, "a whole number";
        deserialize_i32 visit_i32 i32, "a whole number";
        deserialize_i64 visit_i64 i64, "a whole number";
        deserialize_u8 visit_u8 u8, "a whole number from 0 to 255";
        deserialize_u16 visit_u16 u16, "a whole number from 0 to 65535";
        deserialize_u32 visit_u32 u32, "a whole number from 0";
        deserialize_u64 visit_u64 u64, "a whole number from 0";
        deserialize_f32 visit_f32 f32, "a number";
        deserialize_f64 visit_f64 f64, "a number";
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.0.value {
            Value::Null => visitor.visit_unit(),
            Value::Scalar { text, plain: false } => visitor.visit_str(text),
            Value::Scalar { text, plain: true } => match plain_to_json(text) {
                serde_json::Value::Bool(value) => visitor.visit_bool(value),
                serde_json::Value::Number(n) => match (n.as_u64(), n.as_i64(), n.as_f64()) {
                    (Some(value), ..) => visitor.visit_u64(value),
                    (_, Some(value), _) => visitor.visit_i64(value),
                    (.., value) => visitor.visit_f64(value.unwrap_or(f64::NAN)),
                },
                _ => visitor.visit_str(text),
            },
            Value::Seq(_) => self.deserialize_seq(visitor),
            Value::Map(_) => self.deserialize_map(visitor),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.0.value {
            Value::Scalar { text, .. } => match parse_bool(text) {
                Some(value) => visitor.visit_bool(value),
                None => Err(self.0.wrong("true or false")),
            },
            _ => Err(self.0.wrong("true or false")),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.0.value {
            Value::Scalar { text, .. } => visitor.visit_borrowed_str(text),
            Value::Null => visitor.visit_borrowed_str(""),
            _ => Err(self.0.wrong("a text")),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.0.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.0.is_null() { visitor.visit_unit() } else { Err(self.0.wrong("nothing")) }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.0.value {
            Value::Seq(items) => visitor.visit_seq(Items(items.iter())),
            Value::Null => visitor.visit_seq(Items([].iter())),
            _ => Err(self.0.wrong("a list")),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        _len: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _len: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.0.value {
            Value::Map(entries) => visitor.visit_map(Entries { rest: entries.iter(), value: None }),
            Value::Null => visitor.visit_map(Entries { rest: [].iter(), value: None }),
            _ => Err(self.0.wrong("a map")),
        }
        .map_err(|error: Error| error.at(&self.0.place))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_map(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match &self.0.value {
            Value::Scalar { text, .. } => visitor
                .visit_enum(text.as_str().into_deserializer())
                .map_err(|error: Error| error.at(&self.0.place)),
            _ => Err(self.0.wrong("a word")),
        }
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }
}

struct Items<'de>(std::slice::Iter<'de, Node>);

impl<'de> de::SeqAccess<'de> for Items<'de> {
    type Error = Error;

    fn next_element_seed<T: de::DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Error> {
        let Some(node) = self.0.next() else { return Ok(None) };
        seed.deserialize(Reader(node)).map(Some).map_err(|error| error.at(&node.place))
    }
}

struct Entries<'de> {
    rest: std::slice::Iter<'de, Entry>,
    value: Option<&'de Node>,
}

impl<'de> de::MapAccess<'de> for Entries<'de> {
    type Error = Error;

    fn next_key_seed<K: de::DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Error> {
        let Some(entry) = self.rest.next() else { return Ok(None) };
        self.value = Some(&entry.value);
        let key = de::value::BorrowedStrDeserializer::new(&entry.key);
        seed.deserialize(key).map(Some).map_err(|error: Error| error.at(&entry.place))
    }

    fn next_value_seed<V: de::DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        let Some(node) = self.value.take() else {
            return Err(de::Error::custom("a value was asked for before its key"));
        };
        seed.deserialize(Reader(node)).map_err(|error| error.at(&node.place))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use crate::config::{PromDuration, parse_yaml};

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Route {
        receiver: Option<String>,
        #[serde(default)]
        group_wait: Option<PromDuration>,
        #[serde(default)]
        labels: BTreeMap<String, String>,
        #[serde(default)]
        routes: Vec<Route>,
        #[serde(default)]
        r#continue: bool,
        #[serde(default)]
        max: u16,
    }

    fn read(text: &str) -> Result<Route, String> {
        let node = parse_yaml("a.yml", text).map_err(|e| e.to_string())?;
        node.read().map_err(|e| e.to_string())
    }

    #[test]
    fn scalars_become_what_the_type_wants() {
        let route =
            read("receiver: 42\nlabels: {a: , b: 1.50, c: yes}\ncontinue: yes\nmax: 7\n").unwrap();
        assert_eq!(route.receiver.as_deref(), Some("42"));
        assert_eq!(route.labels["a"], "", "an empty scalar is the empty text, as in Go");
        assert_eq!((route.labels["b"].as_str(), route.labels["c"].as_str()), ("1.50", "yes"));
        assert!(route.r#continue && route.max == 7);
    }

    #[test]
    fn errors_name_place_and_nearest_key() {
        for (text, expected) in [
            ("recever: x\n", "a.yml:1:1: unknown key \"recever\"; did you mean \"receiver\"?"),
            ("receiver: x\nroutes:\n  - group_wait: 5\n", "a.yml:3:17: not a valid duration"),
            ("receiver: x\nmax: 70000\n", "a.yml:2:6: expected a whole number from 0 to 65535"),
            ("receiver: [x]\n", "a.yml:1:11: expected a text, found a list"),
            ("receiver: x\ncontinue: perhaps\n", "a.yml:2:11: expected true or false"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.starts_with(expected), "{error}");
        }
    }
}
