//! Reading an alert.

use std::fmt;
use std::str::FromStr;

use super::field::{field, field_list};
use super::{Alert, Arithmetic, Comparison, Expression, Sort};

/// How deep conditions may lie in each other.
const DEEPEST: usize = 64;

/// Why a text is no alert.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ParseError {
    what: String,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for ParseError {}

type Result<T> = std::result::Result<T, ParseError>;

fn wrong<T>(what: impl Into<String>) -> Result<T> {
    Err(ParseError { what: what.into() })
}

impl FromStr for Alert {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self> {
        let mut parser = Parser { words: words(text)?.into_iter().peekable(), depth: 0 };
        let condition = parser.either()?;
        if let Some(word) = parser.words.next() {
            return wrong(format!("`{word}` is too much"));
        }
        let condition = truth(condition, "an alert")?;
        Ok(Self { text: text.trim().into(), condition })
    }
}

/// Takes a text apart.
fn words(text: &str) -> Result<Vec<String>> {
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let len = if first.is_ascii_alphabetic() || first == '_' {
            rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len())
        } else if first.is_ascii_digit() || first == '.' {
            number_len(rest)
        } else if [">=", "<=", "==", "!=", "&&", "||"].iter().any(|word| rest.starts_with(word)) {
            2
        } else if "><=!+-*/()".contains(first) {
            1
        } else {
            return wrong(format!("`{first}` has no meaning here"));
        };
        let (word, behind) = rest.split_at(len);
        words.push(word.to_string());
        rest = behind.trim_start();
    }
    Ok(words)
}

/// The length of the number at the beginning of a text, with an exponent, if there is one.
fn number_len(text: &str) -> usize {
    let digits =
        |text: &str| text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let len = digits(text);
    match text[len..].strip_prefix('e').map(digits) {
        Some(exponent) if exponent > 0 => len + 1 + exponent,
        _ => len,
    }
}

fn truth(expression: Expression, whose: &str) -> Result<Expression> {
    match expression.sort() {
        Sort::Truth => Ok(expression),
        Sort::Number => {
            wrong(format!("{whose} is a condition, such as `depth > 100`, not a number"))
        }
    }
}

fn number(expression: Expression, operator: &str) -> Result<Box<Expression>> {
    match expression.sort() {
        Sort::Number => Ok(Box::new(expression)),
        Sort::Truth => wrong(format!("`{operator}` stands between numbers, not conditions")),
    }
}

struct Parser {
    words: std::iter::Peekable<std::vec::IntoIter<String>>,
    depth: usize,
}

impl Parser {
    /// Takes the next word if it is one of these.
    fn take(&mut self, wanted: &[&str]) -> Option<String> {
        self.words.next_if(|word| wanted.contains(&word.as_str()))
    }

    fn either(&mut self) -> Result<Expression> {
        let mut left = self.both()?;
        while self.take(&["or", "||"]).is_some() {
            let right = truth(self.both()?, "what `or` joins")?;
            left = Expression::Or(Box::new(truth(left, "what `or` joins")?), Box::new(right));
        }
        Ok(left)
    }

    fn both(&mut self) -> Result<Expression> {
        let mut left = self.negation()?;
        while self.take(&["and", "&&"]).is_some() {
            let right = truth(self.negation()?, "what `and` joins")?;
            left = Expression::And(Box::new(truth(left, "what `and` joins")?), Box::new(right));
        }
        Ok(left)
    }

    fn negation(&mut self) -> Result<Expression> {
        if self.take(&["not", "!"]).is_none() {
            return self.comparison();
        }
        let inner = self.deeper(Self::negation)?;
        Ok(Expression::Not(Box::new(truth(inner, "what follows `not`")?)))
    }

