//! One part of a field spec's path, and where it leads from a mapping.

/// kustomize reads parts as it reads those of other paths, of which some lead into lists.
pub(in crate::kustomize) enum Step<'a> {
    /// To the field of this name.
    Field(&'a str),
    /// To the mapping itself: blanks name nothing, and nothing they stand around.
    Stay,
    /// To an element, which a mapping has not: by its number, from the end, or by what it holds.
    Element,
    /// To a field without a name.
    Nameless,
}

impl<'a> Step<'a> {
    /// `part` is without the `[]` that stands behind the names of lists.
    pub(in crate::kustomize) fn new(part: &'a str) -> Self {
        let name = part.trim();
        let is_condition = name.starts_with('[') && name.ends_with(']');
        // As Go reads a number: with a sign, with zeros in front, and of 64 bits.
        let is_number = || name.parse::<i64>().is_ok();
        match name {
            _ if part.is_empty() => Step::Nameless,
            "" => Step::Stay,
            "-" | "*" => Step::Element,
            _ if is_condition || is_number() => Step::Element,
            _ => Step::Field(name),
        }
    }
}
