//! Variants against each other: each has its turn in each round, and is compared within it, for a machine
//! is not as quick in one minute as in the next.

use std::{fmt, time::Duration};

use serde_json::{Value, json};

use super::{
    Amounts,
    cores::{LOAD, Process, SERVER, busy},
    load::{Calls, Crew},
};
use crate::{Failure, figures::micros};

/// For how long calls are made before they count.
pub(super) const WARM_UP: Duration = Duration::from_millis(200);
/// The share of what a server can do that is asked of it to see how long calls take.
const SHARE: f64 = 0.4;
/// The share of the server's core that others may take before it is said.
const MOST_OTHERS: f64 = 0.1;

/// A server, and those who call it.
pub(super) struct Variant {
    pub(super) name: String,
    pub(super) process: Process,
    pub(super) crew: Crew,
    /// What came out, round by round.
    pub(super) samples: Vec<Sample>,
}

/// What came out of one turn.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sample {
    /// Calls in a second.
    pub(super) rate: f64,
    /// How long the server was at work for each call, in microseconds.
    pub(super) cpu: f64,
    /// The share of its core that it took.
    pub(super) busy: f64,
    /// How busy the core was of those who call, and of PostgreSQL. Near 1 it is they who are measured.
    pub(super) load: f64,
    /// The share of the server's core that others took, who should not be there.
    pub(super) others: f64,
    pub(super) p50: Duration,
    pub(super) p99: Duration,
    /// The most memory that the server has had since it started, in KiB.
    pub(super) peak: u64,
}

/// The middle of several figures, and the ends.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spread {
    pub(super) median: f64,
    min: f64,
    max: f64,
}

impl Variant {
    pub(super) fn new(name: impl Into<String>, process: Process, crew: Crew) -> Self {
        Self { name: name.into(), process, crew, samples: Vec::new() }
    }

    /// Calls as quickly as answers come.
    pub(super) async fn closed(&mut self, time: Duration) -> Result<Sample, Failure> {
        let before = self.used()?;
        let calls = self.crew.closed(time).await.map_err(|failure| self.failed(&failure))?;
        self.sample(&calls, before)
    }

    /// Calls at this rate.
    pub(super) async fn open(&mut self, rate: f64, time: Duration) -> Result<Sample, Failure> {
        let before = self.used()?;
        let calls = self.crew.open(rate, time).await.map_err(|failure| self.failed(&failure))?;
        self.sample(&calls, before)
    }

    /// Calls at a share of the rate of which it is capable.
    pub(super) async fn at_ease(&mut self, time: Duration) -> Result<Sample, Failure> {
        let rate = Spread::of(self.samples.iter().map(|sample| sample.rate)).median;
        self.open((rate * SHARE).max(1.0), time).await
    }

    fn sample(&self, calls: &Calls, before: [Duration; 3]) -> Result<Sample, Failure> {
        let sample = Sample::of(calls, before, self.used()?)?;
        Ok(Sample { peak: self.process.memory("VmHWM")?, ..sample })
    }

    /// How long the server and the core of those who call have been at work.
    fn used(&self) -> Result<[Duration; 3], Failure> {
        Ok([self.process.cpu()?, busy(LOAD)?, busy(SERVER)?])
    }

    /// The turn in the middle, by the rate.
    pub(super) fn middle(&self) -> Sample {
        let mut samples = self.samples.clone();
        samples.sort_unstable_by(|one, other| one.rate.total_cmp(&other.rate));
        samples.get(samples.len() / 2).copied().unwrap_or_default()
    }

    /// Every turn.
    pub(super) fn json(&self) -> Value {
        self.samples.iter().map(Sample::json).collect()
    }

    fn failed(&self, failure: &Failure) -> Failure {
        format!("{}: {failure}", self.name).into()
    }
}

