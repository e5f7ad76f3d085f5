//! Tokens to a tree.
//!
//! Go's grammar of actions and pipelines; functions and variables must exist here already, so that
//! a typing error is found when the configuration is read. It must not know any value.

use std::collections::HashMap;
use std::sync::Arc;

use super::TemplateError;
use super::lex::{Lexed, Pos, Token, lex};

/// Bodies inside bodies, parentheses inside parentheses: bounds the recursion of parser and
/// executor on a small stack.
const MAX_NESTING: usize = 60;

/// What a template does, in order.
pub(super) type Body = Vec<Node>;

/// One step of a body.
#[derive(Debug)]
pub(super) enum Node {
    Text(Arc<str>),
    Action(Pipe),
    If { pipe: Pipe, then: Body, otherwise: Body },
    With { pipe: Pipe, then: Body, otherwise: Body },
    Range { pipe: Pipe, body: Body, otherwise: Body },
    Template { name: Arc<str>, pipe: Option<Pipe>, pos: Pos },
    Break,
    Continue,
}

/// `$a := cmd | cmd`.
#[derive(Debug)]
pub(super) struct Pipe {
    pub(super) pos: Pos,
    /// Variables that take the value; two only in a range.
    pub(super) names: Vec<Arc<str>>,
    /// `=` instead of `:=`.
    pub(super) assign: bool,
    pub(super) commands: Vec<Command>,
}

/// An operand with its arguments.
#[derive(Debug)]
pub(super) struct Command {
    pub(super) pos: Pos,
    pub(super) head: Operand,
    pub(super) args: Vec<Operand>,
}

/// What may stand as an argument.
#[derive(Debug)]
pub(super) enum Operand {
    Nil,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(Arc<str>),
    Function(Arc<str>),
    /// A base and the fields behind it: `.`, `$x.Name`, `(pipe).Values`.
    Chain {
        base: Base,
        fields: Vec<Arc<str>>,
    },
}

/// What a chain of fields begins with.
#[derive(Debug)]
pub(super) enum Base {
    Dot,
    Variable(Arc<str>),
    Pipe(Box<Pipe>),
}

/// The templates of one text: its own body and those it defines.
#[derive(Debug, Default)]
pub(super) struct Parsed {
    pub(super) body: Body,
    pub(super) defined: HashMap<Arc<str>, Arc<Body>>,
}

/// Parses a text.
///
/// # Errors
/// Where it stops being a template, names a function that is not in `is_function` or a variable
/// that was not declared.
pub(super) fn parse(text: &str, is_function: fn(&str) -> bool) -> Result<Parsed, TemplateError> {
    let tokens = lex(text)?;
    let mut parser = Parser {
        tokens: tokens.iter().peekable(),
        pos: Pos { line: 1, column: 1 },
        variables: vec!["$".into()],
        depth: 0,
        loops: 0,
        defined: HashMap::new(),
        is_function,
    };
    let (body, end) = parser.body(true)?;
    match end {
        End::Text => Ok(Parsed { body, defined: parser.defined }),
        End::Else => Err(parser.pos.error("unexpected {{else}}")),
        End::Closed => Err(parser.pos.error("unexpected {{end}}")),
    }
}

/// What a body ended with.
#[derive(PartialEq)]
enum End {
    Text,
    /// `{{else`, the rest of the action unread.
    Else,
    Closed,
}

struct Parser<'t> {
    tokens: std::iter::Peekable<std::slice::Iter<'t, Lexed<'t>>>,
    /// Of the last token taken.
    pos: Pos,
    variables: Vec<Arc<str>>,
    depth: usize,
    loops: usize,
    defined: HashMap<Arc<str>, Arc<Body>>,
    is_function: fn(&str) -> bool,
}

