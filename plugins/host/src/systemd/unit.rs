//! Units as systemd lists them, and the answers about each.
//!
//! A unit may vanish between the list and a question: that costs the answer only. It must not know metrics.

use zbus::message::Body;
use zbus::{ObjectPath, OwnedVariant, Variant};

use super::question::{Answers, Question};
use crate::dbus::{Caller, Failure, Property, failure};

/// A unit that is reported.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Unit {
    pub(super) name: String,
    pub(super) state: String,
    pub(super) path: String,
    /// The type of a service or a mount; empty when there is none.
    pub(super) kind: String,
}

/// A number that answers a question about a unit.
pub(super) struct Answer {
    /// Index of the unit.
    pub(super) unit: usize,
    pub(super) question: &'static Question,
    pub(super) number: u64,
}

/// A unit that exists, whether it is reported or not.
pub(super) struct Listed<'a> {
    pub(super) name: &'a str,
    pub(super) state: &'a str,
    pub(super) is_loaded: bool,
    path: ObjectPath<'a>,
}

/// A row of `ListUnits`: name, description, load state, active state, sub-state, followed unit, path, and number, type
/// and path of a job.
#[rustfmt::skip]
type Row<'a> =
    (&'a str, &'a str, &'a str, &'a str, &'a str, &'a str, ObjectPath<'a>, u32, &'a str, ObjectPath<'a>);

/// The units in an answer to `ListUnits`.
pub(super) fn listed(body: &Body) -> Result<Vec<Listed<'_>>, Failure> {
    let rows: Vec<Row<'_>> = body.deserialize().map_err(|error| failure("ListUnits", error))?;
    let listed = rows.into_iter().map(|(name, _, load, state, _, _, path, ..)| Listed {
        name,
        state,
        is_loaded: load == "loaded",
        path,
    });
    Ok(listed.collect())
}

impl Unit {
    pub(super) fn is_active(&self) -> bool {
        self.state == "active"
    }
}

impl From<Listed<'_>> for Unit {
    fn from(listed: Listed<'_>) -> Self {
        Unit {
            name: listed.name.to_owned(),
            state: listed.state.to_owned(),
            path: listed.path.to_string(),
            kind: String::new(),
        }
    }
}

/// Asks `questions` about `units` and takes the answers down.
pub(super) async fn ask(
    caller: &Caller<'_>,
    units: &mut [Unit],
    questions: &[&'static Question],
    answers: &mut Vec<Answer>,
) -> Result<(), Failure> {
    let mut kinds = Vec::new();
    let of_unit = |(index, unit): (usize, &Unit)| {
        let questions = questions.iter().filter(|question| question.is_for(unit));
        questions.map(|question| (index, *question)).collect::<Vec<_>>()
    };
    let asked: Vec<_> = units.iter().enumerate().flat_map(of_unit).collect();
    let properties: Vec<_> = asked
        .iter()
        .map(|(unit, question)| Property {
            path: &units[*unit].path,
            interface: question.interface,
            name: question.property,
        })
        .collect();
    let result = caller.properties(&properties, |at, value| {
        let Some((unit, question)) = asked.get(at).copied() else { return };
        match (&question.answers, value_of(&value)) {
            (Answers::Kind, Some(Said::Text(text))) => kinds.push((unit, text.to_owned())),
            (Answers::Limit(_), Some(Said::Number(u64::MAX))) => {}
            (_, Some(Said::Number(number))) => answers.push(Answer { unit, question, number }),
            _ => {}
        }
    });
    let result = result.await;
    drop(properties);
    for (unit, kind) in kinds {
        if let Some(unit) = units.get_mut(unit) {
            unit.kind = kind;
        }
    }
    result
}

enum Said<'a> {
    Text(&'a str),
    Number(u64),
}

fn value_of(value: &OwnedVariant) -> Option<Said<'_>> {
    match &**value {
        Variant::Str(text) => Some(Said::Text(text.as_str())),
        Variant::U32(number) => Some(Said::Number((*number).into())),
        Variant::U64(number) => Some(Said::Number(*number)),
        _ => None,
    }
}
