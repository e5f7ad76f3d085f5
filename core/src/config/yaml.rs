//! YAML text to nodes and back; the only file that names the YAML crate.
//!
//! The parser's events are turned into our own tree because every later error must name a line,
//! and because Go's reading of an empty scalar (the empty text) has to survive. It must not know
//! what any key means.

use std::collections::HashMap;
use std::sync::Arc;

use granit_parser::{Event, Marker, Parser, ScalarStyle};

use super::{ConfigError, Entry, Node, Place, Value};

/// Deeper than any sane file; keeps recursion off the end of the stack.
const DEPTH_LIMIT: usize = 64;
/// Aliases may copy nodes: a bomb of nine lines would otherwise fill the memory.
const NODE_LIMIT: usize = 2_000_000;

/// Parses the first document of `text`; an empty text is [`Value::Null`].
///
/// Merge keys (`<<`) are followed, repeated keys refused.
///
/// # Errors
/// With the place where the text stops being YAML, repeats a key, nests deeper than 64 levels
/// or expands to more than two million nodes.
pub fn parse(file: &str, text: &str) -> Result<Node, ConfigError> {
    let file: Arc<str> = file.into();
    let mut builder = Builder {
        events: Parser::new_from_str(text),
        file,
        anchors: HashMap::new(),
        nodes: 0,
        end: false,
    };
    builder.document()
}

struct Builder<'t> {
    events: Parser<'t, granit_parser::StrInput<'t>>,
    file: Arc<str>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
    end: bool,
}

impl<'t> Builder<'t> {
    fn document(&mut self) -> Result<Node, ConfigError> {
        loop {
            let (event, mark) = self.next()?;
            match event {
                Event::StreamStart | Event::DocumentStart(..) => {}
                Event::StreamEnd | Event::DocumentEnd => return Ok(Node::null(self.file.clone())),
                other => {
                    let node = self.node(other, mark, 0)?;
                    return Ok(node);
                }
            }
        }
    }

    fn next(&mut self) -> Result<(Event<'t>, Marker), ConfigError> {
        if self.end {
            return Err(ConfigError::new(Place::file(self.file.clone()), "unexpected end"));
        }
        match self.events.next_event() {
            Some(Ok((event, span))) => {
                self.end = matches!(event, Event::StreamEnd);
                Ok((event, span.start))
            }
            Some(Err(error)) => Err(ConfigError::new(
                self.place(*error.marker()),
                format!("not valid YAML: {}", error.info()),
            )),
            None => Err(ConfigError::new(Place::file(self.file.clone()), "unexpected end")),
        }
    }

    fn place(&self, mark: Marker) -> Place {
        Place { file: self.file.clone(), line: mark.line(), column: mark.col() + 1 }
    }

    fn node(&mut self, event: Event<'t>, mark: Marker, depth: usize) -> Result<Node, ConfigError> {
        let place = self.place(mark);
        if depth > DEPTH_LIMIT {
            return Err(ConfigError::new(
                place,
                format!("nested deeper than {DEPTH_LIMIT} levels"),
            ));
        }
        self.count(1, &place)?;
        let (value, anchor) = match event {
            Event::Scalar(text, style, anchor, _) => (scalar(&text, style), anchor),
            Event::SequenceStart(_, anchor, _) => (self.sequence(depth)?, anchor),
            Event::MappingStart(_, anchor, _) => (self.mapping(depth)?, anchor),
            Event::Alias(id) => return self.alias(id, &place),
            _ => return Err(ConfigError::new(place, "not valid YAML: a value was expected")),
        };
        let node = Node { place, value };
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn count(&mut self, more: usize, place: &Place) -> Result<(), ConfigError> {
        self.nodes += more;
        if self.nodes > NODE_LIMIT {
            return Err(ConfigError::new(place.clone(), "too many nodes (do aliases multiply?)"));
        }
        Ok(())
    }

    fn alias(&mut self, id: usize, place: &Place) -> Result<Node, ConfigError> {
        let node =
            self.anchors.get(&id).cloned().ok_or_else(|| {
                ConfigError::new(place.clone(), "this alias has no anchor before it")
            })?;
        self.count(size(&node), place)?;
        Ok(node)
    }

    fn sequence(&mut self, depth: usize) -> Result<Value, ConfigError> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(Value::Seq(items)),
                (event, mark) => items.push(self.node(event, mark, depth + 1)?),
            }
        }
    }

    fn mapping(&mut self, depth: usize) -> Result<Value, ConfigError> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut seen = HashMap::new();
        let mut merged = Vec::new();
        loop {
            let (event, mark) = self.next()?;
            if event == Event::MappingEnd {
                break;
            }
            let key = self.node(event, mark, depth + 1)?;
            let (event, mark) = self.next()?;
            let value = self.node(event, mark, depth + 1)?;
            let place = key.place.clone();
            match key.value {
                Value::Scalar { text, plain: true } if text == "<<" => merged.push(value),
                Value::Scalar { text, .. } => {
                    if let Some(line) = seen.insert(text.clone(), place.line) {
                        let what = format!("key {text:?} stands already on line {line}");
                        return Err(ConfigError::new(place, what));
                    }
                    entries.push(Entry { place, key: text, value });
                }
                Value::Null => entries.push(Entry { place, key: String::new(), value }),
                _ => return Err(ConfigError::new(place, "a key must be a text")),
            }
        }
        for node in merged {
            merge(&mut entries, node)?;
        }
        Ok(Value::Map(entries))
    }
}

