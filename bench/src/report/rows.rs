//! Plots of one line for each thing: bars, ratios, dots.

use std::collections::BTreeMap;

use super::svg::{LETTER, Plot, Scale, WIDTH, engine, range, short, style, tick, tip};
use crate::records::Spread;

/// Height of a line.
const ROW: f64 = 20.0;

/// More than this between the least and the largest, and bars become points on a logarithmic axis.
const FAR: f64 = 25.0;

/// Name, head, and what it shows in words.
#[derive(Debug, Clone, Default)]
pub(crate) struct About {
    /// Name of the file.
    pub(crate) name: String,
    /// Head.
    pub(crate) title: String,
    /// What it shows.
    pub(crate) about: String,
}

/// A line of [`bars`].
#[derive(Debug, Clone)]
pub(crate) struct Bar {
    /// Where it ran; a new one is a heading.
    pub(crate) place: String,
    /// What ran.
    pub(crate) engine: String,
    /// Its time.
    pub(crate) value: Spread,
}

/// A line of [`ratios`].
#[derive(Debug, Clone)]
pub(crate) struct Ratio {
    /// What was compared.
    pub(crate) label: String,
    /// Ours over the peer's.
    pub(crate) value: Spread,
}

/// Columns: where labels end and values begin.
fn columns<'a>(labels: impl Iterator<Item = &'a str>, values: f64) -> (f64, f64) {
    let longest = labels.map(|label| label.chars().count()).max().unwrap_or(0) as f64;
    ((longest * LETTER + 12.0).clamp(70.0, 190.0), WIDTH - values * LETTER - 12.0)
}

/// The label as far as there is room.
fn fit(label: &str, room: f64) -> String {
    let most = 1.0_f64.max((room - 12.0) / LETTER + 1.0);
    if label.chars().count() as f64 <= most {
        return label.to_owned();
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "some letters")]
    let kept: String = label.chars().take(most as usize - 1).collect();
    kept.trim_end().to_owned() + "…"
}

fn axis(plot: &mut Plot, scale: Scale, (top, bottom): (f64, f64), words: &str) {
    let mut end = 0.0;
    for value in scale.ticks() {
        let (at, text) = (scale.at(value), tick(value));
        let half = text.chars().count() as f64 * LETTER / 2.0;
        plot.line("g", (at, top), (at, bottom));
        if at - half > end + 4.0 {
            plot.text((at, bottom + 14.0), "s dim", "middle", &text);
            end = at + half;
        }
    }
    plot.text((WIDTH - 4.0, bottom + 29.0), "s dim", "end", words);
}

/// Bars from 0, or points where values are far apart.
pub(crate) fn bars(about: &About, unit: &str, bars: &[Bar]) -> Option<Plot> {
    let (low, high) =
        range(bars.iter().flat_map(|bar| [bar.value.median, bar.value.p10, bar.value.p90]))?;
    let mut plot = Plot::new(&about.name, &about.title, &about.about);
    let names: Vec<String> = bars.iter().map(|bar| engine(&bar.engine)).collect();
    let unit = super::svg::unit(unit);
    let values: Vec<String> =
        bars.iter().map(|bar| format!("{} {unit}", short(bar.value.median))).collect();
    let widest = values.iter().map(|value| value.chars().count()).max().unwrap_or(0) as f64;
    let (left, right) = columns(names.iter().map(String::as_str), widest);
    let log = high / low > FAR;
    let places = (left, right - 6.0);
    let scale = if log {
        Scale::log((low / 1.2, high), places)
    } else {
        Scale::linear((0.0, high), places)
    };
    let headings = bars.chunk_by(|a, b| a.place == b.place).count() as f64;
    let (top, mut y) = (24.0, 24.0);
    let bottom = top + headings * 19.0 + bars.len() as f64 * ROW;
    axis(
        &mut plot,
        scale,
        (top, bottom),
        &if log { format!("{unit}, logarithmic") } else { unit.to_owned() },
    );
    let mut place = None;
    for ((bar, name), value) in bars.iter().zip(&names).zip(&values) {
        if place != Some(&bar.place) {
            plot.text((4.0, y + 14.0), "s dim", "start", &bar.place);
            (place, y) = (Some(&bar.place), y + 19.0);
        }
        let middle = y + ROW / 2.0;
        let tip = tip(&format!("{name}, {}", bar.place), &bar.value, unit);
        let (from, to, style) = (scale.at(0.0), scale.at(bar.value.median), style(&bar.engine));
        plot.text((left - 6.0, middle + 4.0), "s", "end", &fit(name, left));
        if log {
            plot.line(&format!("c{} dot", style % 10), (left, middle), (to, middle));
            plot.marker(style, (to, middle), &tip);
        } else {
            plot.add(format_args!(
                "<rect class=\"c{} b\" x=\"{from:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"13\" rx=\"1.5\">\
                 <title>{}</title></rect>",
                style % 10,
                middle - 6.5,
                (to - from).max(0.5),
                super::svg::escape(&tip)
            ));
        }
        plot.across((scale.at(bar.value.p10), scale.at(bar.value.p90)), middle);
        plot.text((WIDTH - 4.0, middle + 4.0), "s", "end", value);
        y += ROW;
    }
    Some(plot.end(bottom + 34.0))
}

