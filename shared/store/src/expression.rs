//! Conditions and updates of items as values (`ConditionExpression`, `UpdateExpression`).
//!
//! Attribute names and values are replaced by placeholders when an expression is rendered, so no
//! name is a reserved word by accident and every value is registered with the condition that it
//! belongs to.

use std::{collections::HashMap, fmt::Write as _};

use aws_sdk_dynamodb::types::AttributeValue;

/// An attribute, or one inside a map: `superseded_4.at_ms`.
pub(crate) type Path = &'static str;

/// A condition on the item that a write is about.
#[derive(Debug, Clone)]
pub(crate) enum Condition {
    Exists(Path),
    Absent(Path),
    Compares(Path, &'static str, AttributeValue),
    Contains(Path, AttributeValue),
    HasFewerThan(Path, AttributeValue),
    HasType(Path, AttributeValue),
    All(Vec<Self>),
    Any(Vec<Self>),
}

/// The attribute is there.
pub(crate) const fn exists(path: Path) -> Condition {
    Condition::Exists(path)
}

/// The attribute is not there.
pub(crate) const fn absent(path: Path) -> Condition {
    Condition::Absent(path)
}

/// The attribute has this value.
pub(crate) const fn equals(path: Path, value: AttributeValue) -> Condition {
    Condition::Compares(path, "=", value)
}

/// The attribute has another value, or is not there.
pub(crate) fn differs(path: Path, value: AttributeValue) -> Condition {
    any([absent(path), Condition::Compares(path, "<>", value)])
}

/// The attribute is less than this.
pub(crate) const fn below(path: Path, value: AttributeValue) -> Condition {
    Condition::Compares(path, "<", value)
}

/// The attribute is at most this.
pub(crate) const fn at_most(path: Path, value: AttributeValue) -> Condition {
    Condition::Compares(path, "<=", value)
}

/// The attribute is greater than this.
pub(crate) const fn above(path: Path, value: AttributeValue) -> Condition {
    Condition::Compares(path, ">", value)
}

/// The set has this member.
pub(crate) const fn contains(path: Path, member: AttributeValue) -> Condition {
    Condition::Contains(path, member)
}

/// The set, list or map has fewer members than this.
pub(crate) fn has_fewer_than(path: Path, members: usize) -> Condition {
    Condition::HasFewerThan(path, AttributeValue::N(members.to_string()))
}

/// The attribute is a number.
pub(crate) fn is_number(path: Path) -> Condition {
    has_type(path, "N")
}

/// The attribute is a string.
pub(crate) fn is_string(path: Path) -> Condition {
    has_type(path, "S")
}

/// The attribute is binary.
pub(crate) fn is_binary(path: Path) -> Condition {
    has_type(path, "B")
}

/// The attribute is a map.
pub(crate) fn is_map(path: Path) -> Condition {
    has_type(path, "M")
}

fn has_type(path: Path, name: &str) -> Condition {
    Condition::HasType(path, AttributeValue::S(name.to_owned()))
}

/// Every one of these holds.
pub(crate) fn all(conditions: impl Into<Vec<Condition>>) -> Condition {
    Condition::All(conditions.into())
}

/// One of these holds.
pub(crate) fn any(conditions: impl Into<Vec<Condition>>) -> Condition {
    Condition::Any(conditions.into())
}

/// Changes of an item. All values on the right see the item as it was.
#[derive(Debug, Clone, Default)]
pub(crate) struct Changes {
    sets: Vec<(Path, Operand)>,
    removes: Vec<Path>,
    adds: Vec<(Path, AttributeValue)>,
    takes: Vec<(Path, AttributeValue)>,
}

#[derive(Debug, Clone)]
enum Operand {
    Value(AttributeValue),
    Attribute(Path),
    /// The attribute, or a value if it is not there.
    AttributeOr(Path, AttributeValue),
    /// The sum of the attribute (or a value, if it is not there) and a number.
    Sum(Path, AttributeValue, AttributeValue),
}

impl Changes {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Sets an attribute.
    pub(crate) fn set(mut self, path: Path, value: AttributeValue) -> Self {
        self.sets.push((path, Operand::Value(value)));
        self
    }

    /// Sets an attribute to another attribute's value, which must be there.
    pub(crate) fn copy(mut self, path: Path, from: Path) -> Self {
        self.sets.push((path, Operand::Attribute(from)));
        self
    }

    /// Sets an attribute to another attribute's value, or to this one if that is not there.
    pub(crate) fn copy_or(mut self, path: Path, from: Path, otherwise: AttributeValue) -> Self {
        self.sets.push((path, Operand::AttributeOr(from, otherwise)));
        self
    }

