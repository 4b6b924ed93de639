//! PyYAML takes continuation lines of quoted text at any indentation, YAML itself wants them indented. Real playbooks rely
//! on it (7 of the 4866 YAML files in PyPI's `ansible` 12.3.0), so such lines are indented here before they are parsed;
//! folding drops that space again. Places still name the file as it was written.

use std::borrow::Cow;

/// More than any block's indentation that the parser allows for.
const PAD: usize = 256;
/// Each one costs a parse.
const MAX_REPAIRS: usize = 200;

/// A file's text with some lines indented more than they were written.
pub(super) struct Indented<'a> {
    pub(super) text: Cow<'a, str>,
    /// Where, in the original text, ascending.
    at: Vec<usize>,
}

impl<'a> Indented<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text: Cow::Borrowed(text), at: Vec::new() }
    }

    /// Indents what begins at a byte of the present text. `false`: it was tried already, or too often.
    pub(super) fn indent(&mut self, offset: usize) -> bool {
        let original = self.original(offset);
        if self.at.len() >= MAX_REPAIRS || self.at.last().is_some_and(|last| *last >= original) || !self.text.is_char_boundary(offset) {
            return false;
        }
        self.text.to_mut().insert_str(offset, &" ".repeat(PAD));
        self.at.push(original);
        true
    }

    /// The byte of the original text that a byte of the present one stands for.
    pub(super) fn original(&self, offset: usize) -> usize {
        let mut shift = 0;
        for at in &self.at {
            match offset.checked_sub(at + shift) {
                None | Some(0) => break,
                Some(inside) => shift += inside.min(PAD),
            }
        }
        offset - shift
    }
}

#[cfg(test)]
mod tests {
    use super::{Indented, PAD};

    #[test]
    fn offsets_lead_back() {
        let mut text = Indented::new("ab\ncd\nef");
        assert!(text.indent(3) && text.indent(6 + PAD));
        assert_eq!(text.text.len(), 8 + 2 * PAD);
        let back: Vec<_> = [0, 2, 3, 3 + PAD / 2, 3 + PAD, 5 + PAD, 6 + PAD, 6 + 2 * PAD, 8 + 2 * PAD].map(|o| text.original(o)).into();
        assert_eq!(back, [0, 2, 3, 3, 3, 5, 6, 6, 8]);
        assert!(!text.indent(3));
    }
}