/// Ratios around 1, with their mean if it means something, and a limit.
pub(crate) fn ratios(about: &About, rows: &[Ratio], mean: Option<f64>, limit: f64) -> Option<Plot> {
    let spreads = rows.iter().flat_map(|row| [row.value.median, row.value.p10, row.value.p90]);
    range(spreads.clone())?;
    let (low, high) = range(spreads.chain([0.8, limit]))?;
    let mut plot = Plot::new(&about.name, &about.title, &about.about);
    let labels = rows.iter().map(|row| row.label.as_str());
    let (left, right) = columns(labels.chain(mean.map(|_| "geometric mean, bold")), 6.0);
    let scale = Scale::log((low / 1.05, high * 1.05), (left, right - 6.0));
    let legend = [
        (0, format!("up to {}", short(1.2))),
        (9, format!("up to {limit}")),
        (1, "more".to_owned()),
    ];
    let legend: Vec<_> = legend.into_iter().map(|(style, text)| (style, None, text)).collect();
    let top = plot.legend(&legend);
    let count = rows.len() + usize::from(mean.is_some());
    let bottom = top + count as f64 * ROW;
    axis(&mut plot, scale, (top, bottom), "× the peer's time, logarithmic");
    let one = scale.at(1.0);
    plot.line("a", (one, top), (one, bottom));
    let mut y = top + ROW / 2.0;
    for Ratio { label, value } in rows {
        let style = if value.median <= 1.2 {
            0
        } else if value.median <= limit {
            9
        } else {
            1
        };
        let at = scale.at(value.median);
        plot.text((left - 6.0, y + 4.0), "s", "end", &fit(label, left));
        plot.line(&format!("c{style} l"), (one, y), (at, y));
        plot.across((scale.at(value.p10), scale.at(value.p90)), y);
        plot.marker(style, (at, y), &tip(label, value, "× the peer's time"));
        plot.text((WIDTH - 4.0, y + 4.0), "s", "end", &format!("{} ×", short(value.median)));
        y += ROW;
    }
    if let Some(mean) = mean {
        plot.line("a dash", (scale.at(mean), top), (scale.at(mean), bottom));
        plot.text((left - 6.0, y + 4.0), "t s", "end", "geometric mean");
        plot.text((WIDTH - 4.0, y + 4.0), "t s", "end", &format!("{} ×", short(mean)));
    }
    Some(plot.end(bottom + 34.0))
}

/// Points of several engines on each line, one logarithmic axis.
pub(crate) fn dots(
    about: &About,
    unit: &str,
    rows: &[(String, Vec<(String, f64)>)],
) -> Option<Plot> {
    let (low, high) =
        range(rows.iter().flat_map(|(_, dots)| dots.iter().map(|(_, value)| *value)))?;
    let mut plot = Plot::new(&about.name, &about.title, &about.about);
    let (left, right) = columns(rows.iter().map(|(label, _)| label.as_str()), 5.0);
    let engines: BTreeMap<usize, String> = rows
        .iter()
        .flat_map(|(_, dots)| dots)
        .map(|(name, _)| (style(name), engine(name)))
        .collect();
    let legend: Vec<_> = engines.into_iter().map(|(style, text)| (style, None, text)).collect();
    let top = plot.legend(&legend);
    let scale = Scale::log((low / 1.2, high * 1.2), (left, right - 6.0));
    let bottom = top + rows.len() as f64 * ROW;
    axis(&mut plot, scale, (top, bottom), &format!("{unit}, logarithmic"));
    for (i, (label, dots)) in rows.iter().enumerate() {
        let y = top + (i as f64 + 0.5) * ROW;
        let ends = range(dots.iter().map(|(_, value)| *value)).unwrap_or((low, low));
        plot.text((left - 6.0, y + 4.0), "s", "end", &fit(label, left));
        plot.line("a", (scale.at(ends.0), y), (scale.at(ends.1), y));
        // Ours is drawn last, and so is on top.
        for (name, value) in dots.iter().rev() {
            let tip = format!("{label}, {}: {} {unit}", engine(name), short(*value));
            plot.marker(style(name), (scale.at(*value), y), &tip);
        }
        if let Some((_, ours)) = dots.first() {
            plot.text((WIDTH - 4.0, y + 4.0), "s", "end", &short(*ours));
        }
    }
    Some(plot.end(bottom + 34.0))
}
