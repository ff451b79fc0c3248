//! Numbers as Go reads and prints them.

use std::fmt::Write as _;

use serde_json::{Number, Value};

/// A float as it comes back from the JSON that Go writes: integral ones are integers while they fit 64 bits.
/// `None` for what JSON cannot hold.
pub fn number_from_f64(number: f64) -> Option<Value> {
    /// 2^63 and 2^64, exactly.
    const I64_END: f64 = 9_223_372_036_854_775_808.0;
    const U64_END: f64 = 18_446_744_073_709_551_616.0;
    if number.fract() != 0.0 || !(-I64_END..U64_END).contains(&number) {
        return Number::from_f64(number).map(Value::Number);
    }
    // Beyond 2^53 the shortest decimal digits are not the exact integer, and those digits are what is read back.
    if number.abs() < 9_007_199_254_740_992.0 {
        return Some(Value::from(number as i64));
    }
    let digits = format!("{number}");
    let shortest = digits.parse::<i64>().map(Value::from).or_else(|_| digits.parse::<u64>().map(Value::from));
    shortest.ok().or_else(|| Number::from_f64(number).map(Value::Number))
}

/// A number as Go prints it.
pub(super) fn push_number(out: &mut String, number: &Number) {
    let float = if number.is_f64() { number.as_f64() } else { None };
    match float.map(|float| (float, number_from_f64(float))) {
        Some((float, Some(Value::Number(number)))) if number.is_f64() => push_float(out, float),
        Some((_, Some(Value::Number(integer)))) => {
            let _ = write!(out, "{integer}");
        }
        _ => {
            let _ = write!(out, "{number}");
        }
    }
}

/// A float as Go prints it.
pub fn float_text(number: f64) -> String {
    let mut text = String::new();
    push_float(&mut text, number);
    text
}

/// Go's `%g` with the shortest digits: exponents below -4 and from 6 on are written.
pub(super) fn push_float(out: &mut String, number: f64) {
    let scientific = format!("{number:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    let _ = if (-4..6).contains(&exponent) {
        write!(out, "{number}")
    } else {
        let sign = if exponent < 0 { '-' } else { '+' };
        write!(out, "{mantissa}e{sign}{:02}", exponent.unsigned_abs())
    };
}
