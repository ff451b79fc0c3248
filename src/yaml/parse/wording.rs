//! What the parser says of a node, in our words; and where go-yaml hears something else in it.

use std::borrow::Cow;

use granit_parser::StructureStyle;
use smol_str::SmolStr;

use crate::yaml::node::{CollectionStyle, ScalarStyle};
use crate::yaml::text::{Span, Text, to_u32};

pub(super) fn short_tag(tag: &granit_parser::Tag) -> SmolStr {
    match tag.parts() {
        ("tag:yaml.org,2002:", suffix) => smol_str::format_smolstr!("!!{suffix}"),
        (handle, suffix) => smol_str::format_smolstr!("{handle}{suffix}"),
    }
}

pub(super) fn is_block(style: ScalarStyle) -> bool {
    matches!(style, ScalarStyle::Literal | ScalarStyle::Folded)
}

/// The separators of lines and paragraphs end a line in go-yaml's eyes: in quotes it drops the blanks around them.
/// `written`: the text as its file has it.
pub(super) fn without_blanks_around_separators<'a>(text: &'a str, style: ScalarStyle, written: &str) -> Cow<'a, str> {
    const SEPARATORS: [char; 2] = ['\u{2028}', '\u{2029}'];
    let is_quoted = matches!(style, ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted);
    if !is_quoted || written.is_ascii() || !written.contains(SEPARATORS) {
        return text.into();
    }
    let mut bare = String::with_capacity(text.len());
    for line in text.split_inclusive(SEPARATORS) {
        let line = if bare.is_empty() { line } else { line.trim_start_matches([' ', '\t']) };
        match line.char_indices().next_back() {
            Some((at, separator)) if SEPARATORS.contains(&separator) => {
                bare.push_str(line.get(..at).unwrap_or_default().trim_end_matches([' ', '\t']));
                bare.push(separator);
            }
            _ => bare.push_str(line),
        }
    }
    bare.into()
}

/// How many blanks and line breaks stand behind a text: go-yaml takes them for a part of it when it is in no quotes.
pub(super) fn blanks_behind(text: &Text, span: Span) -> u32 {
    let rest = text.as_str().get(span.end as usize..).unwrap_or_default();
    to_u32(rest.len() - rest.trim_start_matches([' ', '\t', '\n']).len())
}

/// True for a block scalar whose last line is the file's last and has no line break: go-yaml adds none, the parser does.
pub(super) fn is_cut_off(part: &str, span: Span, style: ScalarStyle) -> bool {
    is_block(style)
        && part.len() <= span.end as usize
        && part.rsplit('\n').next().is_some_and(|last| !last.trim_matches(' ').is_empty())
}

pub(super) fn byte_span(span: granit_parser::Span) -> Span {
    let range = span.byte_range().unwrap_or_default();
    Span { start: to_u32(range.start), end: to_u32(range.end) }
}

pub(super) fn is_quoted(style: granit_parser::ScalarStyle) -> bool {
    matches!(style, granit_parser::ScalarStyle::SingleQuoted | granit_parser::ScalarStyle::DoubleQuoted)
}

pub(super) fn scalar_style(style: granit_parser::ScalarStyle) -> ScalarStyle {
    match style {
        granit_parser::ScalarStyle::SingleQuoted => ScalarStyle::SingleQuoted,
        granit_parser::ScalarStyle::DoubleQuoted => ScalarStyle::DoubleQuoted,
        granit_parser::ScalarStyle::Literal => ScalarStyle::Literal,
        granit_parser::ScalarStyle::Folded => ScalarStyle::Folded,
        _ => ScalarStyle::Plain,
    }
}

pub(super) fn collection_style(style: StructureStyle) -> CollectionStyle {
    match style {
        StructureStyle::Block => CollectionStyle::Block,
        StructureStyle::Flow => CollectionStyle::Flow,
    }
}
