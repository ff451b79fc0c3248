//! Numbers.

use super::super::function::{ANY, Arguments, Table};
use super::super::value::Value;
use super::{float_of, int_of};

pub(super) const TABLE: Table = &[
    ("int", 1, |a| Ok(int_of(a.any(0)?).into())),
    ("int64", 1, |a| Ok(int_of(a.any(0)?).into())),
    ("float64", 1, |a| Ok(float_of(a.any(0)?).into())),
    ("atoi", 1, |a| Ok(a.text(0)?.parse::<i64>().unwrap_or(0).into())),
    ("toDecimal", 1, |a| Ok(i64::from_str_radix(&super::text_of(a.any(0)?), 8).unwrap_or(0).into())),
    ("add1", 1, |a| Ok(int_of(a.any(0)?).wrapping_add(1).into())),
    ("add", ANY, |a| Ok(a.values.iter().map(int_of).fold(0, i64::wrapping_add).into())),
    ("sub", 2, |a| Ok(int_of(a.any(0)?).wrapping_sub(int_of(a.any(1)?)).into())),
    ("mul", ANY, |a| {
        a.count(1, usize::MAX)?;
        Ok(a.values.iter().map(int_of).fold(1, i64::wrapping_mul).into())
    }),
    ("div", 2, |a| divided(a, i64::checked_div)),
    ("mod", 2, |a| divided(a, i64::checked_rem)),
    ("max", ANY, |a| Ok(int_of(a.any(0)?).max(a.values.iter().map(int_of).max().unwrap_or(0)).into())),
    ("biggest", ANY, |a| Ok(int_of(a.any(0)?).max(a.values.iter().map(int_of).max().unwrap_or(0)).into())),
    ("min", ANY, |a| Ok(int_of(a.any(0)?).min(a.values.iter().map(int_of).min().unwrap_or(0)).into())),
    ("maxf", ANY, |a| Ok(a.values.iter().map(float_of).fold(float_of(a.any(0)?), f64::max).into())),
    ("minf", ANY, |a| Ok(a.values.iter().map(float_of).fold(float_of(a.any(0)?), f64::min).into())),
    ("addf", ANY, |a| Ok(a.values.iter().map(float_of).sum::<f64>().into())),
    ("subf", ANY, |a| Ok(a.values.iter().skip(1).map(float_of).fold(float_of(a.any(0)?), |from, by| from - by).into())),
    ("mulf", ANY, |a| Ok(a.values.iter().map(float_of).product::<f64>().into())),
    ("divf", 2, |a| Ok((float_of(a.any(0)?) / float_of(a.any(1)?)).into())),
    ("floor", 1, |a| Ok(float_of(a.any(0)?).floor().into())),
    ("ceil", 1, |a| Ok(float_of(a.any(0)?).ceil().into())),
    ("round", 2, |a| {
        let (float, digits) = (float_of(a.any(0)?), a.int(1)?.clamp(-300, 300));
        let power = 10_f64.powi(i32::try_from(digits).unwrap_or(0));
        let scaled = float * power;
        let fraction = scaled.rem_euclid(1.0);
        let rounded = if fraction >= 0.5 { scaled.ceil() } else { scaled.floor() };
        Ok(Value::Float(rounded / power))
    }),
];

fn divided(a: &Arguments<'_>, by: fn(i64, i64) -> Option<i64>) -> Result<Value, String> {
    by(int_of(a.any(0)?), int_of(a.any(1)?)).map(Value::Int).ok_or_else(|| "integer divide by zero".to_owned())
}
