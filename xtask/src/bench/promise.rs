//! What a figure is held against.

use serde_json::Value;

use crate::figures::Finding;

/// A bound, or none.
#[derive(Debug, Clone, Copy)]
pub(super) struct Promise {
    text: &'static str,
    least: f64,
    most: f64,
}

impl Promise {
    /// None: the figure is there to be known.
    pub(super) const NOTHING: Self =
        Self { text: "", least: f64::NEG_INFINITY, most: f64::INFINITY };

    /// The figure is no less than this.
    pub(super) const fn least(least: f64, text: &'static str) -> Self {
        Self { text, least, ..Self::NOTHING }
    }

    /// The figure is no more than this.
    pub(super) const fn most(most: f64, text: &'static str) -> Self {
        Self { text, most, ..Self::NOTHING }
    }

    /// Holds a figure against it, which is shown like this.
    pub(super) fn finding(
        self,
        name: impl Into<String>,
        figure: f64,
        measured: String,
        raw: Value,
    ) -> Finding {
        let held = self.text.is_empty() || (figure >= self.least && figure <= self.most);
        Finding { name: name.into(), measured, promise: self.text, held, raw }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_that_is_none_keeps_no_promise() {
        let held = |promise: Promise, figure| {
            promise.finding("it", figure, String::new(), Value::Null).held
        };
        let (least, most) = (Promise::least(2.0, ">= 2"), Promise::most(2.0, "<= 2"));
        assert_eq!([1.9, 2.0, f64::NAN].map(|it| held(least, it)), [false, true, false]);
        assert_eq!([2.0, 2.1, f64::NAN].map(|it| held(most, it)), [true, false, false]);
        assert!(held(Promise::NOTHING, f64::NAN));
    }
}
