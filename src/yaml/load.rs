//! From parser events to nodes. The only file that knows the parser.

use super::{Node, Style, Yaml, hint, lenient::Indented, merge, scalar};
use crate::text::{Problem, Problems, SourceFile, Span};
use granit_parser::{ErrorKind, Event, Parser, ScalarStyle, ScanError, Tag};
use std::{collections::HashMap, sync::Arc};

/// How deep lists and mappings may nest, aliases expanded.
const MAX_DEPTH: usize = 200;
/// How many nodes aliases may copy in one file ("billion laughs").
const MAX_ALIASED: usize = 200_000;

/// The documents of a file, and what deserves a look.
#[derive(Debug)]
pub struct Parsed {
    /// One node per document; a file without any content has none.
    pub documents: Vec<Node>,
    /// Duplicate keys.
    pub warnings: Problems,
}

/// The documents of a file; warnings are dropped.
pub fn parse(file: &Arc<SourceFile>) -> Result<Vec<Node>, Problems> {
    read(file).map(|parsed| parsed.documents)
}

/// The documents of a file, with warnings. The parser stops at its first syntax error; what is wrong in the documents
/// before it is reported with it.
pub fn read(file: &Arc<SourceFile>) -> Result<Parsed, Problems> {
    let mut source = Indented::new(&file.text);
    loop {
        let mut composer = Composer::new(file, &source);
        let outcome = compose(&mut composer);
        let Composer { mut problems, documents, .. } = composer;
        if let Err(error) = outcome {
            let at = error.marker().byte_offset().unwrap_or(source.text.len());
            if *error.kind() == ErrorKind::InvalidQuotedScalarIndent && source.indent(at) {
                continue;
            }
            problems.push(syntax(file, source.original(at), &error));
        }
        return if problems.has_errors() { Err(problems) } else { Ok(Parsed { documents, warnings: problems }) };
    }
}

/// Feeds all events; stops early where a problem makes the rest meaningless.
fn compose(composer: &mut Composer<'_>) -> Result<(), ScanError> {
    let options = granit_parser::options! { emit_comments: false };
    for event in Parser::new_from_str_with_options(&composer.source.text, options) {
        let (event, span) = event?;
        if composer.event(event, span).is_none() {
            break;
        }
    }
    Ok(())
}

fn syntax(file: &Arc<SourceFile>, at: usize, error: &ScanError) -> Problem {
    let at = (0..=at.min(file.text.len())).rev().find(|i| file.text.is_char_boundary(*i)).unwrap_or(0);
    let end = file.text[at..].chars().next().map_or(at, |c| at + c.len_utf8());
    let problem = Problem::at(&Span::new(file, at, end), error.info());
    match hint::for_syntax(&file.text, at) {
        Some(hint) => problem.hint(hint),
        None => problem,
    }
}

/// A node with the height of its tree and how many nodes it has, so that copies are counted without walking.
#[derive(Clone)]
struct Built {
    node: Node,
    height: usize,
    size: usize,
}

/// A list or mapping that is still open.
struct Open {
    is_map: bool,
    span: Span,
    tag: Option<String>,
    anchor: usize,
    children: Vec<Node>,
    height: usize,
    size: usize,
}

struct Composer<'a> {
    file: &'a Arc<SourceFile>,
    source: &'a Indented<'a>,
    problems: Problems,
    open: Vec<Open>,
    anchors: HashMap<usize, Built>,
    aliased: usize,
    documents: Vec<Node>,
}

impl<'a> Composer<'a> {
    fn new(file: &'a Arc<SourceFile>, source: &'a Indented<'a>) -> Self {
        Self { file, source, problems: Problems::default(), open: Vec::new(), anchors: HashMap::new(), aliased: 0, documents: Vec::new() }
    }