    fn comparison(&mut self) -> Result<Expression> {
        let left = self.sum()?;
        let Some(word) = self.take(&[">", ">=", "<", "<=", "==", "=", "!="]) else {
            return Ok(left);
        };
        let comparison = match word.as_str() {
            ">" => Comparison::More,
            ">=" => Comparison::Least,
            "<" => Comparison::Less,
            "<=" => Comparison::Most,
            "!=" => Comparison::Other,
            _ => Comparison::Same,
        };
        let right = number(self.sum()?, &word)?;
        Ok(Expression::Compare(comparison, number(left, &word)?, right))
    }

    fn sum(&mut self) -> Result<Expression> {
        let mut left = self.product()?;
        while let Some(word) = self.take(&["+", "-"]) {
            let sign = if word == "+" { Arithmetic::Plus } else { Arithmetic::Minus };
            let right = number(self.product()?, &word)?;
            left = Expression::Compute(sign, number(left, &word)?, right);
        }
        Ok(left)
    }

    fn product(&mut self) -> Result<Expression> {
        let mut left = self.operand()?;
        while let Some(word) = self.take(&["*", "/"]) {
            let sign = if word == "*" { Arithmetic::Times } else { Arithmetic::Over };
            let right = number(self.operand()?, &word)?;
            left = Expression::Compute(sign, number(left, &word)?, right);
        }
        Ok(left)
    }

    fn operand(&mut self) -> Result<Expression> {
        let Some(word) = self.words.next() else {
            return wrong("something is missing at the end");
        };
        if word == "(" {
            let inner = self.deeper(Self::either)?;
            return match self.take(&[")"]) {
                Some(_) => Ok(inner),
                None => wrong("a `)` is missing"),
            };
        }
        if word.starts_with(|first: char| first.is_ascii_digit() || first == '.') {
            return match word.parse::<f64>() {
                Ok(number) if number.is_finite() => Ok(Expression::Number(number)),
                _ => wrong(format!("`{word}` is no number")),
            };
        }
        match field(&word) {
            Some(field) => Ok(Expression::Field(field)),
            None if word.starts_with(|first: char| first.is_ascii_alphabetic()) => {
                wrong(format!("a channel has no `{word}`. It has:\n{}", field_list()))
            }
            None => wrong(format!("a number or a field is missing before `{word}`")),
        }
    }

    fn deeper(&mut self, parse: fn(&mut Self) -> Result<Expression>) -> Result<Expression> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return wrong("too many conditions within each other");
        }
        let inner = parse(self);
        self.depth -= 1;
        inner
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        match text.parse::<Alert>() {
            Ok(alert) => panic!("{alert:?}"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, expected) in [
            ("", "something is missing at the end"),
            ("depth >", "something is missing at the end"),
            ("depth", "an alert is a condition"),
            ("depth + 1", "an alert is a condition"),
            ("> 3", "missing before `>`"),
            ("depht > 3", "a channel has no `depht`. It has:\n  depth "),
            ("depth > 3 4", "`4` is too much"),
            ("(depth > 3", "a `)` is missing"),
            ("depth > 3)", "`)` is too much"),
            ("depth > closed", "between numbers"),
            ("closed + 1 > 2", "between numbers"),
            ("depth and closed", "what `and` joins is a condition"),
            ("closed or 3", "what `or` joins is a condition"),
            ("not depth", "what follows `not` is a condition"),
            ("depth > 3 # many", "`#` has no meaning here"),
            ("depth > 1.2.3", "`1.2.3` is no number"),
            ("depth > 1e999", "`1e999` is no number"),
            ("depth > \u{e9}", "has no meaning here"),
        ] {
            let error = error(text);
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn no_text_is_too_deep_to_be_refused() {
        for deep in ["(".repeat(100_000), "not ".repeat(100_000)] {
            assert!(error(&deep).contains("within each other"));
        }
        let fine = format!("{}depth > 1{}", "(".repeat(60), ")".repeat(60));
        assert!(fine.parse::<Alert>().is_ok());
    }

    #[test]
    fn an_alert_is_shown_as_it_was_written() {
        let alert: Alert = "  depth>100 ".parse().expect("parses");
        assert_eq!(alert.to_string(), "depth>100");
    }
}
