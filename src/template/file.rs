//! Whole template files: the template module's settings and the `#jinja2:` header.

use super::{Kind, TemplateError};
use minijinja::syntax::SyntaxConfig;
use std::fmt;
use std::sync::Arc;

/// Finds the text of a template that another one includes or imports, by the name it wrote.
pub type TemplateLoader = Arc<dyn Fn(&str) -> Result<Option<String>, String> + Send + Sync>;

/// A template file with the settings of the task that renders it.
#[derive(Clone)]
pub struct TemplateFile {
    /// Its name in messages.
    pub name: String,
    /// Its text.
    pub text: String,
    /// How it is read; a `#jinja2:` header in the text wins.
    pub options: TemplateOptions,
    /// Where `include`, `import` and `extends` find their files.
    pub loader: Option<TemplateLoader>,
}

impl TemplateFile {
    /// A file with the template module's default settings, which may include nothing.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self { name: name.into(), text: text.into(), options: TemplateOptions::default(), loader: None }
    }
}

impl fmt::Debug for TemplateFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TemplateFile").field("name", &self.name).field("options", &self.options).finish_non_exhaustive()
    }
}

/// Jinja's whitespace and delimiter settings (ansible-core: `modules/template.py`, defaults of the template module).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TemplateOptions {
    /// Remove the first newline after a block.
    pub trim_blocks: bool,
    /// Remove whitespace before a block on its line.
    pub lstrip_blocks: bool,
    /// Keep the newline at the end of a template as Jinja sees it. Ansible's result ends with the file's newlines anyway.
    pub keep_trailing_newline: bool,
    /// What ends a line of the template's own text; values keep their line ends.
    pub newline: &'static str,
    /// `{%` and `%}`.
    pub block: (String, String),
    /// `{{` and `}}`.
    pub variable: (String, String),
    /// `{#` and `#}`.
    pub comment: (String, String),
}

impl Default for TemplateOptions {
    fn default() -> Self {
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        Self {
            trim_blocks: true,
            lstrip_blocks: false,
            keep_trailing_newline: false,
            newline: "\n",
            block: pair("{%", "%}"),
            variable: pair("{{", "}}"),
            comment: pair("{#", "#}"),
        }
    }
}

impl TemplateOptions {
    /// Takes a `#jinja2: key: value, …` header off `text` and applies it.
    pub(super) fn header<'t>(&mut self, text: &'t str) -> Result<&'t str, TemplateError> {
        let Some(rest) = text.strip_prefix("#jinja2:") else { return Ok(text) };
        let (header, body) = rest.split_once('\n').unwrap_or((rest, ""));
        for pair in header.split(',').filter(|p| !p.trim().is_empty()) {
            let (key, value) = pair.split_once(':').ok_or_else(|| bad(pair))?;
            let text = value.trim().trim_matches(['"', '\'']);
            let flag = || match text.to_ascii_lowercase().as_str() {
                "true" | "yes" => Ok(true),
                "false" | "no" => Ok(false),
                _ => Err(bad(pair)),
            };
            match key.trim() {
                "trim_blocks" => self.trim_blocks = flag()?,
                "lstrip_blocks" => self.lstrip_blocks = flag()?,
                "keep_trailing_newline" => self.keep_trailing_newline = flag()?,
                "block_start_string" => text.clone_into(&mut self.block.0),
                "block_end_string" => text.clone_into(&mut self.block.1),
                "variable_start_string" => text.clone_into(&mut self.variable.0),
                "variable_end_string" => text.clone_into(&mut self.variable.1),
                "comment_start_string" => text.clone_into(&mut self.comment.0),
                "comment_end_string" => text.clone_into(&mut self.comment.1),
                _ => return Err(bad(pair)),
            }
        }
        Ok(body)
    }

    pub(super) fn syntax(&self) -> Result<SyntaxConfig, TemplateError> {
        let mut builder = SyntaxConfig::builder();
        builder
            .trim_blocks(self.trim_blocks)
            .lstrip_blocks(self.lstrip_blocks)
            .keep_trailing_newline(self.keep_trailing_newline)
            .block_delimiters(self.block.0.clone(), self.block.1.clone())
            .variable_delimiters(self.variable.0.clone(), self.variable.1.clone())
            .comment_delimiters(self.comment.0.clone(), self.comment.1.clone());
        builder.build().map_err(|e| TemplateError::new(Kind::Syntax, format!("template delimiters: {e}")))
    }
}

fn bad(pair: &str) -> TemplateError {
    TemplateError::new(Kind::Syntax, format!("'{}' in the #jinja2: header is not understood", pair.trim()))
}