/// Adds what `node` has and `entries` has not (YAML 1.1 merge key).
fn merge(entries: &mut Vec<Entry>, node: Node) -> Result<(), ConfigError> {
    match node.value {
        Value::Map(more) => {
            for entry in more {
                if !entries.iter().any(|known| known.key == entry.key) {
                    entries.push(entry);
                }
            }
            Ok(())
        }
        Value::Seq(items) => items.into_iter().try_for_each(|item| merge(entries, item)),
        _ => Err(node.error("a merge key takes a map")),
    }
}

fn scalar(text: &str, style: ScalarStyle) -> Value {
    let plain = matches!(style, ScalarStyle::Plain);
    if plain && matches!(text, "" | "~" | "null" | "Null" | "NULL") {
        return Value::Null;
    }
    Value::Scalar { text: text.to_owned(), plain }
}

fn size(node: &Node) -> usize {
    1 + match &node.value {
        Value::Seq(items) => items.iter().map(size).sum(),
        Value::Map(entries) => entries.iter().map(|e| size(&e.value)).sum(),
        _ => 0,
    }
}

/// Writes a node as block YAML that [`parse`] and Go's yaml read back equal.
#[must_use]
pub fn write(node: &Node) -> String {
    let mut out = String::new();
    write_node(&mut out, node, 0, false);
    out
}

fn write_node(out: &mut String, node: &Node, indent: usize, inline: bool) {
    match &node.value {
        Value::Null => out.push_str("null\n"),
        Value::Scalar { text, plain } => {
            write_text(out, text, *plain);
            out.push('\n');
        }
        Value::Seq(items) if items.is_empty() => out.push_str("[]\n"),
        Value::Map(entries) if entries.is_empty() => out.push_str("{}\n"),
        Value::Seq(items) => {
            for (i, item) in items.iter().enumerate() {
                pad(out, indent, inline && i == 0);
                out.push_str("- ");
                write_node(out, item, indent + 2, true);
            }
        }
        Value::Map(entries) => {
            for (i, entry) in entries.iter().enumerate() {
                pad(out, indent, inline && i == 0);
                write_text(out, &entry.key, true);
                let nested = match &entry.value.value {
                    Value::Seq(items) => !items.is_empty(),
                    Value::Map(entries) => !entries.is_empty(),
                    _ => false,
                };
                out.push_str(if nested { ":\n" } else { ": " });
                write_node(out, &entry.value, indent + 2, false);
            }
        }
    }
}

fn pad(out: &mut String, indent: usize, skip: bool) {
    if !skip {
        out.extend(std::iter::repeat_n(' ', indent));
    }
}

/// Plain where no reader could take it for anything else, else a JSON string, which is YAML.
fn write_text(out: &mut String, text: &str, plain: bool) {
    let simple = !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'/' | b'.' | b'-'))
        && !text.starts_with(['-', '.'])
        && (plain || super::de::plain_to_json(text).is_string())
        && !matches!(scalar(text, ScalarStyle::Plain), Value::Null);
    if simple {
        out.push_str(text);
    } else {
        out.push_str(&serde_json::Value::from(text).to_string());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn error(text: &str) -> String {
        parse("f.yml", text).unwrap_err().to_string()
    }

    #[test]
    fn places_are_those_of_the_text() {
        let node =
            parse("f.yml", "route:\n  receiver: team\n  routes:\n    - match: {a: b}\n").unwrap();
        let routes = node.get("route").unwrap().get("routes").unwrap();
        let matcher = routes.items().unwrap()[0].get("match").unwrap();
        assert_eq!(matcher.place.to_string(), "f.yml:4:14");
    }

    #[test]
    fn repeated_keys_and_broken_text_name_their_line() {
        assert_eq!(error("a: 1\nb: 2\na: 3\n"), "f.yml:3:1: key \"a\" stands already on line 1");
        assert!(error("a: [1, 2\nb: 3\n").starts_with("f.yml:"));
        assert!(error(&"[".repeat(200)).starts_with("f.yml:"));
    }

    #[test]
    fn aliases_and_merge_keys_are_followed() {
        let node =
            parse("f", "base: &b {x: 1, y: 2}\nmore:\n  <<: *b\n  y: 3\nagain: *b\n").unwrap();
        let more = node.get("more").unwrap();
        assert_eq!(more.get("x").unwrap().text().unwrap(), "1");
        assert_eq!(more.get("y").unwrap().text().unwrap(), "3");
        assert!(error("a: *nowhere\n").starts_with("f.yml:1"));
    }

    #[test]
    fn an_alias_bomb_is_refused() {
        let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for i in 1..10 {
            let p = i - 1;
            let refs = vec![format!("*a{p}"); 10].join(", ");
            text.push_str(&format!("a{i}: &a{i} [{refs}]\n"));
        }
        assert!(error(&text).contains("too many nodes"));
    }

    #[test]
    fn empty_text_is_nothing() {
        assert!(parse("f", "").unwrap().is_null());
        assert!(parse("f", "# only a comment\n").unwrap().is_null());
        assert!(parse("f", "---\n").unwrap().is_null());
    }

    #[test]
    fn what_is_written_reads_back() {
        let text =
            "a: 1\nb: \"1\"\nc: [x, {d: e, f: [1, 2]}, []]\ng: {}\nh: \"no: \\n\"\ni: null\n";
        let node = parse("f", text).unwrap();
        let again = parse("f", &write(&node)).unwrap();
        assert_eq!(again.to_json(), node.to_json());
    }

    proptest! {
        #[test]
        fn any_text_is_an_answer(text in "[-a: \\[\\]{}&*<|>\"'\n#?!,%]{0,60}") {
            let _ = parse("f", &text);
        }
    }
}
