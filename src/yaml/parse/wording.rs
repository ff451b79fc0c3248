//! What the parser says of a node, in our words; and where go-yaml hears something else in it.

use granit_parser::StructureStyle;
use smol_str::SmolStr;

use crate::yaml::node::{CollectionStyle, ScalarStyle};
use crate::yaml::text::{Span, to_u32};

pub(super) fn short_tag(tag: &granit_parser::Tag) -> SmolStr {
    match tag.parts() {
        ("tag:yaml.org,2002:", suffix) => smol_str::format_smolstr!("!!{suffix}"),
        (handle, suffix) => smol_str::format_smolstr!("{handle}{suffix}"),
    }
}

pub(super) fn is_block(style: ScalarStyle) -> bool {
    matches!(style, ScalarStyle::Literal | ScalarStyle::Folded)
}

/// True for a block scalar that has a tab in front of its first line of text, where go-yaml still looks how far it is
/// indented; a digit behind its `|` says that. `before`: what stands in front of the text.
pub(super) fn begins_with_tab(before: &str, block: &str) -> bool {
    let mut has_tab = block.trim_start_matches([' ', '\n']).starts_with('\t');
    for line in before.rsplit('\n') {
        if !line.trim().is_empty() {
            let header = line.rfind(['|', '>']).and_then(|at| line.get(at..)).unwrap_or_default();
            let is_told =
                header.trim_start_matches(['|', '>', '+', '-']).starts_with(|next: char| next.is_ascii_digit());
            return has_tab && !is_told;
        }
        has_tab |= line.contains('\t');
    }
    has_tab
}

/// True for a block scalar that ends because the next line has a tab in its indentation: go-yaml takes that for a mistake,
/// even where nothing else is on the line.
pub(super) fn ends_before_tab(part: &str, span: Span) -> bool {
    part.as_bytes().get(span.end as usize) == Some(&b'\t')
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
