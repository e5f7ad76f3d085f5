//! A template being run.
//!
//! Walks the tree, keeps the variables, asks functions and members, and gives each text and value
//! to the output; it stops what runs too long or writes too much. It must not know how an output
//! escapes.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Zoned;

use super::TemplateError;
use super::funcs::{self, Call};
use super::lex::Pos;
use super::member::member;
use super::parse::{Base, Body, Command, Node, Operand, Pipe};
use super::value::Value;

/// Bytes of one text.
const MAX_OUTPUT: usize = 4 << 20;
/// Nodes run, values made and bytes written (16 to a step) for one text.
const MAX_STEPS: usize = 4_000_000;
/// Bodies and templates inside one another while running; bounds the stack.
const MAX_DEPTH: usize = 120;

/// Templates by name.
pub(super) type Set = HashMap<Arc<str>, Arc<Body>>;

/// Where a template writes.
pub(super) trait Output {
    /// Text of the template itself.
    fn literal(&mut self, text: &str);
    /// The value of an action, to be escaped.
    fn value(&mut self, value: &Value) -> Result<(), String>;
    /// Bytes written.
    fn len(&self) -> usize;
    /// All that was written.
    fn finish(self: Box<Self>) -> String;
}

/// Plain text: nothing is escaped.
#[derive(Debug, Default)]
pub(super) struct Plain(String);

impl Output for Plain {
    fn literal(&mut self, text: &str) {
        self.0.push_str(text);
    }

    fn value(&mut self, value: &Value) -> Result<(), String> {
        match value {
            Value::Text(text, _) => self.0.push_str(text),
            value => self.0.push_str(&value.shown()),
        }
        Ok(())
    }

    fn len(&self) -> usize {
        self.0.len()
    }

    fn finish(self: Box<Self>) -> String {
        self.0
    }
}

/// Runs `body` with `data` as its dot.
///
/// # Errors
/// With the place of the action that failed, or of the one that crossed a limit.
pub(super) fn run(
    body: &Body,
    sets: [&Set; 2],
    data: &Value,
    now: &Zoned,
    output: Box<dyn Output>,
) -> Result<String, TemplateError> {
    let variables = vec![("$".into(), data.clone())];
    let mut exec = Exec { sets, call: Call { now }, output, variables, steps: 0, depth: 0 };
    exec.body(body, data)?;
    Ok(exec.output.finish())
}

/// What a body did: ran to its end, or left the loop around it.
#[derive(Clone, Copy, PartialEq)]
enum Flow {
    Done,
    Break,
    Continue,
}

struct Exec<'a> {
    /// Where templates are looked up, first the nearest.
    sets: [&'a Set; 2],
    call: Call<'a>,
    output: Box<dyn Output>,
    variables: Vec<(Arc<str>, Value)>,
    steps: usize,
    depth: usize,
}