impl<'t> Parser<'t> {
    fn next(&mut self) -> Option<Token<'t>> {
        let lexed = self.tokens.next()?;
        self.pos = lexed.pos;
        Some(lexed.token.clone())
    }

    fn peek(&mut self) -> Option<&'t Token<'t>> {
        self.tokens.peek().map(|lexed| &lexed.token)
    }

    fn accept(&mut self, token: &Token<'_>) -> bool {
        let there = self.peek() == Some(token);
        if there {
            self.next();
        }
        there
    }

    fn close(&mut self) -> Result<(), TemplateError> {
        if self.accept(&Token::Close) {
            return Ok(());
        }
        self.next();
        Err(self.pos.error("expected }}"))
    }

    fn deeper<T>(
        &mut self,
        inside: impl FnOnce(&mut Self) -> Result<T, TemplateError>,
    ) -> Result<T, TemplateError> {
        if self.depth == MAX_NESTING {
            return Err(self.pos.error(format!("nested deeper than {MAX_NESTING} levels")));
        }
        self.depth += 1;
        let result = inside(self);
        self.depth -= 1;
        result
    }

    fn body(&mut self, top: bool) -> Result<(Body, End), TemplateError> {
        let mut body = Body::new();
        loop {
            match self.next() {
                None => return Ok((body, End::Text)),
                Some(Token::Text(text)) => body.push(Node::Text(text.into())),
                _ => {
                    let word = match self.peek() {
                        Some(Token::Word(word)) => *word,
                        _ => "",
                    };
                    match word {
                        "end" => {
                            self.next();
                            self.close()?;
                            return Ok((body, End::Closed));
                        }
                        "else" => {
                            self.next();
                            return Ok((body, End::Else));
                        }
                        "define" if top => self.define()?,
                        _ => body.push(self.deeper(|parser| parser.action(word))?),
                    }
                }
            }
        }
    }

    fn action(&mut self, word: &'t str) -> Result<Node, TemplateError> {
        let pos = self.pos;
        match word {
            "if" | "with" | "range" => {
                self.next();
                self.control(word)
            }
            "template" => {
                self.next();
                self.template(pos)
            }
            "block" => {
                self.next();
                self.block(pos)
            }
            "break" | "continue" => {
                self.next();
                self.close()?;
                if self.loops == 0 {
                    return Err(pos.error(format!("{{{{{word}}}}} outside {{{{range}}}}")));
                }
                Ok(if word == "break" { Node::Break } else { Node::Continue })
            }
            "define" => Err(pos.error("{{define}} must stand outside any other action")),
            _ => {
                let pipe = self.pipe(1)?;
                self.close()?;
                Ok(Node::Action(pipe))
            }
        }
    }

    fn control(&mut self, word: &str) -> Result<Node, TemplateError> {
        let (start, scope) = (self.pos, self.variables.len());
        let range = word == "range";
        let pipe = self.pipe(if range { 2 } else { 1 })?;
        self.close()?;
        self.loops += usize::from(range);
        let (then, end) = self.body(false)?;
        self.loops -= usize::from(range);
        let otherwise = match end {
            End::Closed => Body::new(),
            End::Text => return Err(start.error(format!("unclosed {{{{{word}}}}}"))),
            End::Else => self.otherwise(word, start)?,
        };
        self.variables.truncate(scope);
        Ok(match word {
            "if" => Node::If { pipe, then, otherwise },
            "with" => Node::With { pipe, then, otherwise },
            _ => Node::Range { pipe, body: then, otherwise },
        })
    }

    /// What follows `{{else`; `{{else if x}}` is an if inside the else, sharing its end.
    fn otherwise(&mut self, word: &str, start: Pos) -> Result<Body, TemplateError> {
        let chained = match self.peek() {
            Some(Token::Word(next)) if *next == word && word != "range" => *next,
            _ => "",
        };
        if !chained.is_empty() {
            self.next();
            return Ok(vec![self.deeper(|parser| parser.control(chained))?]);
        }
        self.close()?;
        let (body, end) = self.body(false)?;
        match end {
            End::Closed => Ok(body),
            End::Text => Err(start.error(format!("unclosed {{{{{word}}}}}"))),
            End::Else => Err(self.pos.error("expected {{end}}, found another {{else}}")),
        }
    }

    fn template(&mut self, pos: Pos) -> Result<Node, TemplateError> {
        let name = self.template_name()?;
        let pipe = if self.peek() == Some(&Token::Close) { None } else { Some(self.pipe(1)?) };
        self.close()?;
        Ok(Node::Template { name, pipe, pos })
    }

    fn block(&mut self, pos: Pos) -> Result<Node, TemplateError> {
        let name = self.template_name()?;
        let pipe = Some(self.pipe(1)?);
        self.close()?;
        self.definition(&name, pos)?;
        Ok(Node::Template { name, pipe, pos })
    }

    fn define(&mut self) -> Result<(), TemplateError> {
        let pos = self.pos;
        self.next();
        let name = self.template_name()?;
        self.close()?;
        self.deeper(|parser| parser.definition(&name, pos))
    }

    /// A body of its own: it sees no variable and no loop of its surroundings.
    fn definition(&mut self, name: &Arc<str>, start: Pos) -> Result<(), TemplateError> {
        let variables = std::mem::replace(&mut self.variables, vec!["$".into()]);
        let loops = std::mem::take(&mut self.loops);
        let (body, end) = self.body(false)?;
        self.variables = variables;
        self.loops = loops;
        match end {
            End::Closed => {
                self.defined.insert(name.clone(), Arc::new(body));
                Ok(())
            }
            End::Text => Err(start.error(format!("unclosed definition of {name:?}"))),
            End::Else => Err(self.pos.error("unexpected {{else}} in a definition")),
        }
    }

    fn template_name(&mut self) -> Result<Arc<str>, TemplateError> {
        match self.next() {
            Some(Token::Quoted(name)) => Ok(name.into()),
            _ => Err(self.pos.error("expected the name of a template in quotes")),
        }
    }

    /// A pipeline up to `}}` or `)`, declaring at most `max` variables.
    fn pipe(&mut self, max: usize) -> Result<Pipe, TemplateError> {
        let pos = self.tokens.peek().map_or(self.pos, |lexed| lexed.pos);
        let (names, assign) = self.declaration(max)?;
        let mut commands = vec![self.command()?];
        while self.accept(&Token::Sign("|")) {
            commands.push(self.command()?);
        }
        if let Some(constant) = commands.iter().skip(1).find(|command| command.is_constant()) {
            return Err(constant.pos.error("a constant cannot follow |"));
        }
        if !assign {
            self.variables.extend(names.iter().cloned());
        }
        Ok(Pipe { pos, names, assign, commands })
    }

    /// `$x :=`, `$x =`, `$i, $x :=` or nothing.
    fn declaration(&mut self, max: usize) -> Result<(Vec<Arc<str>>, bool), TemplateError> {
        let mut ahead = self.tokens.clone();
        let mut names: Vec<Arc<str>> = Vec::new();
        let assign = loop {
            match ahead.next().map(|lexed| &lexed.token) {
                Some(Token::Variable(name)) => names.push((*name).into()),
                _ => return Ok((Vec::new(), false)),
            }
            match ahead.next().map(|lexed| &lexed.token) {
                Some(Token::Sign(":=")) => break false,
                Some(Token::Sign("=")) => break true,
                Some(Token::Sign(",")) => {}
                _ => return Ok((Vec::new(), false)),
            }
        };
        if names.len() > max {
            return Err(self.pos.error("too many variables in a declaration"));
        }
        self.tokens = ahead;
        if let Some(unknown) = names.iter().find(|name| assign && !self.variables.contains(name)) {
            return Err(self.pos.error(format!("undefined variable {unknown}")));
        }
        Ok((names, assign))
    }

    fn command(&mut self) -> Result<Command, TemplateError> {
        let pos = self.tokens.peek().map_or(self.pos, |lexed| lexed.pos);
        let head = self.operand()?;
        let mut args = Vec::new();
        loop {
            match self.peek() {
                None => return Err(self.pos.error("unclosed action")),
                Some(Token::Close | Token::Sign("|" | ")")) => break,
                Some(_) => args.push(self.operand()?),
            }
        }
        Ok(Command { pos, head, args })
    }

    fn operand(&mut self) -> Result<Operand, TemplateError> {
        let base = match self.next() {
            Some(Token::Dot) => Base::Dot,
            Some(Token::Field(name)) => {
                let mut fields = vec![name.into()];
                self.fields(&mut fields);
                return Ok(Operand::Chain { base: Base::Dot, fields });
            }
            Some(Token::Variable(name)) => {
                if !self.variables.iter().any(|known| known.as_ref() == name) {
                    return Err(self.pos.error(format!("undefined variable {name}")));
                }
                Base::Variable(name.into())
            }
            Some(Token::Sign("(")) => {
                let pipe = self.deeper(|parser| parser.pipe(1))?;
                if !self.accept(&Token::Sign(")")) {
                    return Err(self.pos.error("unclosed left parenthesis"));
                }
                Base::Pipe(Box::new(pipe))
            }
            Some(Token::Word(word)) => return self.word(word),
            Some(Token::Int(value)) => return Ok(Operand::Int(value)),
            Some(Token::Float(value)) => return Ok(Operand::Float(value)),
            Some(Token::Quoted(text)) => return Ok(Operand::Text(text.into())),
            Some(Token::Close) => return Err(self.pos.error("missing value")),
            _ => return Err(self.pos.error("unexpected sign in action")),
        };
        let mut fields = Vec::new();
        self.fields(&mut fields);
        Ok(Operand::Chain { base, fields })
    }

    /// `.B.C` right behind an operand.
    fn fields(&mut self, fields: &mut Vec<Arc<str>>) {
        while let Some(Lexed { token: Token::Field(name), spaced: false, .. }) = self.tokens.peek()
        {
            fields.push((*name).into());
            self.next();
        }
    }

    fn word(&mut self, word: &str) -> Result<Operand, TemplateError> {
        match word {
            "true" => Ok(Operand::Bool(true)),
            "false" => Ok(Operand::Bool(false)),
            "nil" => Ok(Operand::Nil),
            name if (self.is_function)(name) => Ok(Operand::Function(name.into())),
            name => Err(self.pos.error(format!("function {name:?} not defined"))),
        }
    }
}

