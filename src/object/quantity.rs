//! Kubernetes' quantities (`500m`, `1.5Gi`, `1e3`): the same amount in other words is the same quantity.
//!
//! Source: the API documentation of `resource.Quantity`. Amounts are exact down to one billionth, smaller parts are
//! rounded away from zero, and the largest amount is 2^63-1, as the API server has it.

use std::cmp::Ordering;
use std::fmt;

use serde_json::Value;

const NANO: i128 = 1_000_000_000;
const LARGEST: i128 = i64::MAX as i128 * NANO;

/// An amount, and the family of suffixes in which it was written.
#[derive(Clone, Copy, Debug)]
pub struct Quantity {
    billionths: i128,
    family: Family,
}

/// The suffixes that an amount keeps when it is written in its canonical form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    /// `m`, `k`, `M` …
    Decimal,
    /// `Ki`, `Mi` …
    Binary,
    /// `e3`, `E6` …
    Exponent,
}

impl Quantity {
    /// Reads a quantity; `None` when the text is none.
    pub fn parse(text: &str) -> Option<Self> {
        let (is_negative, digits) = match text.as_bytes().first()? {
            b'-' => (true, &text[1..]),
            b'+' => (false, &text[1..]),
            _ => (false, text),
        };
        let end = digits.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(digits.len());
        let (number, suffix) = digits.split_at(end);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if whole.len() + fraction.len() == 0 || fraction.contains('.') {
            return None;
        }
        let (scale, family) = Scale::parse(suffix)?;
        let amount = scale.billionths(whole, fraction);
        Some(Quantity { billionths: if is_negative { -amount } else { amount }, family })
    }

    /// Reads a field: manifests write quantities as texts and as numbers.
    pub fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::String(text) => Quantity::parse(text),
            Value::Number(number) => Quantity::parse(&number.to_string()),
            _ => None,
        }
    }

    /// The amount in billionths.
    pub fn billionths(&self) -> i128 {
        self.billionths
    }
}

/// True when both are quantities of the same amount: `1` and `1000m`, `0.5Gi` and `512Mi`.
pub fn same(left: &Value, right: &Value) -> bool {
    match (Quantity::from_value(left), Quantity::from_value(right)) {
        (Some(left), Some(right)) => left == right,
        _ => false,
    }
}

/// What a suffix multiplies by.
enum Scale {
    Decimal(i32),
    /// Powers of 1024.
    Binary(u32),
}

impl Scale {
    fn parse(suffix: &str) -> Option<(Self, Family)> {
        let decimal = |exponent| Some((Scale::Decimal(exponent), Family::Decimal));
        let binary = |power| Some((Scale::Binary(power), Family::Binary));
        match suffix {
            "n" => decimal(-9),
            "u" => decimal(-6),
            "m" => decimal(-3),
            "" => decimal(0),
            "k" => decimal(3),
            "M" => decimal(6),
            "G" => decimal(9),
            "T" => decimal(12),
            "P" => decimal(15),
            "E" => decimal(18),
            "Ki" => binary(1),
            "Mi" => binary(2),
            "Gi" => binary(3),
            "Ti" => binary(4),
            "Pi" => binary(5),
            "Ei" => binary(6),
            _ => {
                let exponent = suffix.strip_prefix(['e', 'E'])?;
                // Beyond this every amount but zero is the largest, or one billionth.
                let exponent = exponent.parse::<i32>().ok()?.clamp(-1000, 1000);
                Some((Scale::Decimal(exponent), Family::Exponent))
            }
        }
    }

    /// The amount of these digits, those of the fraction included.
    fn billionths(&self, whole: &str, fraction: &str) -> i128 {
        let mut digits: Vec<u8> = whole.bytes().chain(fraction.bytes()).map(|digit| digit - b'0').collect();
        let exponent = match self {
            Scale::Decimal(exponent) => *exponent,
            Scale::Binary(power) => {
                (0..*power).for_each(|_| multiply(&mut digits, 1024));
                0
            }
        };
        let Some(first) = digits.iter().position(|digit| *digit != 0) else { return 0 };
        let digits = &digits[first..];
        let shift = exponent as isize - fraction.len() as isize + 9;
        let length = digits.len() as isize + shift;
        if length > LARGEST.ilog10() as isize + 1 {
            return LARGEST;
        }
        // No more than the digits of the largest are left, so that nothing below overflows.
        let (kept, cut) = digits.split_at(digits.len().min(length.max(0) as usize));
        let amount = kept.iter().fold(0i128, |amount, digit| amount * 10 + i128::from(*digit));
        let amount = amount * 10i128.pow(shift.max(0) as u32);
        let is_cut = cut.iter().any(|digit| *digit != 0);
        (amount + i128::from(is_cut)).min(LARGEST)
    }
}

