//! Alerts: conditions on a channel's figures, such as `depth > 100 and not closed`.
//!
//! ```text
//!   condition   = and { "or" and }
//!   and         = not { "and" not }
//!   not         = "not" not | comparison
//!   comparison  = sum [ (">" | ">=" | "<" | "<=" | "==" | "!=") sum ]
//!   sum         = product { ("+" | "-") product }
//!   product     = operand { ("*" | "/") operand }
//!   operand     = number | field | "(" condition ")"
//! ```
//!
//! A figure that is not known (a rate in the first report, the capacity of an unlimited channel) makes
//! every comparison with it false.

mod field;
mod parse;

use std::fmt;

pub use field::{Field, Subject, field_list};

/// A condition on a channel.
#[derive(Clone, Debug)]
pub struct Alert {
    text: String,
    condition: Expression,
}

/// What an expression's value is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sort {
    /// A number.
    Number,
    /// Yes or no.
    Truth,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Comparison {
    More,
    Least,
    Less,
    Most,
    Same,
    Other,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Arithmetic {
    Plus,
    Minus,
    Times,
    Over,
}

#[derive(Clone, Debug)]
enum Expression {
    Number(f64),
    Field(&'static Field),
    Not(Box<Self>),
    And(Box<Self>, Box<Self>),
    Or(Box<Self>, Box<Self>),
    Compare(Comparison, Box<Self>, Box<Self>),
    Compute(Arithmetic, Box<Self>, Box<Self>),
}

impl Expression {
    fn sort(&self) -> Sort {
        match self {
            Self::Number(_) | Self::Compute(..) => Sort::Number,
            Self::Field(field) => field.sort,
            Self::Not(_) | Self::And(..) | Self::Or(..) | Self::Compare(..) => Sort::Truth,
        }
    }

    /// Its value: 1 and 0 for yes and no. The parser has seen to it that sorts fit.
    fn value(&self, subject: &Subject) -> Option<f64> {
        let holds = |expression: &Self| expression.holds(subject);
        let truth = |truth| Some(f64::from(u8::from(truth)));
        match self {
            Self::Number(number) => Some(*number),
            Self::Field(field) => (field.value)(subject),
            Self::Not(inner) => truth(!holds(inner)),
            Self::And(left, right) => truth(holds(left) && holds(right)),
            Self::Or(left, right) => truth(holds(left) || holds(right)),
            Self::Compare(comparison, left, right) => {
                let (left, right) = (left.value(subject)?, right.value(subject)?);
                truth(match comparison {
                    Comparison::More => left > right,
                    Comparison::Least => left >= right,
                    Comparison::Less => left < right,
                    Comparison::Most => left <= right,
                    Comparison::Same => left == right,
                    Comparison::Other => left != right,
                })
            }
            Self::Compute(arithmetic, left, right) => {
                let (left, right) = (left.value(subject)?, right.value(subject)?);
                let value = match arithmetic {
                    Arithmetic::Plus => left + right,
                    Arithmetic::Minus => left - right,
                    Arithmetic::Times => left * right,
                    Arithmetic::Over => left / right,
                };
                value.is_finite().then_some(value)
            }
        }
    }

    fn holds(&self, subject: &Subject) -> bool {
        self.value(subject) == Some(1.0)
    }

    fn fields(&self, found: &mut Vec<&'static Field>) {
        match self {
            Self::Number(_) => {}
            Self::Field(field) => {
                if !found.iter().any(|known| known.name == field.name) {
                    found.push(field);
                }
            }
            Self::Not(inner) => inner.fields(found),
            Self::And(left, right)
            | Self::Or(left, right)
            | Self::Compare(_, left, right)
            | Self::Compute(_, left, right) => {
                left.fields(found);
                right.fields(found);
            }
        }
    }
}

impl Alert {
    /// Whether a channel is in this condition.
    pub fn holds(&self, subject: &Subject) -> bool {
        self.condition.holds(subject)
    }

    /// The figures in it, as they are: `depth = 12, closed = no`.
    pub fn figures(&self, subject: &Subject) -> String {
        let mut fields = Vec::new();
        self.condition.fields(&mut fields);
        let figure = |field: &&Field| match ((field.value)(subject), field.sort) {
            (None, _) => format!("{} unknown", field.name),
            (Some(0.0), Sort::Truth) => format!("{} = no", field.name),
            (Some(_), Sort::Truth) => format!("{} = yes", field.name),
            (Some(value), Sort::Number) if value.fract() == 0.0 => {
                format!("{} = {value}", field.name)
            }
            (Some(value), Sort::Number) => format!("{} = {value:.1}", field.name),
        };
        fields.iter().map(figure).collect::<Vec<_>>().join(", ")
    }
}

impl fmt::Display for Alert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rates::ChannelRates;
    use crate::samples::channel;
    use crate::words::Condition;

    fn holds(text: &str) -> bool {
        let alert: Alert = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
        let mut channel = channel("a").snapshot;
        (channel.depth, channel.sent, channel.full, channel.parked_senders) = (12, 40, 3, 2);
        let rates =
            ChannelRates { sent: 10.0, received: 2.5, bytes_sent: 0.0, bytes_received: 0.0 };
        alert.holds(&Subject {
            channel: &channel,
            rates: Some(&rates),
            condition: Condition::Throttled,
        })
    }

    #[test]
    fn comparisons() {
        for (text, expected) in [
            ("depth > 11", true),
            ("depth > 12", false),
            ("depth >= 12", true),
            ("depth<12", false),
            ("depth <= 12", true),
            ("depth == 12", true),
            ("depth = 12", true),
            ("depth != 12", false),
            ("11 < depth", true),
            ("receive_rate < 2.6", true),
            ("fill >= 75", true),
            ("fill > 75", false),
        ] {
            assert_eq!(holds(text), expected, "{text}");
        }
    }

    #[test]
    fn words_bind_as_usual() {
        for (text, expected) in [
            ("throttled", true),
            ("closed", false),
            ("not closed", true),
            ("!closed && throttled", true),
            ("closed and closed or throttled", true),
            ("closed and (closed or throttled)", false),
            ("not closed and closed", false),
            ("not (closed and closed)", true),
            ("throttled or closed and closed", true),
            ("closed || throttled", true),
        ] {
            assert_eq!(holds(text), expected, "{text}");
        }
    }

    #[test]
    fn sums_bind_as_usual() {
        for text in [
            "send_rate - receive_rate == 7.5",
            "2 + 3 * 4 == 14",
            "(2 + 3) * 4 == 20",
            "20 - 5 - 5 == 10",
            "24 / 4 / 3 == 2",
            "depth / capacity > 0.7",
            "1e3 == 1000",
        ] {
            assert!(holds(text), "{text}");
        }
    }

    #[test]
    fn what_is_unknown_is_never_so() {
        for text in ["oldest_age > 0", "oldest_age <= 0", "1 / 0 > 1", "0 / 0 == 0 / 0"] {
            assert!(!holds(text), "{text}");
        }
        assert!(holds("not (oldest_age > 0)"));
    }

    #[test]
    fn figures_are_shown_once_each() {
        let alert: Alert =
            "depth > 1 and depth < 9 or closed or oldest_age > 1".parse().expect("parses");
        let channel = channel("a").snapshot;
        let subject = Subject { channel: &channel, rates: None, condition: Condition::Idle };
        assert_eq!(alert.figures(&subject), "depth = 0, closed = no, oldest_age unknown");
    }
}
