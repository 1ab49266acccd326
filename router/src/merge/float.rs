//! Float: floats as PostgreSQL prints them with `extra_float_digits` ≥ 1 (manual, 8.1.3). In: a float. Out: its text.
//! Never: a digit that PostgreSQL would not print.

use num_bigint::BigUint;

/// Digits that tell any two floats apart.
const MOST_DIGITS: usize = 17;

/// The text of a float8.
pub(super) fn float8(number: f64) -> String {
    if let Some(text) = special(number) {
        return text;
    }
    let shortest = format!("{:e}", number.abs());
    let bits = number.abs().to_bits();
    let binary = binary(bits >> 52, bits & ((1 << 52) - 1), 52, 1075);
    let number_again = |text: &str| text.parse() == Ok(number.abs());
    let exact = strictly(shortest, binary, |behind| format!("{:.behind$e}", number.abs()), number_again);
    notation(number.is_sign_negative(), &exact, 15)
}

/// The text of a float4.
pub(super) fn float4(number: f32) -> String {
    if let Some(text) = special(number.into()) {
        return text;
    }
    let shortest = format!("{:e}", number.abs());
    let bits = u64::from(number.abs().to_bits());
    let binary = binary(bits >> 23, bits & ((1 << 23) - 1), 23, 150);
    let number_again = |text: &str| text.parse() == Ok(number.abs());
    let exact = strictly(shortest, binary, |behind| format!("{:.behind$e}", number.abs()), number_again);
    notation(number.is_sign_negative(), &exact, 6)
}

fn special(number: f64) -> Option<String> {
    let text = match number {
        number if number.is_nan() => "NaN",
        f64::INFINITY => "Infinity",
        f64::NEG_INFINITY => "-Infinity",
        _ => return None,
    };
    Some(text.to_owned())
}

/// The shortest digits that lie strictly nearer to the float than to its neighbours, the nearest of them, the even one
/// of two as near. (PostgreSQL takes none that lie exactly between two floats, where the reader's rounding would
/// decide.) `shortest` may lie there, or be the odd one.
fn strictly(
    shortest: String,
    binary: Binary,
    print: impl Fn(usize) -> String,
    is_same: impl Fn(&str) -> bool,
) -> String {
    let fits = |text: &String| is_same(text) && !halfway(text, binary);
    let behind_point = parts(&shortest).0.len() - 1;
    let nearest = Some(print(behind_point)).filter(fits);
    let other = || Some(shortest.clone()).filter(fits);
    let longer = || (behind_point + 1..MOST_DIGITS).map(&print).find(fits);
    nearest.or_else(other).or_else(longer).unwrap_or(shortest)
}

/// Digits without the point, and the power of ten of the first.
fn parts(scientific: &str) -> (String, i64) {
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((scientific, "0"));
    (mantissa.replace('.', ""), exponent.parse().unwrap_or(0))
}

/// `mantissa × 2^exponent`, and whether the float below is nearer than the one above.
type Binary = (u64, i64, bool);

fn binary(exponent: u64, fraction: u64, width: u32, bias: i64) -> Binary {
    match exponent {
        0 => (fraction, 1 - bias, false),
        _ => (fraction | (1 << width), exponent as i64 - bias, fraction == 0 && exponent > 1),
    }
}

/// The decimal lies exactly between the float and one of its neighbours.
fn halfway(scientific: &str, (mantissa, exponent, uneven): Binary) -> bool {
    let (digits, first) = parts(scientific);
    let Some(decimal) = BigUint::parse_bytes(digits.as_bytes(), 10) else { return false };
    let power = first - (digits.len() as i64 - 1);
    // Both sides in quarters of the float's last bit, times powers that make them whole numbers.
    let quarters = u128::from(mantissa) * 4;
    let below = quarters.saturating_sub(if uneven { 1 } else { 2 });
    [quarters + 2, below].into_iter().any(|side| same(&decimal, power, side, exponent - 2))
}

/// `decimal × 10^power = side × 2^exponent`
fn same(decimal: &BigUint, power: i64, side: u128, exponent: i64) -> bool {
    let raise = |base: u32, power: i64| BigUint::from(base).pow(power.max(0) as u32);
    decimal * raise(10, power) * raise(2, -exponent) == BigUint::from(side) * raise(2, exponent) * raise(10, -power)
}

/// Plain digits while the first digit's power of ten lies in `-4..limit`, else an exponent of at least two digits.
fn notation(negative: bool, scientific: &str, limit: i64) -> String {
    let (digits, first) = parts(scientific);
    let trimmed = digits.trim_end_matches('0');
    let digits = if trimmed.is_empty() { "0" } else { trimmed };
    let text = match first {
        _ if !(-4..limit).contains(&first) => {
            let (whole, fraction) = digits.split_at(1);
            let point = if fraction.is_empty() { "" } else { "." };
            let sign = if first < 0 { '-' } else { '+' };
            format!("{whole}{point}{fraction}e{sign}{:02}", first.abs())
        }
        ..0 => format!("0.{}{digits}", "0".repeat((-first - 1) as usize)),
        _ => {
            let whole = first as usize + 1;
            match digits.split_at_checked(whole) {
                Some((whole, "")) => whole.to_owned(),
                Some((whole, fraction)) => format!("{whole}.{fraction}"),
                None => format!("{digits:0<whole$}"),
            }
        }
    };
    if negative { format!("-{text}") } else { text }
}
