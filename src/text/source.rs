//! Where a piece of text came from.

use std::{fmt, sync::Arc};

/// A file that a person wrote, with the name it is shown by.
#[derive(PartialEq, Eq)]
pub struct SourceFile {
    /// As the user named it (a path relative to where the command ran), or `<embedded>/…`, `-e`, `<stdin>`.
    pub name: String,
    /// The whole text.
    pub text: String,
}

impl SourceFile {
    /// A source by name and text.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Arc<Self> {
        Arc::new(Self { name: name.into(), text: text.into() })
    }
}

impl fmt::Debug for SourceFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SourceFile({})", self.name)
    }
}

/// A byte range of a source file. Cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct Span {
    /// The file.
    pub file: Arc<SourceFile>,
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

impl Span {
    /// A byte range of a file; it is cut to the text's length.
    pub fn new(file: &Arc<SourceFile>, start: usize, end: usize) -> Self {
        let len = file.text.len();
        Self { file: Arc::clone(file), start: start.min(len), end: end.clamp(start.min(len), len) }
    }

    /// The range's text.
    pub fn text(&self) -> &str {
        self.file.text.get(self.start..self.end).unwrap_or_default()
    }

    /// Line and column of the start, both from 1; the column counts characters.
    pub fn line_column(&self) -> (usize, usize) {
        let before = self.file.text.get(..self.start).unwrap_or_default();
        let line = before.bytes().filter(|b| *b == b'\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        (line, column)
    }
}

/// `file:line:column`, the form that editors and terminals make clickable.
impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (line, column) = self.line_column();
        write!(f, "{}:{line}:{column}", self.file.name)
    }
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::{SourceFile, Span};

    #[test]
    fn line_and_column_count_from_one_and_in_characters() {
        let file = SourceFile::new("a.yml", "é: 1\nb: x\n");
        assert_eq!(Span::new(&file, 0, 2).to_string(), "a.yml:1:1");
        assert_eq!(Span::new(&file, 4, 5).to_string(), "a.yml:1:4");
        assert_eq!(Span::new(&file, 9, 10).line_column(), (2, 4));
        assert_eq!(Span::new(&file, 9, 10).text(), "x");
        assert_eq!(Span::new(&file, 900, 1000).text(), "");
    }
}