impl Command {
    /// Takes no argument, so nothing can be piped into it.
    fn is_constant(&self) -> bool {
        !matches!(self.head, Operand::Function(_) | Operand::Chain { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn error(text: &str) -> String {
        parse(text, |name| name == "len").unwrap_err().to_string()
    }

    #[test]
    fn errors_name_place_and_cause() {
        for (text, expected) in [
            ("{{ if }}x{{ end }}", "1:7: missing value"),
            ("{{ if .A }}x", "1:4: unclosed {{if}}"),
            ("a\n{{ end }}", "2:8: unexpected {{end}}"),
            ("{{ lenn .A }}", "1:4: function \"lenn\" not defined"),
            ("{{ $x }}", "1:4: undefined variable $x"),
            ("{{ $x = 1 }}", "1:1: undefined variable $x"),
            ("{{ break }}", "1:1: {{break}} outside {{range}}"),
            ("{{ if .A }}{{ define \"x\" }}{{ end }}{{ end }}", "1:12: {{define}} must stand"),
            ("{{ template x }}", "1:13: expected the name of a template in quotes"),
            ("{{ (len .A }}", "1:9: unclosed left parenthesis"),
            ("{{ .A | 3 }}", "1:9: a constant cannot follow |"),
            ("{{ if .A }}{{ else }}{{ else }}{{ end }}", "1:25: expected {{end}}"),
        ] {
            let error = error(text);
            assert!(error.starts_with(expected), "{text}: {error}");
        }
    }

    #[test]
    fn a_variable_lives_as_long_as_its_block() {
        assert!(error("{{ if .A }}{{ $x := 1 }}{{ end }}{{ $x }}").contains("undefined variable"));
        let nested = "{{ range $i, $x := .A }}{{ with $x }}{{ $i }}{{ end }}{{ end }}";
        assert!(parse(nested, |_| false).is_ok());
    }

    #[test]
    fn depth_is_bounded() {
        let bodies = "{{ if .A }}".repeat(5000);
        assert!(error(&bodies).contains("nested deeper"));
        let parens = format!("{{{{ {} }}}}", "(".repeat(100_000));
        assert!(error(&parens).contains("nested deeper"));
        let chain = format!("{{{{ if .A }}}}{}", "{{ else if .A }}".repeat(5000));
        assert!(error(&chain).contains("nested deeper"));
    }

    proptest! {
        #[test]
        fn any_text_is_an_answer(parts in proptest::collection::vec(
            proptest::sample::select(vec![
                "{{", "}}", "{{-", "-}}", " ", "if", "else", "end", "range", "with", "define",
                "block", "template", "break", "$x", "$x :=", "$", ".", ".A", "\"t\"", "(", ")",
                "|", "len", "3", ",", "=", "text",
            ]), 0..40))
        {
            let _ = parse(&parts.concat(), |name| name == "len");
        }
    }
}
