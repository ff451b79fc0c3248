//! The order in which go-yaml prints the keys of a mapping.

use std::cmp::Ordering;

/// A mapping's entries in the order in which go-yaml prints them.
///
/// Merge sort by hand: the order is not total for odd keys (its numbers wrap), and the standard library's sort may
/// panic on such an order.
pub(super) fn in_natural_order<'t, T>(entries: impl Iterator<Item = (&'t str, &'t T)>) -> Vec<(&'t str, &'t T)> {
    let mut entries: Vec<_> = entries.collect();
    if entries.len() < 2 {
        return entries;
    }
    let mut other = Vec::with_capacity(entries.len());
    let mut run = 1;
    while run < entries.len() {
        for pair in entries.chunks(2 * run) {
            let (mut left, mut right) = pair.split_at(run.min(pair.len()));
            while let ([first, left_rest @ ..], [second, right_rest @ ..]) = (left, right) {
                if natural_order(second.0, first.0) == Ordering::Less {
                    other.push(*second);
                    right = right_rest;
                } else {
                    other.push(*first);
                    left = left_rest;
                }
            }
            other.extend_from_slice(left);
            other.extend_from_slice(right);
        }
        std::mem::swap(&mut entries, &mut other);
        other.clear();
        run *= 2;
    }
    entries
}

/// go-yaml's order of keys: runs of digits compare as numbers, letters come after everything else.
fn natural_order(left: &str, right: &str) -> Ordering {
    let same = left.bytes().zip(right.bytes()).take_while(|(left, right)| left == right).count();
    // Both sides have the same bytes before it, so it is a border between characters in both or in neither.
    let mut at = same;
    while !left.is_char_boundary(at) {
        at -= 1;
    }
    let (Some((before, left)), Some((_, right))) = (left.split_at_checked(at), right.split_at_checked(at)) else {
        return Ordering::Equal;
    };
    let (Some(a), Some(b)) = (left.chars().next(), right.chars().next()) else {
        return left.len().cmp(&right.len());
    };
    match (a.is_alphabetic(), b.is_alphabetic()) {
        (true, true) => return a.cmp(&b),
        (true, false) => return Ordering::Greater,
        (false, true) => return Ordering::Less,
        (false, false) => {}
    }
    let in_a_number = (a == '0' || b == '0')
        && before.chars().rev().take_while(|character| is_digit(*character)).any(|digit| digit != '0');
    let (a_number, a_length) = leading_number(left, in_a_number);
    let (b_number, b_length) = leading_number(right, in_a_number);
    a_number.cmp(&b_number).then(a_length.cmp(&b_length)).then(a.cmp(&b))
}

fn leading_number(text: &str, in_a_number: bool) -> (i64, usize) {
    text.chars().take_while(|character| is_digit(*character)).fold(
        (i64::from(in_a_number), 0),
        |(number, length), digit| {
            let digit = i64::from(u32::from(digit)) - i64::from(u32::from('0'));
            (number.wrapping_mul(10).wrapping_add(digit), length + 1)
        },
    )
}

fn is_digit(character: char) -> bool {
    character.is_ascii_digit() || (!character.is_ascii() && character.is_numeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_in_their_natural_order() {
        let expected = [
            "_x", "1", "02", "9", "10", "A", "Z", "a-b", "a.b", "a/b", "a_b", "a1", "a01", "a001", "a9", "a10", "aB",
            "ab", "b", "v1", "v10", "v1alpha1", "v1beta1", "é", "中",
        ];
        for given in [expected.to_vec(), expected.iter().rev().copied().collect()] {
            let keys: Vec<&str> =
                in_natural_order(given.into_iter().map(|key| (key, &()))).into_iter().map(|(key, ())| key).collect();
            assert_eq!(keys, expected);
        }
    }
}
