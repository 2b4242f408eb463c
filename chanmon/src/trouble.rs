//! What went wrong, and what to do about it: for whoever reads the terminal.

use std::fmt;

/// An error that ends the program.
#[derive(Debug)]
pub struct Trouble {
    what: String,
    advice: Option<String>,
}

/// What may end in trouble.
pub type Result<T = ()> = std::result::Result<T, Trouble>;

impl Trouble {
    /// Something went wrong.
    pub fn new(what: impl fmt::Display) -> Self {
        Self { what: what.to_string(), advice: None }
    }

    /// And this is what to do.
    pub fn advise(self, advice: impl fmt::Display) -> Self {
        Self { advice: Some(advice.to_string()), ..self }
    }

    /// In one line, without the advice.
    pub fn what(&self) -> &str {
        &self.what
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        match &self.advice {
            Some(advice) => write!(f, "\n{advice}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Trouble {}