impl Exec<'_> {
    fn spend(&mut self, steps: usize, pos: Pos) -> Result<(), TemplateError> {
        self.steps = self.steps.saturating_add(steps);
        if self.steps > MAX_STEPS {
            return Err(pos.error("runs too long"));
        }
        if self.output.len() > MAX_OUTPUT {
            return Err(pos.error(format!("writes more than {MAX_OUTPUT} bytes")));
        }
        Ok(())
    }

    fn body(&mut self, body: &Body, dot: &Value) -> Result<Flow, TemplateError> {
        let scope = self.variables.len();
        self.depth += 1;
        for node in body {
            let flow = self.node(node, dot)?;
            if flow != Flow::Done {
                self.depth -= 1;
                self.variables.truncate(scope);
                return Ok(flow);
            }
        }
        self.depth -= 1;
        self.variables.truncate(scope);
        Ok(Flow::Done)
    }

    fn node(&mut self, node: &Node, dot: &Value) -> Result<Flow, TemplateError> {
        match node {
            Node::Text(text) => {
                self.output.literal(text);
                self.spend(1 + text.len() / 16, Pos::default())?;
            }
            Node::Action(pipe) => {
                let value = self.pipe(pipe, dot)?;
                if pipe.names.is_empty() {
                    self.spend(value.shape().size / 16, pipe.pos)?;
                    self.output.value(&value).map_err(|what| pipe.pos.error(what))?;
                }
            }
            Node::If { pipe, then, otherwise } | Node::With { pipe, then, otherwise } => {
                return self.choose(node, pipe, [then, otherwise], dot);
            }
            Node::Range { pipe, body, otherwise } => {
                return self.range(pipe, body, otherwise, dot);
            }
            Node::Template { name, pipe, pos } => self.template(name, pipe.as_ref(), *pos, dot)?,
            Node::Break => return Ok(Flow::Break),
            Node::Continue => return Ok(Flow::Continue),
        }
        Ok(Flow::Done)
    }

    fn choose(
        &mut self,
        node: &Node,
        pipe: &Pipe,
        [then, otherwise]: [&Body; 2],
        dot: &Value,
    ) -> Result<Flow, TemplateError> {
        self.deep(pipe.pos)?;
        let scope = self.variables.len();
        let value = self.pipe(pipe, dot)?;
        let flow = match (value.is_true(), node) {
            (true, Node::With { .. }) => self.body(then, &value),
            (true, _) => self.body(then, dot),
            (false, _) => self.body(otherwise, dot),
        };
        self.variables.truncate(scope);
        flow
    }

    fn deep(&self, pos: Pos) -> Result<(), TemplateError> {
        if self.depth >= MAX_DEPTH {
            return Err(pos.error(format!("nested deeper than {MAX_DEPTH} levels")));
        }
        Ok(())
    }

    fn range(
        &mut self,
        pipe: &Pipe,
        body: &Body,
        otherwise: &Body,
        dot: &Value,
    ) -> Result<Flow, TemplateError> {
        self.deep(pipe.pos)?;
        let scope = self.variables.len();
        let value = self.commands(pipe, dot)?;
        let items = items(&value).map_err(|what| pipe.pos.error(what))?;
        if items.is_empty() {
            return self.body(otherwise, dot);
        }
        self.spend(items.len(), pipe.pos)?;
        for (key, item) in items {
            match pipe.names.as_slice() {
                [one] => self.set(one, item.clone(), pipe.assign),
                [first, second] => {
                    self.set(first, key, pipe.assign);
                    self.set(second, item.clone(), pipe.assign);
                }
                _ => {}
            }
            let flow = self.body(body, &item)?;
            self.variables.truncate(scope);
            if flow == Flow::Break {
                break;
            }
        }
        Ok(Flow::Done)
    }

    fn template(
        &mut self,
        name: &Arc<str>,
        pipe: Option<&Pipe>,
        pos: Pos,
        dot: &Value,
    ) -> Result<(), TemplateError> {
        self.deep(pos)?;
        let found = self.sets.iter().find_map(|set| set.get(name)).cloned();
        let body = found.ok_or_else(|| pos.error(format!("template {name:?} not defined")))?;
        let data = pipe.map_or(Ok(Value::Nil), |pipe| self.pipe(pipe, dot))?;
        self.spend(1, pos)?;
        let own = vec![("$".into(), data.clone())];
        let variables = std::mem::replace(&mut self.variables, own);
        let result = self.body(&body, &data);
        self.variables = variables;
        result.map(drop).map_err(|error| error.within(name))
    }

    fn set(&mut self, name: &Arc<str>, value: Value, assign: bool) {
        let known = self.variables.iter_mut().rev().find(|(known, _)| known == name);
        match known {
            Some((_, place)) if assign => *place = value,
            _ => self.variables.push((name.clone(), value)),
        }
    }

    fn pipe(&mut self, pipe: &Pipe, dot: &Value) -> Result<Value, TemplateError> {
        let value = self.commands(pipe, dot)?;
        for name in &pipe.names {
            self.set(name, value.clone(), pipe.assign);
        }
        Ok(value)
    }

    fn commands(&mut self, pipe: &Pipe, dot: &Value) -> Result<Value, TemplateError> {
        let mut value = None;
        for command in &pipe.commands {
            value = Some(self.command(command, dot, value)?);
        }
        Ok(value.unwrap_or(Value::Nil))
    }

    /// One command; `last` is what the one before it gave.
    fn command(
        &mut self,
        command: &Command,
        dot: &Value,
        last: Option<Value>,
    ) -> Result<Value, TemplateError> {
        let pos = command.pos;
        self.spend(1, pos)?;
        let has_args = last.is_some() || !command.args.is_empty();
        let value = match &command.head {
            Operand::Function(name) if matches!(&**name, "and" | "or") => {
                return self.decide(command, dot, last, &**name == "or");
            }
            Operand::Function(name) => {
                let args = self.args(command, dot, last)?;
                return self.call(name, &args, pos);
            }
            Operand::Chain { base, fields } if !fields.is_empty() => {
                let args = self.args(command, dot, last)?;
                let base = self.base(base, dot)?;
                chain(base, fields, &args)
            }
            Operand::Nil => Err("nil is not a command".to_owned()),
            _ if has_args => Err("can't give argument to non-function".to_owned()),
            operand => return self.operand(operand, dot, pos),
        };
        value.map_err(|what| pos.error(what))
    }

    fn call(&mut self, name: &str, args: &[Value], pos: Pos) -> Result<Value, TemplateError> {
        let function = funcs::find(name);
        let function =
            function.ok_or_else(|| pos.error(format!("function {name:?} not defined")))?;
        self.spend(function.steps(), pos)?;
        let value = function.call(&self.call, args).map_err(|what| pos.error(what))?;
        // What was made is paid for, so that no loop of functions fills the memory.
        self.spend(value.shape().size / 16, pos)?;
        Ok(value)
    }

    /// `and` and `or` look at an argument only when those before it left the answer open.
    fn decide(
        &mut self,
        command: &Command,
        dot: &Value,
        last: Option<Value>,
        stop: bool,
    ) -> Result<Value, TemplateError> {
        let mut value = Value::Nil;
        for arg in &command.args {
            value = self.operand(arg, dot, command.pos)?;
            if value.is_true() == stop {
                return Ok(value);
            }
        }
        Ok(last.unwrap_or(value))
    }

    fn args(
        &mut self,
        command: &Command,
        dot: &Value,
        last: Option<Value>,
    ) -> Result<Vec<Value>, TemplateError> {
        let mut args = Vec::with_capacity(command.args.len() + 1);
        for arg in &command.args {
            args.push(self.operand(arg, dot, command.pos)?);
        }
        args.extend(last);
        Ok(args)
    }

    fn operand(
        &mut self,
        operand: &Operand,
        dot: &Value,
        pos: Pos,
    ) -> Result<Value, TemplateError> {
        Ok(match operand {
            Operand::Nil => Value::Nil,
            Operand::Bool(value) => Value::Bool(*value),
            Operand::Int(value) => Value::Int(*value),
            Operand::Float(value) => Value::Float(*value),
            Operand::Text(text) => Value::text(text.clone()),
            Operand::Function(name) => self.call(name, &[], pos)?,
            Operand::Chain { base, fields } => {
                let base = self.base(base, dot)?;
                chain(base, fields, &[]).map_err(|what| pos.error(what))?
            }
        })
    }

    fn base(&mut self, base: &Base, dot: &Value) -> Result<Value, TemplateError> {
        Ok(match base {
            Base::Dot => dot.clone(),
            Base::Variable(name) => {
                let found = self.variables.iter().rev().find(|(known, _)| known == name);
                found.map_or(Value::Nil, |(_, value)| value.clone())
            }
            Base::Pipe(pipe) => self.pipe(pipe, dot)?,
        })
    }
}

/// `base.a.b args`: the arguments go to the last member.
fn chain(base: Value, fields: &[Arc<str>], args: &[Value]) -> Result<Value, String> {
    fields.iter().enumerate().try_fold(base, |value, (i, field)| {
        member(&value, field, if i + 1 == fields.len() { args } else { &[] })
    })
}

/// Keys and values of what can be ranged over; maps in the order of their keys.
fn items(value: &Value) -> Result<Vec<(Value, Value)>, String> {
    Ok(match value {
        Value::Nil => Vec::new(),
        Value::List(list) => {
            let keys = (0..).map(Value::Int);
            keys.zip(list.items.iter().cloned()).collect()
        }
        Value::Labels(labels) => {
            labels.iter().map(|(name, value)| (Value::text(name), Value::text(value))).collect()
        }
        Value::Map(map) => {
            map.entries.iter().map(|(k, v)| (Value::text(k.clone()), v.clone())).collect()
        }
        other => return Err(format!("range can't iterate over {}", other.type_name())),
    })
}