    /// Adds to a number, which counts as `start` if it is not there.
    pub(crate) fn increase(
        mut self,
        path: Path,
        start: AttributeValue,
        by: AttributeValue,
    ) -> Self {
        self.sets.push((path, Operand::Sum(path, start, by)));
        self
    }

    /// Removes an attribute, if it is there.
    pub(crate) fn remove(mut self, path: Path) -> Self {
        self.removes.push(path);
        self
    }

    /// Adds a number to a number, or members to a set; what is not there counts as zero or empty.
    pub(crate) fn add(mut self, path: Path, value: AttributeValue) -> Self {
        self.adds.push((path, value));
        self
    }

    /// Takes members out of a set. A set without members is not there any more.
    pub(crate) fn take(mut self, path: Path, members: AttributeValue) -> Self {
        self.takes.push((path, members));
        self
    }

    /// Whether there are no changes.
    pub(crate) const fn is_empty(&self) -> bool {
        self.sets.is_empty()
            && self.removes.is_empty()
            && self.adds.is_empty()
            && self.takes.is_empty()
    }
}

/// Expressions as a request carries them.
#[derive(Debug, Default)]
pub(crate) struct Rendered {
    pub(crate) condition: Option<String>,
    pub(crate) update: Option<String>,
    pub(crate) names: Option<HashMap<String, String>>,
    pub(crate) values: Option<HashMap<String, AttributeValue>>,
}

/// Renders the expressions of one write.
pub(crate) fn render(condition: Option<&Condition>, changes: Option<&Changes>) -> Rendered {
    let mut renderer = Renderer::default();
    let condition = condition.map(|condition| renderer.condition(condition));
    let update = changes.map(|changes| renderer.changes(changes));
    let Renderer { names, values } = renderer;
    let names = names.into_iter().map(|(name, placeholder)| (placeholder, name.to_owned()));
    let names: HashMap<_, _> = names.collect();
    Rendered {
        condition,
        update,
        names: (!names.is_empty()).then_some(names),
        values: (!values.is_empty()).then_some(values),
    }
}

#[derive(Default)]
struct Renderer {
    /// Placeholders by name.
    names: HashMap<&'static str, String>,
    /// Values by placeholder.
    values: HashMap<String, AttributeValue>,
}

impl Renderer {
    fn path(&mut self, path: Path) -> String {
        let names: Vec<_> = path.split('.').map(|name| self.name(name)).collect();
        names.join(".")
    }

    fn name(&mut self, name: &'static str) -> String {
        let next = self.names.len();
        self.names.entry(name).or_insert_with(|| format!("#{next}")).clone()
    }

    fn value(&mut self, value: &AttributeValue) -> String {
        let placeholder = format!(":{}", self.values.len());
        self.values.insert(placeholder.clone(), value.clone());
        placeholder
    }

    fn condition(&mut self, condition: &Condition) -> String {
        match condition {
            Condition::Exists(path) => format!("attribute_exists({})", self.path(path)),
            Condition::Absent(path) => format!("attribute_not_exists({})", self.path(path)),
            Condition::Compares(path, comparator, value) => {
                format!("{} {comparator} {}", self.path(path), self.value(value))
            }
            Condition::Contains(path, member) => {
                format!("contains({}, {})", self.path(path), self.value(member))
            }
            Condition::HasFewerThan(path, members) => {
                format!("size({}) < {}", self.path(path), self.value(members))
            }
            Condition::HasType(path, name) => {
                format!("attribute_type({}, {})", self.path(path), self.value(name))
            }
            Condition::All(conditions) => self.joined(conditions, " AND "),
            Condition::Any(conditions) => self.joined(conditions, " OR "),
        }
    }

    fn joined(&mut self, conditions: &[Condition], by: &str) -> String {
        // DynamoDB refuses redundant parentheses.
        if let [only] = conditions {
            return self.condition(only);
        }
        let parts: Vec<_> = conditions.iter().map(|condition| self.condition(condition)).collect();
        format!("({})", parts.join(by))
    }

