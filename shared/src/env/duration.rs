//! Lengths of time as people write them.

use std::time::Duration;

/// Reads a whole number and its unit: "500ms", "90s", "15m", "24h" or "30d".
#[must_use]
pub fn parse(text: &str) -> Option<Duration> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().ok()?;
    let seconds = |each: u64| number.checked_mul(each).map(Duration::from_secs);
    match unit {
        "ms" => Some(Duration::from_millis(number)),
        "s" => seconds(1),
        "m" => seconds(60),
        "h" => seconds(60 * 60),
        "d" => seconds(24 * 60 * 60),
        _ => None,
    }
}

/// A duration in the largest unit that keeps it whole.
pub(super) fn show(duration: Duration) -> String {
    const UNITS: [(u64, &str); 4] = [(86_400, "d"), (3_600, "h"), (60, "m"), (1, "s")];
    let seconds = duration.as_secs();
    let unit = UNITS.iter().find(|(each, _)| seconds > 0 && seconds.is_multiple_of(*each));
    match unit {
        Some((each, name)) if duration.subsec_millis() == 0 => format!("{}{name}", seconds / each),
        _ => format!("{}ms", duration.as_millis()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_has_a_unit() {
        let seconds = |text| parse(text).map(|duration| duration.as_secs_f64());
        assert_eq!(seconds("1500ms"), Some(1.5));
        assert_eq!(seconds("15m"), Some(900.0));
        assert_eq!(seconds("2d"), Some(172_800.0));
        for wrong in ["", "5", "s", "-5s", "5 s", "5S", "1.5h", "99999999999999999999s"] {
            assert_eq!(seconds(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_duration_is_shown_in_the_largest_unit_that_keeps_it_whole() {
        for text in ["1d", "25h", "90m", "61s", "1500ms", "0ms"] {
            assert_eq!(parse(text).map(show).as_deref(), Some(text));
        }
    }
}
