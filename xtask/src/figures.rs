//! Figures, and what they are held against.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::{Value, json};

use crate::{Failure, machine::Machine};

/// Where figures are kept.
const RESULTS: &str = "bench/results";

/// How soon a revocation is enforced.
pub(crate) const BOUND: &str = "p99 <= 250, max <= 2000 ms";

/// One line of the table.
pub(crate) struct Finding {
    /// What was measured.
    pub(crate) name: String,
    /// What came out.
    pub(crate) measured: String,
    /// What is promised; empty where nothing is.
    pub(crate) promise: &'static str,
    /// Whether that is so.
    pub(crate) held: bool,
    /// Every figure.
    pub(crate) raw: Value,
}

/// The whole table.
#[derive(Default)]
pub(crate) struct Report(Vec<Finding>);

/// How long something took, many times.
pub(crate) struct Times(Vec<Duration>);

impl Report {
    /// Takes in what a scenario has found, and shows it. One that fails is a finding too.
    pub(crate) fn add(&mut self, scenario: &str, findings: Result<Vec<Finding>, Failure>) {
        let failed = |failure: Failure| Finding {
            name: scenario.to_owned(),
            measured: format!("failed: {failure}"),
            promise: "it runs through",
            held: false,
            raw: Value::Null,
        };
        let findings = findings.unwrap_or_else(|failure| vec![failed(failure)]);
        for finding in &findings {
            println!("{finding}");
        }
        self.0.extend(findings);
    }

    /// Whether every promise is held.
    pub(crate) fn is_held(&self) -> bool {
        self.0.iter().all(|finding| finding.held)
    }

    /// Writes every figure down; the answer is where.
    pub(crate) fn save(&self, what: &str, machine: &Machine) -> Result<String, Failure> {
        let findings = self.0.iter().map(|it| {
            json!({
                "name": it.name, "measured": it.measured, "promise": it.promise, "held": it.held,
                "raw": it.raw,
            })
        });
        let page = json!({ "machine": machine.json(), "findings": findings.collect::<Vec<_>>() });
        fs::create_dir_all(RESULTS)?;
        let file: PathBuf = Path::new(RESULTS).join(format!("{what}-{}.json", machine.name()));
        fs::write(&file, format!("{page}\n"))?;
        Ok(file.display().to_string())
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let held = match (self.promise, self.held) {
            ("", true) => "",
            (_, true) => "held",
            (_, false) => "MISSED",
        };
        write!(f, "{:<52} {:<105} {:<24} {held}", self.name, self.measured, self.promise)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<52} {:<105} promised", "what", "measured")?;
        self.0.iter().try_for_each(|finding| writeln!(f, "{finding}"))
    }
}

impl Times {
    pub(crate) fn new(times: impl IntoIterator<Item = Duration>) -> Self {
        let mut times: Vec<_> = times.into_iter().collect();
        times.sort_unstable();
        Self(times)
    }

    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// The least of them that so many of a hundred do not exceed.
    pub(crate) fn percentile(&self, percent: usize) -> Duration {
        let place = (self.0.len() * percent).div_ceil(100).saturating_sub(1);
        self.0.get(place).copied().unwrap_or_default()
    }

    pub(crate) fn max(&self) -> Duration {
        self.0.last().copied().unwrap_or_default()
    }

    /// Whether they keep [`BOUND`].
    pub(crate) fn are_within_bound(&self) -> bool {
        self.percentile(99) <= Duration::from_millis(250) && self.max() <= Duration::from_secs(2)
    }

    /// All of them, in microseconds.
    pub(crate) fn micros(&self) -> Value {
        self.0.iter().copied().map(micros).collect()
    }

    /// How many there are; and in microseconds the least, every percentile, and the most.
    pub(crate) fn summary(&self) -> Value {
        let percentiles: Vec<_> = (0..=100).map(|it| micros(self.percentile(it))).collect();
        json!({ "count": self.count(), "percentiles_us": percentiles })
    }
}

pub(crate) fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        let [p50, p90, p99] = [50, 90, 99].map(|percent| ms(self.percentile(percent)));
        let (n, max) = (self.count(), ms(self.max()));
        write!(f, "n {n:<5} p50 {p50:<7.2} p90 {p90:<7.2} p99 {p99:<7.2} max {max:.2} ms")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_one_of_the_times() {
        let ms = Duration::from_millis;
        let hundred = Times::new((1..=100).rev().map(ms));
        assert_eq!([1, 50, 90, 99].map(|it| hundred.percentile(it)), [1, 50, 90, 99].map(ms));
        assert_eq!(hundred.max(), ms(100));
        let three = Times::new([ms(3), ms(1), ms(2)]);
        assert_eq!([50, 90, 99].map(|it| three.percentile(it)), [2, 3, 3].map(ms));
        assert_eq!(Times::new([]).percentile(99), Duration::ZERO);
    }
}
