//! Reading the fields of a written object: names in any letter case and with or without underscores, as Consul
//! takes them; what is wrong is said with the path of the field.

use std::{collections::BTreeMap, fmt, ops::RangeInclusive, rc::Rc, sync::Arc, time::Duration};

use super::{
    DefinitionError, Problem,
    tree::{Tree, TreeValue},
};
use crate::catalog::{duration::parse_duration, names::IdentifierError, nearest::nearest};

/// The fields of one object.
pub(crate) struct Fields<'t> {
    path: Rc<Path<'t>>,
    line: u32,
    given: Vec<(&'static str, Field<'t>)>,
}

/// A field that was given and is not null.
#[derive(Clone)]
pub(crate) struct Field<'t> {
    pub(crate) path: Path<'t>,
    pub(crate) tree: &'t Tree,
}

/// Where a field stands. It becomes a text only where something is said about it.
#[derive(Clone)]
pub(crate) struct Path<'t> {
    above: Option<Rc<Path<'t>>>,
    step: Step<'t>,
}

#[derive(Clone, Copy)]
enum Step<'t> {
    /// The definition as a whole.
    Root(&'t str),
    Name(&'t str),
    Item(usize),
}

impl<'t> Fields<'t> {
    /// Reads an object of which these fields are known; another one is an error.
    pub(crate) fn read(object: &Field<'t>, known: &[&'static str]) -> Result<Fields<'t>, DefinitionError> {
        let TreeValue::Map(members) = &object.tree.value else {
            return Err(object.expected("an object"));
        };
        let path = Rc::new(object.path.clone());
        let mut given: Vec<(&'static str, Field<'t>)> = Vec::with_capacity(members.len());
        for (word, tree) in members {
            let field = Field { path: Path::below(&path, Step::Name(word)), tree };
            let Some(name) = known.iter().copied().find(|name| same_name(name, word)) else {
                let nearest = nearest(word, known.iter().copied());
                return Err(field.wrong(Problem::UnknownField { nearest }));
            };
            if tree.value == TreeValue::Null {
                continue;
            }
            if given.iter().any(|(other, _)| *other == name) {
                return Err(field.wrong(Problem::Twice));
            }
            given.push((name, field));
        }
        Ok(Fields { path, line: object.tree.line, given })
    }

    /// The field of this name, if it was given.
    pub(crate) fn field(&self, name: &str) -> Option<&Field<'t>> {
        self.given.iter().find(|(given, _)| *given == name).map(|(_, field)| field)
    }

    /// The field of this name, if it was given and says something.
    pub(crate) fn filled(&self, name: &str) -> Option<&Field<'t>> {
        self.field(name).filter(|field| !field.tree.is_empty())
    }

    /// The text of a field; none if it was not given or is empty.
    pub(crate) fn text(&self, name: &str) -> Result<Option<&'t str>, DefinitionError> {
        Ok(self.field(name).map(Field::text).transpose()?.filter(|text| !text.is_empty()))
    }

    /// Whether a field is given and true.
    pub(crate) fn flag(&self, name: &str) -> Result<bool, DefinitionError> {
        Ok(self.field(name).map(Field::flag).transpose()?.unwrap_or(false))
    }

    /// The span of a field; none if it was not given, is empty or is zero.
    pub(crate) fn duration(&self, name: &str) -> Result<Option<Duration>, DefinitionError> {
        Ok(self.filled(name).map(Field::duration).transpose()?.filter(|span| !span.is_zero()))
    }

    /// The items of a list, of which there may be so many; none if it was not given.
    pub(crate) fn items(&self, name: &str, most: usize) -> Result<Vec<Field<'t>>, DefinitionError> {
        let Some(field) = self.field(name) else { return Ok(Vec::new()) };
        field.at_most(most)?;
        field.items()
    }

    /// An error about the object or, by name, about a field of it that was not given.
    pub(crate) fn wrong(&self, name: &str, problem: Problem) -> DefinitionError {
        match self.field(name) {
            Some(field) => field.wrong(problem),
            None => {
                let path = Path::below(&self.path, Step::Name(name)).to_string();
                DefinitionError { path, line: self.line, problem }
            }
        }
    }

    /// As [`Self::wrong`]: something else was expected of a field that was given.
    pub(crate) fn expected(&self, name: &str, expected: &str) -> DefinitionError {
        match self.field(name) {
            Some(field) => field.expected(expected),
            None => self.wrong(name, Problem::Missing),
        }
    }
}

impl<'t> Field<'t> {
    pub(crate) fn wrong(&self, problem: Problem) -> DefinitionError {
        DefinitionError { path: self.path.to_string(), line: self.tree.line, problem }
    }

    pub(crate) fn expected(&self, expected: impl Into<String>) -> DefinitionError {
        self.wrong(Problem::Expected { expected: expected.into(), found: self.tree.describe() })
    }

