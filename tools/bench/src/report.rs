//! What was measured, the ratios of it, and the goals.
//!
//! A ratio of two durations is the median of the ratios of neighbours: what was taken in the same
//! turn. A machine that slows down for a while slows both, and drops out.

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Map, Value, json};

/// Everything that was measured.
#[derive(Debug, Default)]
pub struct Report {
    samples: BTreeMap<String, Vec<Duration>>,
    figures: BTreeMap<String, f64>,
}

/// What a goal is about.
enum Measure {
    /// A duration over another one.
    Over(&'static str, &'static str),
    /// Two durations that must not be told apart, whichever is the longer.
    Alike(&'static str, &'static str),
    /// A figure.
    Figure(&'static str),
}

/// A goal: a title, what is measured, and its maximum.
const GOALS: [(&str, Measure, f64); 11] = [
    ("warm refresh over its own calls", Measure::Over("refresh", "floor_rotate_get"), 1.15),
    ("warm refresh over the least calls", Measure::Over("refresh", "floor_update_get"), 1.15),
    ("cold refresh over its own calls", Measure::Over("refresh_cold", "floor_refresh_cold"), 1.2),
    (
        "cold refresh over those of DynamoDB",
        Measure::Over("refresh_cold", "floor_rotate_get_cold"),
        1.5,
    ),
    (
        "cold refresh over the least calls",
        Measure::Over("refresh_cold", "floor_update_get_cold"),
        1.5,
    ),
    ("sign-in over its bare hash", Measure::Over("authenticate", "bare_hash"), 1.05),
    ("unknown user and wrong password", Measure::Alike("unknown_user", "wrong_password"), 1.02),
    ("write requests of a refresh", Measure::Figure("refresh_write_requests"), 1.0),
    ("zip of refresh, MB", Measure::Figure("refresh_zip_mb"), 3.2),
    ("zip of users, MB", Measure::Figure("users_zip_mb"), 3.2),
    ("peak memory of refresh, MiB", Measure::Figure("refresh_peak_mib"), 16.0),
];

impl Report {
    /// Adds a duration to a series.
    pub fn sample(&mut self, series: &str, duration: Duration) {
        self.samples.entry(series.to_owned()).or_default().push(duration);
    }

    /// Sets a figure that is not a duration.
    pub fn figure(&mut self, name: &str, figure: f64) {
        self.figures.insert(name.to_owned(), figure);
    }

    /// Sets the ratio of a series to another as a figure.
    pub fn ratio(&mut self, series: &str, other: &str) {
        if let Some(ratio) = self.median_ratio(series, other) {
            self.figure(&format!("{series}_over_{other}"), ratio);
        }
    }

    /// Sets the ratio of a figure to another as a figure.
    pub fn ratio_of_figures(&mut self, figure: &str, other: &str) {
        if let (Some(one), Some(two)) = (self.figures.get(figure), self.figures.get(other)) {
            self.figure(&format!("{figure}_over_{other}"), one / two);
        }
    }

    /// The median of a series, if there is one of that name.
    pub fn median(&self, series: &str) -> Option<Duration> {
        Some(percentile(self.samples.get(series)?.clone(), 50))
    }

    /// Prints a table, and returns all of it as one JSON object.
    pub fn print(&self) -> Value {
        let figures = self.all_figures();
        for (name, figure) in &figures {
            println!("{name:<34} {figure:>10}");
        }
        println!();
        let mut ratios = Map::new();
        for (title, measure, goal) in &GOALS {
            let Some(ratio) = self.measured(measure) else { continue };
            let met = if ratio <= *goal { "met" } else { "missed" };
            println!("{title:<34} {ratio:>10} (goal {goal}: {met})");
            ratios.insert((*title).to_owned(), json!(ratio));
        }
        json!({"figures": figures, "ratios": ratios})
    }

    fn all_figures(&self) -> BTreeMap<String, f64> {
        let mut all = self.figures.clone();
        for (series, samples) in &self.samples {
            for percent in [50, 99] {
                let figure = percentile(samples.clone(), percent).as_secs_f64() * 1e3;
                all.insert(format!("{series}_p{percent}_ms"), figure);
            }
        }
        all.into_iter().map(|(name, figure)| (name, rounded(figure))).collect()
    }

    fn measured(&self, measure: &Measure) -> Option<f64> {
        let figure = match measure {
            Measure::Figure(name) => *self.figures.get(*name)?,
            Measure::Over(series, floor) => self.median_ratio(series, floor)?,
            Measure::Alike(one, other) => {
                let ratio = self.median_ratio(one, other)?;
                ratio.max(1.0 / ratio)
            }
        };
        Some(rounded(figure))
    }

    fn median_ratio(&self, series: &str, floor: &str) -> Option<f64> {
        Some(median_ratio(self.samples.get(series)?, self.samples.get(floor)?))
    }
}

/// The median of the ratios of neighbours.
pub fn median_ratio(above: &[Duration], below: &[Duration]) -> f64 {
    let pairs = above.iter().zip(below);
    let mut ratios: Vec<f64> = pairs.map(|(a, b)| a.as_secs_f64() / b.as_secs_f64()).collect();
    ratios.sort_unstable_by(f64::total_cmp);
    ratios.get(ratios.len() / 2).copied().unwrap_or(f64::NAN)
}

/// That percentile of some samples.
pub fn percentile(mut samples: Vec<Duration>, percent: usize) -> Duration {
    samples.sort_unstable();
    let place = samples.len().saturating_sub(1) * percent / 100;
    samples.get(place).copied().unwrap_or_default()
}

/// Three decimals are more than the machine is good for.
fn rounded(number: f64) -> f64 {
    (number * 1e3).round() / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_the_median_of_the_ratios_of_neighbours() {
        let mut report = Report::default();
        for (refresh, floor) in [(2, 1), (30, 20), (300, 200)] {
            report.sample("refresh", Duration::from_millis(refresh));
            report.sample("floor", Duration::from_millis(floor));
        }
        assert_eq!(report.measured(&Measure::Over("refresh", "floor")), Some(1.5));
        assert_eq!(report.measured(&Measure::Alike("floor", "refresh")), Some(1.5));
        assert_eq!(report.measured(&Measure::Over("refresh", "nothing")), None);
    }
}
