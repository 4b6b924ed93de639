//! What can go wrong in a template, with the text, the line and the variable that it is about.

use std::fmt;

/// Which family an error belongs to: callers treat undefined variables apart (a skipped task may hold them).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A variable, attribute or item that does not exist was used.
    Undefined,
    /// The text is not a template.
    Syntax,
    /// A filter, test, lookup or method is unknown, or refused its input.
    Filter,
    /// Anything else, such as a wrong operand or a missing template file.
    Other,
}

/// A template that could not be rendered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct TemplateError {
    /// The family.
    pub kind: Kind,
    /// What is wrong, as ansible-core words it where users know the wording ("'foo' is undefined").
    pub message: String,
    /// The template's text (or a file's name), shortened.
    pub template: String,
    /// Line within the template, from 1.
    pub line: Option<usize>,
    /// The undefined variable or path (`foo`, `foo.bar`), for [`Kind::Undefined`].
    pub variable: Option<String>,
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.message)?;
        if self.template.is_empty() {
            return Ok(());
        }
        match self.line {
            Some(line) if line > 1 => write!(f, " (line {line} of `{}`)", self.template),
            _ => write!(f, " (in `{}`)", self.template),
        }
    }
}

/// Characters of a template's text that an error shows.
const EXCERPT: usize = 160;

impl TemplateError {
    /// An error that knows no more than its message.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), template: String::new(), line: None, variable: None }
    }

    /// The error of using the variable `name`, which does not exist.
    pub fn undefined(name: &str) -> Self {
        Self { variable: Some(name.to_owned()), ..Self::new(Kind::Undefined, format!("'{name}' is undefined")) }
    }

    /// The same error, said to be in `template`, unless it names one already.
    #[must_use]
    pub(super) fn within(mut self, template: &str) -> Self {
        if self.template.is_empty() {
            self.template = excerpt(template);
        }
        self
    }
}

/// The beginning of a text, on one line.
fn excerpt(text: &str) -> String {
    let text = text.trim();
    let mut short: String = text.chars().take(EXCERPT).map(|c| if c == '\n' { ' ' } else { c }).collect();
    if text.chars().nth(EXCERPT).is_some() {
        short.push('…');
    }
    short
}

/// Something that a text can never do at run time, found without running it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateIssue {
    /// [`Kind::Syntax`], or [`Kind::Filter`] for an unknown filter, test, lookup or function.
    pub kind: Kind,
    /// What is wrong and, where a known name is near, what was probably meant.
    pub message: String,
    /// Line within the text, from 1.
    pub line: usize,
}