    pub(crate) fn text(&self) -> Result<&'t str, DefinitionError> {
        match &self.tree.value {
            TreeValue::Text(text) => Ok(text),
            _ => Err(self.expected("a text")),
        }
    }

    pub(crate) fn flag(&self) -> Result<bool, DefinitionError> {
        match &self.tree.value {
            TreeValue::Flag(flag) => Ok(*flag),
            _ => Err(self.expected("true or false")),
        }
    }

    pub(crate) fn number(&self, range: RangeInclusive<u16>) -> Result<u16, DefinitionError> {
        let number = match self.tree.value {
            TreeValue::Integer(number) => u16::try_from(number).ok(),
            // Some writers of JSON know one sort of numbers only: 80.0.
            TreeValue::Fraction(number) if number.fract() == 0.0 && (0.0..=65_535.0).contains(&number) => {
                Some(number as u16)
            }
            _ => None,
        };
        number
            .filter(|number| range.contains(number))
            .ok_or_else(|| self.expected(format!("a number from {} to {}", range.start(), range.end())))
    }

    /// An index of the catalog.
    pub(crate) fn index(&self) -> Result<u64, DefinitionError> {
        let number = match self.tree.value {
            TreeValue::Integer(number) => u64::try_from(number).ok(),
            _ => None,
        };
        number.ok_or_else(|| self.expected("an index"))
    }

    /// A Go duration, or a number of nanoseconds.
    pub(crate) fn duration(&self) -> Result<Duration, DefinitionError> {
        let span = match &self.tree.value {
            TreeValue::Text(text) => parse_duration(text).ok(),
            TreeValue::Integer(nanoseconds) => u64::try_from(*nanoseconds).ok().map(Duration::from_nanos),
            TreeValue::Fraction(nanoseconds) => Duration::try_from_secs_f64(nanoseconds / 1e9).ok(),
            _ => None,
        };
        span.filter(|span| *span <= SPAN_MAX).ok_or_else(|| self.expected("a duration such as \"10s\""))
    }

    /// Refuses a list that is longer than this.
    pub(crate) fn at_most(&self, most: usize) -> Result<(), DefinitionError> {
        match &self.tree.value {
            TreeValue::List(items) if items.len() > most => {
                Err(self.wrong(Problem::Rule(format!("must have at most {most} items, not {}", items.len()))))
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn items(&self) -> Result<Vec<Field<'t>>, DefinitionError> {
        let TreeValue::List(items) = &self.tree.value else {
            return Err(self.expected("a list"));
        };
        let path = Rc::new(self.path.clone());
        let item = |(at, tree)| Field { path: Path::below(&path, Step::Item(at)), tree };
        Ok(items.iter().enumerate().map(item).collect())
    }

    /// A text that is filled, or a list of so many of them.
    pub(crate) fn text_or_texts(&self, most: usize) -> Result<Box<[Arc<str>]>, DefinitionError> {
        self.at_most(most)?;
        let items = if matches!(self.tree.value, TreeValue::List(_)) { self.items()? } else { vec![self.clone()] };
        let texts = items.iter().map(|item| match item.text()? {
            "" => Err(item.expected("a text that is not empty")),
            text => Ok(Arc::from(text)),
        });
        texts.collect()
    }

    /// The member of this name, if this is an object that has it.
    pub(crate) fn member(&self, name: &str) -> Option<Field<'t>> {
        let TreeValue::Map(members) = &self.tree.value else { return None };
        let (word, tree) =
            members.iter().find(|(word, tree)| same_name(name, word) && tree.value != TreeValue::Null)?;
        Some(Field { path: Path::below(&Rc::new(self.path.clone()), Step::Name(word)), tree })
    }

    /// The members of an object whose names are free, in the order written.
    pub(crate) fn members(&self) -> Result<Vec<(&'t str, Field<'t>)>, DefinitionError> {
        let TreeValue::Map(members) = &self.tree.value else {
            return Err(self.expected("an object"));
        };
        let path = Rc::new(self.path.clone());
        let member = |(name, tree): &'t (String, Tree)| {
            (name.as_str(), Field { path: Path::below(&path, Step::Name(name)), tree })
        };
        Ok(members.iter().map(member).collect())
    }

    /// An object of texts by name.
    pub(crate) fn texts(&self) -> Result<BTreeMap<Arc<str>, Arc<str>>, DefinitionError> {
        self.members()?.into_iter().map(|(name, field)| Ok((Arc::from(name), Arc::from(field.text()?)))).collect()
    }

    /// A text that is an identifier of the catalog.
    pub(crate) fn identifier<T>(
        &self,
        new: impl FnOnce(&'t str) -> Result<T, IdentifierError>,
    ) -> Result<T, DefinitionError> {
        new(self.text()?).map_err(|error| self.wrong(error.into()))
    }
}

impl<'t> Path<'t> {
    fn below(above: &Rc<Path<'t>>, step: Step<'t>) -> Path<'t> {
        Path { above: Some(Rc::clone(above)), step }
    }
}

/// `Ports[1].Name`
impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let above = self.above.as_ref().map(Rc::to_string).unwrap_or_default();
        f.write_str(&above)?;
        match self.step {
            Step::Root(path) => f.write_str(path),
            Step::Item(at) => write!(f, "[{at}]"),
            Step::Name(name) => {
                f.write_str(if above.is_empty() { "" } else { "." })?;
                // Whoever sends a name has it shown to others, in logs and on terminals.
                name.chars().take(NAME_SHOWN_MAX_CHARS).try_for_each(|letter| match letter.is_control() {
                    true => write!(f, "{}", letter.escape_default()),
                    false => write!(f, "{letter}"),
                })
            }
        }
    }
}

/// A whole definition; its fields are named below this path.
pub(crate) fn root<'t>(tree: &'t Tree, path: &'t str) -> Field<'t> {
    Field { path: Path { above: None, step: Step::Root(path) }, tree }
}

/// Consul takes `EnableTagOverride`, `enabletagoverride` and `enable_tag_override` for the same.
fn same_name(one: &str, other: &str) -> bool {
    fn folded(name: &str) -> impl Iterator<Item = u8> {
        name.bytes().filter(|byte| *byte != b'_').map(|byte| byte.to_ascii_lowercase())
    }
    folded(one).eq(folded(other))
}

/// Longest span that a definition may give. Source: none, chosen: 100 years, so that adding it to a clock's
/// reading never overflows.
const SPAN_MAX: Duration = Duration::from_secs(100 * 366 * 86_400);

/// Most characters of a field's name that a message repeats. Source: none, chosen.
const NAME_SHOWN_MAX_CHARS: usize = 60;