    fn changes(&mut self, changes: &Changes) -> String {
        let sets = changes.sets.iter().map(|(path, operand)| {
            let path = self.path(path);
            let operand = match operand {
                Operand::Value(value) => self.value(value),
                Operand::Attribute(from) => self.path(from),
                Operand::AttributeOr(from, otherwise) => {
                    format!("if_not_exists({}, {})", self.path(from), self.value(otherwise))
                }
                Operand::Sum(from, start, by) => {
                    let (from, start) = (self.path(from), self.value(start));
                    format!("if_not_exists({from}, {start}) + {}", self.value(by))
                }
            };
            format!("{path} = {operand}")
        });
        let sets: Vec<_> = sets.collect();
        let removes: Vec<_> = changes.removes.iter().map(|path| self.path(path)).collect();
        let mut pairs = |pairs: &[(Path, AttributeValue)]| -> Vec<_> {
            let pairs = pairs.iter();
            pairs
                .map(|(path, value)| format!("{} {}", self.path(path), self.value(value)))
                .collect()
        };
        let (adds, takes) = (pairs(&changes.adds), pairs(&changes.takes));
        let mut text = String::new();
        for (action, parts) in
            [("SET", sets), ("REMOVE", removes), ("ADD", adds), ("DELETE", takes)]
        {
            if !parts.is_empty() {
                let gap = if text.is_empty() { "" } else { " " };
                // Writing to a string does not fail.
                write!(text, "{gap}{action} {}", parts.join(", ")).unwrap_or(());
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::item::{number, string};

    /// The text with its placeholders filled in again.
    fn filled(text: &str, rendered: &Rendered) -> String {
        let empty = (HashMap::new(), HashMap::new());
        let names = rendered.names.as_ref().unwrap_or(&empty.0);
        let values = rendered.values.as_ref().unwrap_or(&empty.1);
        let value = |value: &AttributeValue| match value {
            AttributeValue::S(text) => format!("'{text}'"),
            AttributeValue::N(number) => number.clone(),
            other => format!("{other:?}"),
        };
        // Longer placeholders first: `#1` is the beginning of `#10`.
        let values = values.iter().map(|(placeholder, it)| (placeholder.clone(), value(it)));
        let names = names.iter().map(|(placeholder, name)| (placeholder.clone(), name.clone()));
        let mut all: Vec<_> = values.chain(names).collect();
        all.sort_by_key(|(placeholder, _)| std::cmp::Reverse(placeholder.len()));
        all.into_iter().fold(text.to_owned(), |text, (from, to)| text.replace(&from, &to))
    }

    fn condition(condition: &Condition) -> String {
        let rendered = render(Some(condition), None);
        filled(rendered.condition.as_deref().unwrap(), &rendered)
    }

    #[test]
    fn conditions_are_written_in_dynamodbs_grammar() {
        let one = number(1_u64);
        let cases = [
            (exists("pk"), "attribute_exists(pk)"),
            (absent("a.b"), "attribute_not_exists(a.b)"),
            (equals("status", string("active")), "status = 'active'"),
            (differs("a", one.clone()), "(attribute_not_exists(a) OR a <> 1)"),
            (below("a", one.clone()), "a < 1"),
            (at_most("a", one.clone()), "a <= 1"),
            (above("a", one.clone()), "a > 1"),
            (contains("a", one.clone()), "contains(a, 1)"),
            (has_fewer_than("a", 10), "size(a) < 10"),
            (is_number("a"), "attribute_type(a, 'N')"),
            (is_string("a"), "attribute_type(a, 'S')"),
            (is_binary("a"), "attribute_type(a, 'B')"),
            (is_map("a"), "attribute_type(a, 'M')"),
            (any([all([exists("a")])]), "attribute_exists(a)"),
            (
                all([exists("a"), any([absent("b"), below("b", one)])]),
                "(attribute_exists(a) AND (attribute_not_exists(b) OR b < 1))",
            ),
        ];
        for (given, expected) in cases {
            assert_eq!(condition(&given), expected);
        }
    }

    #[test]
    fn changes_are_written_in_dynamodbs_grammar() {
        let changes = Changes::new()
            .set("name", string("ada"))
            .copy("b", "a.c")
            .copy_or("g", "h", number(7_u64))
            .increase("cut", number(5_u64), number(1_u64))
            .remove("d")
            .remove("e")
            .add("f", number(2_u64));
        let rendered = render(None, Some(&changes));
        assert_eq!(
            filled(rendered.update.as_deref().unwrap(), &rendered),
            "SET name = 'ada', b = a.c, g = if_not_exists(h, 7), \
             cut = if_not_exists(cut, 5) + 1 REMOVE d, e ADD f 2"
        );
        let only = render(None, Some(&Changes::new().remove("d")));
        assert_eq!(filled(only.update.as_deref().unwrap(), &only), "REMOVE d");
    }

    #[test]
    fn a_name_has_one_placeholder_and_every_value_its_own() {
        let both = all([above("a", number(1_u64)), below("a", number(9_u64))]);
        let rendered = render(Some(&both), Some(&Changes::new().set("a", number(3_u64))));
        assert_eq!(rendered.names.unwrap().len(), 1);
        assert_eq!(rendered.values.unwrap().len(), 3);
        let nothing = render(None, None);
        assert!(nothing.names.is_none() && nothing.values.is_none());
    }
}
