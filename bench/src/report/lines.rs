//! Plots over numbers of workers or ranks: lines with error bars, a band, guides.

use super::svg::{LETTER, Plot, Scale, WIDTH, range, short, tick, tip, unit};
use crate::records::Spread;

/// One line.
#[derive(Debug, Clone)]
pub(crate) struct Series {
    /// What the legend says.
    pub(crate) label: String,
    /// Colour and marker.
    pub(crate) style: usize,
    /// `""`, `dash` for what was not measured (and has hollow marks), `none` for marks alone.
    pub(crate) line: &'static str,
    /// Places and values.
    pub(crate) points: Vec<(f64, Spread)>,
}

/// An area: x, lower, upper.
type Edges = Vec<(f64, f64, f64)>;

/// A plot over a logarithmic x.
#[derive(Debug, Clone, Default)]
pub(crate) struct Lines {
    /// Name of the file.
    pub(crate) name: String,
    /// Head.
    pub(crate) title: String,
    /// What it shows, in words.
    pub(crate) about: String,
    /// What x is.
    pub(crate) x: String,
    /// Unit of y.
    pub(crate) unit: String,
    /// Whether y is logarithmic; otherwise it begins at 0.
    pub(crate) log: bool,
    /// Lines.
    pub(crate) series: Vec<Series>,
    /// An area and its style.
    pub(crate) band: Option<(usize, Edges)>,
    /// Values of y with words.
    pub(crate) guides: Vec<(f64, String)>,
    /// Values of x with words.
    pub(crate) walls: Vec<(f64, String)>,
}

const LEFT: f64 = 52.0;
const RIGHT: f64 = WIDTH - 12.0;
const HEIGHT: f64 = 190.0;

impl Lines {
    /// Draws it; `None` where there is nothing to draw.
    pub(crate) fn draw(&self) -> Option<Plot> {
        let (x, y) = (range(self.xs())?, range(self.ys())?);
        let mut plot = Plot::new(&self.name, &self.title, &self.about);
        let legend: Vec<_> = self
            .series
            .iter()
            .map(|s| (s.style, Some(s.line).filter(|line| *line != "none"), s.label.clone()))
            .collect();
        let top = plot.legend(&legend) + 12.0;
        let bottom = top + HEIGHT;
        plot.text((4.0, top), "s dim", "start", unit(&self.unit));
        let top = top + 8.0;
        let x = Scale::log((x.0 / 1.18, x.1 * 1.18), (LEFT, RIGHT));
        let y = if self.log {
            Scale::log((y.0 / 1.15, y.1 * 1.15), (bottom, top))
        } else {
            Scale::linear((0.0, y.1 * 1.18), (bottom, top))
        };
        self.axes(&mut plot, x, y, (top, bottom));
        if let Some((style, edges)) = &self.band {
            let there = edges.iter().map(|(at, low, _)| (*at, *low));
            let back = edges.iter().rev().map(|(at, _, high)| (*at, *high));
            let points: String =
                there.chain(back).map(|(a, b)| format!("{:.1},{:.1} ", x.at(a), y.at(b))).collect();
            plot.add(format_args!("<polygon class=\"c{style} band\" points=\"{points}\"/>"));
        }
        let middle = (self.series.len() as f64 - 1.0) / 2.0;
        // Beside each other, so that bars at the same place can be told apart.
        let apart = 4.0_f64.min(16.0 / self.series.len() as f64);
        for (i, series) in self.series.iter().enumerate() {
            let shift = if series.line == "dash" { 0.0 } else { (i as f64 - middle) * apart };
            self.series(&mut plot, series, |at| x.at(at) + shift, y);
        }
        self.words(&mut plot, x, y, top);
        Some(plot.end(bottom + 36.0))
    }

    fn xs(&self) -> impl Iterator<Item = f64> {
        self.series.iter().flat_map(|series| series.points.iter().map(|(at, _)| *at))
    }

    fn ys(&self) -> impl Iterator<Item = f64> {
        let spreads = self.series.iter().flat_map(|series| &series.points);
        let values = spreads.flat_map(|(_, spread)| [spread.median, spread.p10, spread.p90]);
        let band = self.band.iter().flat_map(|(_, edges)| edges).flat_map(|edge| [edge.1, edge.2]);
        values.chain(band).chain(self.guides.iter().map(|(at, _)| *at))
    }

    fn axes(&self, plot: &mut Plot, x: Scale, y: Scale, (top, bottom): (f64, f64)) {
        for value in y.ticks() {
            let at = y.at(value);
            plot.line("g", (LEFT, at), (RIGHT, at));
            plot.text((LEFT - 5.0, at + 4.0), "s dim", "end", &tick(value));
        }
        let mut places: Vec<f64> = self.xs().collect();
        places.sort_by(f64::total_cmp);
        places.dedup();
        let mut end = 0.0;
        let many = places.len() > 7;
        for value in places {
            // Of many every second power of two: 1, 4, 16.
            if many && value.log2() % 2.0 != 0.0 {
                continue;
            }
            let (at, half) = (x.at(value), short(value).len() as f64 * LETTER / 2.0);
            plot.line("a", (at, bottom), (at, bottom + 4.0));
            if at - half > end + 4.0 {
                plot.text((at, bottom + 16.0), "s dim", "middle", &short(value));
                end = at + half;
            }
        }
        plot.line("a", (LEFT, bottom), (RIGHT, bottom));
        let middle = f64::midpoint(LEFT, RIGHT);
        plot.text((middle, bottom + 31.0), "s dim", "middle", &self.x);
        for (value, _) in &self.guides {
            let at = y.at(*value);
            plot.line("a dash", (LEFT, at), (RIGHT, at));
        }
        for (value, _) in &self.walls {
            let at = x.at(*value);
            plot.line("a dot", (at, top), (at, bottom));
        }
    }

    /// Words of guides and walls, above the lines.
    fn words(&self, plot: &mut Plot, x: Scale, y: Scale, top: f64) {
        for (value, words) in &self.guides {
            plot.text((RIGHT - 2.0, y.at(*value) - 4.0), "s dim halo", "end", words);
        }
        for (value, words) in &self.walls {
            plot.text((x.at(*value) + 4.0, top + 9.0), "s dim halo", "start", words);
        }
    }

    fn series(&self, plot: &mut Plot, series: &Series, x: impl Fn(f64) -> f64, y: Scale) {
        let Series { label, style: marker, line, points } = series;
        let style = marker % 10;
        let joined: String = points
            .iter()
            .map(|(at, spread)| format!("{:.1},{:.1} ", x(*at), y.at(spread.median)))
            .collect();
        if *line != "none" {
            plot.add(format_args!("<polyline class=\"c{style} l {line}\" points=\"{joined}\"/>"));
        }
        for (at, spread) in points {
            let (x, label) = (x(*at), format!("{label}, {} {}", short(*at), self.x));
            if *line == "dash" {
                let middle = y.at(spread.median);
                let tip = super::svg::escape(&tip(&label, spread, &self.unit));
                plot.add(format_args!(
                    "<circle class=\"c{style} l\" cx=\"{x:.1}\" cy=\"{middle:.1}\" r=\"3\"><title>{tip}</title></circle>"
                ));
                continue;
            }
            let (low, high) = (y.at(spread.p10), y.at(spread.p90));
            plot.line("e", (x, low), (x, high));
            plot.line("e", (x - 3.0, low), (x + 3.0, low));
            plot.line("e", (x - 3.0, high), (x + 3.0, high));
            plot.marker(*marker, (x, y.at(spread.median)), &tip(&label, spread, &self.unit));
        }
    }
}
