//! Durations as manifests write them: Go's `1m30s`, or a number of seconds.

use std::time::Duration;

use serde_json::{Value, json};

/// Reads `5m`, `1h30m`, `500ms`, `1.5s`, `"30"` or `30`.
pub(crate) fn read(value: &Value) -> Option<Duration> {
    match value {
        Value::Number(number) => number.as_f64().and_then(seconds),
        Value::String(text) => parse(text.trim()),
        _ => None,
    }
}

fn seconds(seconds: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(seconds).ok()
}

fn parse(text: &str) -> Option<Duration> {
    if let Ok(plain) = text.parse::<f64>() {
        return seconds(plain);
    }
    let mut rest = text;
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at_checked(digits)?;
        let letters = tail
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(tail.len());
        let (unit, after) = tail.split_at_checked(letters)?;
        let scale = match unit {
            "ns" => 1e-9,
            "us" | "µs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return None,
        };
        total = total.checked_add(seconds(number.parse::<f64>().ok()? * scale)?)?;
        rest = after;
    }
    (!text.is_empty()).then_some(total)
}

/// Writes a duration the way Go reads it, to the millisecond.
pub(crate) fn write(duration: Duration) -> String {
    let millis = duration.as_millis();
    if !millis.is_multiple_of(1000) {
        return format!("{millis}ms");
    }
    let seconds = millis / 1000;
    let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let mut text = String::new();
    for (amount, unit) in [(hours, 'h'), (minutes, 'm'), (rest, 's')] {
        if amount > 0 {
            text.push_str(&amount.to_string());
            text.push(unit);
        }
    }
    if text.is_empty() {
        "0s".to_owned()
    } else {
        text
    }
}

/// A written duration divided by `speed`, in the same kind of notation.
pub(crate) fn divided(value: &Value, speed: f64) -> Option<Value> {
    let shorter = seconds(read(value)?.as_secs_f64() / speed)?;
    let whole = shorter.subsec_millis() == 0 && value.is_number();
    Some(if whole {
        json!(shorter.as_secs())
    } else {
        json!(write(shorter))
    })
}

/// A number of whole seconds divided by `speed`; never less than one.
pub(crate) fn divided_seconds(value: &Value, speed: f64) -> Option<Value> {
    let whole = read(value).filter(|duration| !duration.is_zero())?;
    let shorter = seconds(whole.as_secs_f64() / speed)?;
    let rounded = shorter.as_secs() + u64::from(shorter.subsec_millis() >= 500);
    Some(json!(rounded.max(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_go_and_the_pause_step_read_them() {
        for (written, millis) in [
            (json!("5m"), 300_000),
            (json!("1h30m"), 5_400_000),
            (json!("1.5s"), 1500),
            (json!("250ms"), 250),
            (json!("30"), 30_000),
            (json!(30), 30_000),
        ] {
            assert_eq!(
                read(&written),
                Some(Duration::from_millis(millis)),
                "{written}"
            );
        }
        for bad in [
            json!("5 parsecs"),
            json!(""),
            json!(-1),
            json!({}),
            json!("m"),
        ] {
            assert_eq!(read(&bad), None, "{bad}");
        }
    }

    #[test]
    fn a_divided_duration_keeps_its_notation_where_it_can() {
        assert_eq!(divided(&json!("5m"), 10.0), Some(json!("30s")));
        assert_eq!(divided(&json!(300), 10.0), Some(json!(30)));
        assert_eq!(divided(&json!("1s"), 4.0), Some(json!("250ms")));
        assert_eq!(divided(&json!("2h"), 1.0), Some(json!("2h")));
        assert_eq!(divided_seconds(&json!(600), 1000.0), Some(json!(1)));
        assert_eq!(divided_seconds(&json!(600), 60.0), Some(json!(10)));
    }
}