/// Multiplies a number of decimal digits.
fn multiply(digits: &mut Vec<u8>, factor: u32) {
    let mut carry = 0;
    for digit in digits.iter_mut().rev() {
        carry += u32::from(*digit) * factor;
        *digit = (carry % 10) as u8;
        carry /= 10;
    }
    while carry > 0 {
        digits.insert(0, (carry % 10) as u8);
        carry /= 10;
    }
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Self) -> bool {
        self.billionths == other.billionths
    }
}

impl Eq for Quantity {}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Quantity {
    fn cmp(&self, other: &Self) -> Ordering {
        self.billionths.cmp(&other.billionths)
    }
}

/// In its canonical form, as the API server returns it: no fraction, the largest suffix of its family that allows it.
impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = self.billionths / NANO;
        let is_whole = self.billionths % NANO == 0;
        if self.family == Family::Binary && is_whole && whole.abs() >= 1024 {
            let (mut amount, mut power) = (whole, 0);
            while amount % 1024 == 0 && power < 6 {
                amount /= 1024;
                power += 1;
            }
            return write!(f, "{amount}{}", ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"][power]);
        }
        if self.billionths == 0 {
            return f.write_str("0");
        }
        let (mut amount, mut step) = (self.billionths, 0);
        while amount % 1000 == 0 && step < 9 {
            amount /= 1000;
            step += 1;
        }
        match (self.family, step) {
            (Family::Exponent, 3) => write!(f, "{amount}"),
            (Family::Exponent, step) => write!(f, "{amount}e{}", step as i32 * 3 - 9),
            (_, step) => write!(f, "{amount}{}", ["n", "u", "m", "", "k", "M", "G", "T", "P", "E"][step]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn each_quantity_has_one_canonical_form() {
        let cases = [
            // written, canonical
            ("0", "0"),
            ("0Ki", "0"),
            ("1", "1"),
            ("+1", "1"),
            ("-1.5", "-1500m"),
            ("1000m", "1"),
            ("0.5", "500m"),
            (".5", "500m"),
            ("5.", "5"),
            ("100000", "100k"),
            ("1500k", "1500k"),
            ("1e3", "1e3"),
            ("1E3", "1e3"),
            ("12e-1", "1200e-3"),
            ("1E", "1E"),
            ("1024Ki", "1Mi"),
            ("0.5Gi", "512Mi"),
            ("1.5Gi", "1536Mi"),
            ("1Ki", "1Ki"),
            ("0.5Ki", "512"),
            ("0.1Ki", "102400m"),
            ("512", "512"),
            ("0.1n", "1n"),
            ("-0.1n", "-1n"),
            ("1.0000000001", "1000000001n"),
            ("9223372036854775807", "9223372036854775807"),
            ("1e40", "9223372036854775807"),
            ("1e999999", "9223372036854775807"),
            ("1e-999999", "1e-9"),
            ("0.000000000000000000000000000000000000000000000000001", "1n"),
            ("12345678901234567890123456789012345678901234567890n", "9223372036854775807"),
            ("128974848", "128974848"),
            ("129e6", "129e6"),
            ("123Mi", "123Mi"),
            ("0.101Ei", "116445071965291544576m"),
        ];
        for (written, canonical) in cases {
            let quantity = Quantity::parse(written).unwrap_or_else(|| panic!("{written}"));
            assert_eq!(quantity.to_string(), canonical, "{written}");
        }
    }

    #[test]
    fn other_texts_are_no_quantities() {
        for text in ["", "-", ".", "Ki", "1 Gi", "1gi", "1K", "1e", "1e1.5", "1.2.3", "0x1", "١"] {
            assert_eq!(Quantity::parse(text), None, "{text}");
        }
    }

    #[test]
    fn fields_are_compared_by_amount() {
        let cases = [
            // left, right, same?
            (json!("1"), json!(1), true),
            (json!(0.5), json!("500m"), true),
            (json!("1Gi"), json!("1024Mi"), true),
            (json!("1G"), json!("1Gi"), false),
            (json!("web"), json!("web"), false),
            (json!(null), json!("1"), false),
        ];
        for (left, right, expected) in cases {
            assert_eq!(same(&left, &right), expected, "{left} and {right}");
        }
    }

    #[test]
    fn quantities_are_ordered_by_amount() {
        let order = ["-1Ki", "-1", "0", "1n", "1m", "999m", "1", "1k", "1Ki", "1M", "1Mi", "1E", "1Ei"];
        assert!(order.map(|text| Quantity::parse(text).unwrap()).is_sorted());
    }

    proptest! {
        #[test]
        fn the_canonical_form_reads_back(number in "[+-]?[0-9]{0,22}\\.?[0-9]{1,12}", suffix in "(|n|u|m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei|e-?[0-9]{1,2})") {
            let quantity = Quantity::parse(&format!("{number}{suffix}")).unwrap();
            let again = Quantity::parse(&quantity.to_string()).unwrap();
            prop_assert_eq!(quantity, again);
            prop_assert_eq!(quantity.to_string(), again.to_string());
        }
    }
}