/// Gives each of them its turn in each round.
pub(super) async fn rounds(variants: &mut [Variant], amounts: &Amounts) -> Result<(), Failure> {
    for round in 0..amounts.rounds {
        // Back and forth, so that nobody always comes after the same one.
        let mut turns: Vec<_> = variants.iter_mut().collect();
        if round % 2 == 1 {
            turns.reverse();
        }
        for variant in turns {
            variant.crew.closed(WARM_UP).await.map_err(|failure| variant.failed(&failure))?;
            let sample = variant.closed(amounts.turn).await?;
            variant.samples.push(sample);
        }
    }
    Ok(())
}

/// How one figure of ours relates to that of another in the same round.
pub(super) fn ratio(ours: &Variant, other: &Variant, figure: impl Fn(&Sample) -> f64) -> Spread {
    let pairs = ours.samples.iter().zip(&other.samples);
    Spread::of(pairs.map(|(ours, other)| figure(ours) / figure(other)))
}

impl Sample {
    #[expect(clippy::cast_precision_loss, reason = "no count here is that large")]
    fn of(calls: &Calls, before: [Duration; 3], after: [Duration; 3]) -> Result<Self, Failure> {
        let [[cpu_before, load_before, core_before], [cpu_after, load_after, core_after]] =
            [before, after];
        let cpu = cpu_after.saturating_sub(cpu_before);
        let load = load_after.saturating_sub(load_before);
        let others = core_after.saturating_sub(core_before).saturating_sub(cpu);
        let count = calls.times.count();
        if count == 0 {
            return Err("no call was answered".into());
        }
        let (count, took) = (count as f64, calls.took.as_secs_f64());
        Ok(Self {
            rate: count / took,
            cpu: cpu.as_secs_f64() * 1e6 / count,
            busy: cpu.as_secs_f64() / took,
            load: load.as_secs_f64() / took,
            others: others.as_secs_f64() / took,
            p50: calls.times.percentile(50),
            p99: calls.times.percentile(99),
            peak: 0,
        })
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "per_second": self.rate, "cpu_us": self.cpu, "busy": self.busy, "load_busy": self.load, "others": self.others,
            "p50_us": micros(self.p50), "p99_us": micros(self.p99), "peak_kib": self.peak,
        })
    }
}

impl Spread {
    pub(super) fn of(figures: impl IntoIterator<Item = f64>) -> Self {
        let mut figures: Vec<_> = figures.into_iter().collect();
        figures.sort_unstable_by(f64::total_cmp);
        let at = |place: usize| figures.get(place).copied().unwrap_or(f64::NAN);
        let last = figures.len().saturating_sub(1);
        let median = f64::midpoint(at(last / 2), at(last.div_ceil(2)));
        Self { median, min: at(0), max: at(last) }
    }

    pub(super) fn json(self) -> Value {
        json!({ "median": self.median, "min": self.min, "max": self.max })
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2} ({:.2} to {:.2})", self.median, self.min, self.max)
    }
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        let (busy, load) = (self.busy * 100.0, self.load * 100.0);
        let (p50, p99) = (ms(self.p50), ms(self.p99));
        write!(f, "{:.0}/s, {:.1} us CPU, cores {busy:.0} and {load:.0} %", self.rate, self.cpu)?;
        write!(f, ", p50 {p50:.3} p99 {p99:.3} ms, peak {} MiB", self.peak / 1024)?;
        if self.others > MOST_OTHERS {
            write!(f, ", DISTURBED {:.0} %", self.others * 100.0)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_has_a_middle_and_two_ends() {
        let shown = |figures: &[f64]| Spread::of(figures.iter().copied()).to_string();
        assert_eq!(shown(&[3.0, 1.0, 2.0]), "2.00 (1.00 to 3.00)");
        assert_eq!(shown(&[4.0, 1.0, 2.0, 3.0]), "2.50 (1.00 to 4.00)");
        assert!(Spread::of([]).median.is_nan());
    }
}