    /// `None`: stop reading.
    fn event(&mut self, event: Event<'_>, at: granit_parser::Span) -> Option<()> {
        let span = self.span(&at);
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let tag = tag.as_deref().map(tag_name);
                let node = scalar(&text, style, tag, span);
                self.add(Built { node, height: 1, size: 1 }, anchor)
            }
            Event::SequenceStart(_, anchor, tag) => self.start(false, span, anchor, tag.as_deref()),
            Event::MappingStart(_, anchor, tag) => self.start(true, span, anchor, tag.as_deref()),
            Event::SequenceEnd | Event::MappingEnd => self.end(&span),
            Event::Alias(id) => self.alias(id, span),
            _ => Some(()),
        }
    }

    fn span(&self, at: &granit_parser::Span) -> Span {
        let len = self.source.text.len();
        let offset = |m: &granit_parser::Marker| self.source.original(m.byte_offset().unwrap_or(len));
        Span::new(self.file, offset(&at.start), offset(&at.end))
    }

    fn start(&mut self, is_map: bool, span: Span, anchor: usize, tag: Option<&Tag>) -> Option<()> {
        if self.open.len() >= MAX_DEPTH {
            self.problems.push(too_deep(&span));
            return None;
        }
        self.open.push(Open { is_map, span, tag: tag.map(tag_name), anchor, children: Vec::new(), height: 0, size: 0 });
        Some(())
    }

    fn end(&mut self, last: &Span) -> Option<()> {
        let open = self.open.pop()?;
        // A block collection's end event stands at the next token: its last child says where it really ends.
        let end = open.children.iter().map(|c| c.span.end).max().unwrap_or(open.span.end).max(open.span.end);
        let end = if last.text().starts_with([']', '}']) { last.end } else { end };
        let span = Span::new(self.file, open.span.start, end);
        let value = if open.is_map { self.mapping(open.children) } else { Yaml::Seq(open.children) };
        let node = Node { value, span, tag: open.tag, style: Style::Collection };
        self.add(Built { node, height: open.height + 1, size: open.size + 1 }, open.anchor)
    }

    fn alias(&mut self, id: usize, span: Span) -> Option<()> {
        let Some(mut built) = self.anchors.get(&id).cloned() else {
            self.problems.push(Problem::at(&span, "this alias stands inside the value that it refers to"));
            return None;
        };
        self.aliased += built.size;
        if self.aliased > MAX_ALIASED {
            let problem = Problem::at(&span, format!("aliases expand to more than {MAX_ALIASED} values"));
            self.problems.push(problem.hint("a file like this is an attack or a mistake; write the values out where they are used"));
            return None;
        }
        // A scalar is best shown where it is used; inside a copied tree each value keeps its own place.
        if built.height == 1 && !matches!(built.node.value, Yaml::Int(_) | Yaml::Float(_) | Yaml::Bool(_)) {
            built.node.span = span;
        }
        self.add(built, 0)
    }

    fn add(&mut self, built: Built, anchor: usize) -> Option<()> {
        if self.open.len() + built.height > MAX_DEPTH {
            self.problems.push(too_deep(&built.node.span));
            return None;
        }
        if anchor != 0 {
            self.anchors.insert(anchor, built.clone());
        }
        match self.open.last_mut() {
            Some(open) => {
                open.height = open.height.max(built.height);
                open.size += built.size;
                open.children.push(built.node);
            }
            None => self.documents.push(built.node),
        }
        Some(())
    }

    /// Keys and values in turn → entries, merged (`<<`), without repeats.
    fn mapping(&mut self, children: Vec<Node>) -> Yaml {
        let mut entries = Vec::with_capacity(children.len() / 2);
        let mut children = children.into_iter();
        while let (Some(key), Some(value)) = (children.next(), children.next()) {
            if matches!(key.value, Yaml::Seq(_) | Yaml::Map(_)) {
                let problem = Problem::at(&key.span, format!("{} cannot be a key", key.kind()));
                self.problems.push(match hint::for_key(&self.file.text, key.span.start) {
                    Some(hint) => problem.hint(hint),
                    None => problem,
                });
                continue;
            }
            entries.push((key, value));
        }
        Yaml::Map(merge::flatten(entries, &mut self.problems))
    }
}

fn too_deep(span: &Span) -> Problem {
    Problem::at(span, format!("lists and mappings nest deeper than {MAX_DEPTH} levels"))
}

fn tag_name(tag: &Tag) -> String {
    match tag.suffix_in_namespace("tag:yaml.org,2002:") {
        Some(name) => format!("!!{name}"),
        None => format!("{}{}", tag.handle(), tag.suffix()),
    }
}

fn scalar(text: &str, style: ScalarStyle, tag: Option<String>, span: Span) -> Node {
    let text_value = || Yaml::String(text.to_owned());
    let value = match (tag.as_deref(), style) {
        (Some("!!int"), _) => scalar::int(text).unwrap_or_else(text_value),
        (Some("!!float"), _) => scalar::float(text).or_else(|| text.parse().ok().map(Yaml::Float)).unwrap_or_else(text_value),
        (Some("!!bool" | "!!null" | "!!timestamp"), _) | (None, ScalarStyle::Plain) => scalar::resolve(text),
        _ => text_value(),
    };
    let style = match style {
        ScalarStyle::Plain => Style::Plain,
        ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => Style::Quoted,
        ScalarStyle::Literal | ScalarStyle::Folded => Style::Block,
    };
    Node { value, span, tag, style }
}
