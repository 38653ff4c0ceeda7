//! Attributes of a directory shown by a table: a file, its metric, type, factor and help.

use std::path::Path;

use assay_model::MetricType;

use crate::{Families, host::read_attribute_number};

/// File, metric without its prefix, type, factor from the kernel's unit, help.
pub(super) type Row = (&'static str, &'static str, MetricType, f64, &'static str);

/// Shows the files of `directory` that there are and that hold a number.
pub(super) fn show(
    out: &mut Families,
    directory: &Path,
    prefix: &str,
    labels: &[(&str, &str)],
    rows: &[Row],
) {
    for (file, name, metric_type, factor, help) in rows {
        if let Some(value) = read_attribute_number(&directory.join(file)) {
            out.add(*metric_type, &format!("{prefix}{name}"), help, labels, scale(value, *factor));
        }
    }
}

/// `value * factor`, rounded once: a factor below one is a division.
pub(super) fn scale(value: f64, factor: f64) -> f64 {
    if factor < 1.0 { value / (1.0 / factor).round() } else { value * factor }
}

/// A number as bcache writes it (`bch_hprint`): the digit after the point counts hundreds of the next smaller unit.
pub(super) fn bcache_number(text: &str) -> Option<f64> {
    let text = text.trim();
    match text.split_once('.') {
        None => human_bytes(text),
        Some((whole, fraction)) => {
            let unit = fraction.get(1..)?;
            let whole = human_bytes(&format!("{whole}{unit}"))?;
            let of_one = human_bytes(&format!("1{unit}"))?;
            let part = fraction.get(..1)?.parse::<f64>().ok()? * 100.0 * (of_one / 1024.0);
            Some(if text.starts_with('-') { whole - part } else { whole + part })
        }
    }
}

/// A number with a binary unit: `546.4k`, `2.00M`, `1.5G`.
pub(super) fn human_bytes(text: &str) -> Option<f64> {
    let text = text.trim();
    let Some(unit) = text.chars().last().filter(char::is_ascii_alphabetic) else { return text.parse().ok() };
    let power = "kMGTPEZY".find(unit).or_else(|| (unit == 'K').then_some(0))? as i32 + 1;
    let number = text[..text.len() - 1].parse::<f64>().ok()?;
    // A byte is whole.
    Some((number * 1024f64.powi(power)).trunc())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_powers_of_1024() {
        assert_eq!(human_bytes("512k"), Some(524_288.0));
        assert_eq!(human_bytes("2.00M\n"), Some(2_097_152.0));
        assert_eq!(human_bytes("720"), Some(720.0));
        assert_eq!(human_bytes("x"), None);
        assert_eq!(bcache_number("1.1M"), Some(1_150_976.0));
        assert_eq!(bcache_number("-321.5k"), Some(-329_204.0));
        assert_eq!(bcache_number("512"), Some(512.0));
        assert_eq!(scale(1305.0, 1e-9), 1.305e-6);
    }
}
