//! Text that people read or must not read: source positions, problems with excerpts, secrets.

mod problem;
mod secret;
mod source;

pub use problem::{Excerpt, Problem, Problems, Severity};
pub use secret::Secret;
pub use source::{SourceFile, Span};

/// The nearest of `known` to `word`, for "did you mean …": `None` where nothing is near.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|k| (strsim::normalized_damerau_levenshtein(word, k), k))
        .filter(|(score, _)| *score > 0.6)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, k)| k)
}
