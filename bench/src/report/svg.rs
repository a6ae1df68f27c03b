//! A drawing: scales, ticks, markers, colours, and the text of an SVG.
//!
//! Written by hand and not with a plotting crate, since colours have to be classes: the reader's browser
//! chooses light or dark, and text has to stay text that the reader's fonts show.
//!
//! Every drawing is [`WIDTH`] wide, a phone's width, so that its letters are as large there as elsewhere.

use std::fmt::Write;

use crate::records::Spread;

/// Width of every drawing.
pub(crate) const WIDTH: f64 = 360.0;

/// About what a letter of small text takes.
pub(crate) const LETTER: f64 = 6.2;

/// Colours that stay apart for the colour-blind (after Okabe and Ito), light and dark.
const COLOURS: [(&str, &str); 10] = [
    ("#0072b2", "#58b4f0"),
    ("#c24e00", "#ff9a52"),
    ("#008a64", "#3fd0a4"),
    ("#a8478a", "#e596cb"),
    ("#8a6a00", "#e8bf3f"),
    ("#5b4fcf", "#a9a1ff"),
    ("#7a4b1e", "#cfa27a"),
    ("#1b7f9e", "#6fd3ee"),
    ("#5e7d00", "#b5d84a"),
    ("#5f6770", "#a3acb6"),
];

/// Engines by colour; what is not here is grey.
const ENGINES: [(&str, &str); 15] = [
    ("mobula", "Mobula"),
    ("openmp", "OpenMP"),
    ("mpi", "C + MPI"),
    ("rayon", "rayon"),
    ("numpy", "numpy"),
    ("joblib", "joblib"),
    ("ray", "Ray"),
    ("dask", "Dask"),
    ("mpi4py", "mpi4py"),
    ("native", "native C"),
    ("serial", "serial C"),
    ("openblas", "OpenBLAS"),
    ("c", "a guest in C"),
    ("openmp-queued-task", "OpenMP's queued task"),
    ("openmp-128", "OpenMP, vectors of 128 bits"),
];

/// Our own name among the engines.
pub(crate) const OURS: &str = "mobula";

/// A unit for people.
pub(crate) fn unit(unit: &str) -> &str {
    match unit {
        "us" => "µs",
        "1/s" => "per second",
        _ => unit,
    }
}

/// Colour of an engine, and its marker; with ten more for each further marker.
pub(crate) fn style(engine: &str) -> usize {
    match engine {
        "openblas" => 19,
        _ => ENGINES.iter().position(|(name, _)| *name == engine).unwrap_or(9).min(9),
    }
}

/// An engine's name for people.
pub(crate) fn engine(name: &str) -> String {
    let known = ENGINES.iter().find(|(engine, _)| *engine == name);
    known.map_or_else(|| name.replace('-', " "), |(_, text)| (*text).to_owned())
}

/// Rules of all drawings.
pub(crate) fn css() -> String {
    let mut css = String::from(
        ".plot text{font:12px system-ui,-apple-system,\"Segoe UI\",Roboto,\"DejaVu Sans\",sans-serif;fill:#1b1f24}\
         .plot .halo{paint-order:stroke;stroke:#fff;stroke-width:3px}.plot .t{font-weight:600;font-size:13px}.plot .s{font-size:11px}\
         .plot .dim{fill:#57606a}.plot .g{stroke:#dfe3e8;stroke-width:1}\
         .plot .a{stroke:#57606a;stroke-width:1}.plot .e{stroke:#1b1f24;stroke-width:1.2;fill:none}",
    );
    let mut dark = String::from(
        ".plot text{fill:#e6edf3}.plot .halo{stroke:#0f141a}.plot .dim{fill:#9aa4af}.plot .g{stroke:#2b323b}\
         .plot .a{stroke:#9aa4af}.plot .e{stroke:#e6edf3}",
    );
    for (i, (light_colour, dark_colour)) in COLOURS.iter().enumerate() {
        for (css, colour) in [(&mut css, light_colour), (&mut dark, dark_colour)] {
            _ = write!(css, ".plot .c{i}{{fill:{colour};stroke:{colour}}}");
        }
    }
    format!(
        "{css}@media(prefers-color-scheme:dark){{{dark}}}.plot .l{{fill:none;stroke-width:2}}\
         .plot .b{{stroke:none}}.plot .band{{stroke:none;fill-opacity:.18}}\
         .plot .dash{{stroke-dasharray:6 4}}.plot .dot{{stroke-dasharray:1.5 3.5;stroke-width:1.5}}"
    )
}

/// Text as XML has it.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            // XML has no other control characters.
            _ if letter.is_control() && letter != '\n' => escaped.push(' '),
            _ => escaped.push(letter),
        }
    }
    escaped
}

/// A number with `digits` significant ones, and all of those before the point.
pub(crate) fn digits(value: f64, digits: i32) -> String {
    if !value.is_finite() {
        return "–".to_owned();
    }
    if value == 0.0 {
        return "0".to_owned();
    }
    #[allow(clippy::cast_possible_truncation, reason = "a logarithm of a double is small")]
    let before = value.abs().log10().floor() as i32 + 1;
    if before < -3 {
        let after = usize::try_from(digits - 1).unwrap_or(0);
        return format!("{value:.after$e}");
    }
    let after = usize::try_from(digits - before).unwrap_or(0);
    let plain = format!("{value:.after$}");
    let plain = match plain.contains('.') {
        true => plain.trim_end_matches('0').trim_end_matches('.'),
        false => &plain,
    };
    group(plain)
}

/// 1234567 is 1 234 567, with spaces that do not break.
fn group(plain: &str) -> String {
    let (whole, rest) = plain.split_at(plain.find('.').unwrap_or(plain.len()));
    if whole.len() < 5 {
        return plain.to_owned();
    }
    let mut grouped = String::new();
    for (i, letter) in whole.chars().enumerate() {
        if i > 0 && (whole.len() - i) % 3 == 0 && letter.is_ascii_digit() {
            grouped.push('\u{202f}');
        }
        grouped.push(letter);
    }
    grouped + rest
}

/// A number as it is written into a drawing.
pub(crate) fn short(value: f64) -> String {
    digits(value, 3)
}

/// A number at an axis: 20k, 5M.
pub(crate) fn tick(value: f64) -> String {
    let scales = [(1e9, "G"), (1e6, "M"), (1e4, "k")];
    match scales.into_iter().find(|(scale, _)| value >= scale * 0.999_999) {
        Some((1e4, name)) => short(value / 1e3) + name,
        Some((scale, name)) => short(value / scale) + name,
        None => short(value),
    }
}

/// From values to places.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scale {
    log: bool,
    values: (f64, f64),
    places: (f64, f64),
}

impl Scale {
    /// A linear one.
    pub(crate) fn linear(values: (f64, f64), places: (f64, f64)) -> Self {
        let values = if values.1 > values.0 { values } else { (values.0, values.0 + 1.0) };
        Self { log: false, values, places }
    }

    /// A logarithmic one; values must be above 0.
    pub(crate) fn log(values: (f64, f64), places: (f64, f64)) -> Self {
        let values = if values.1 > values.0 { values } else { (values.0 / 2.0, values.0 * 2.0) };
        Self { log: true, values, places }
    }

    /// Where a value is, within the drawing.
    pub(crate) fn at(&self, value: f64) -> f64 {
        let (low, high) = self.values;
        let part = if self.log {
            (value.max(low * 1e-9) / low).ln() / (high / low).ln()
        } else {
            (value - low) / (high - low)
        };
        let (from, to) = self.places;
        from + part.clamp(0.0, 1.0) * (to - from)
    }

    /// Round values within.
    pub(crate) fn ticks(&self) -> Vec<f64> {
        let (low, high) = self.values;
        let fits = |value: &f64| *value >= low * 0.999_999 && *value <= high * 1.000_001;
        if !self.log {
            let rough = (high - low) / 6.001;
            let power = 10_f64.powf(rough.log10().floor());
            let round = [1.0, 2.0, 5.0, 10.0].into_iter().find(|step| step * power >= rough);
            let step = round.unwrap_or(10.0) * power;
            let first = (low / step).ceil();
            return (0..12).map(|i| (first + f64::from(i)) * step).filter(fits).collect();
        }
        let of = |steps: &[f64]| -> Vec<f64> {
            let decades = -15..16;
            decades
                .flat_map(|d| steps.iter().map(move |s| s * 10_f64.powi(d)))
                .filter(fits)
                .collect()
        };
        let steps: [&[f64]; 4] =
            [&[1.0], &[1.0, 3.0], &[1.0, 2.0, 5.0], &[1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 7.0]];
        steps.into_iter().map(of).find(|ticks| ticks.len() >= 3).unwrap_or_else(|| vec![low, high])
    }
}

/// The least and the largest of some values above 0.
pub(crate) fn range(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    let values = values.filter(|value| value.is_finite() && *value > 0.0);
    let range = values.fold((f64::INFINITY, 0.0_f64), |(low, high), v| (low.min(v), high.max(v)));
    (range.1 > 0.0).then_some(range)
}

/// A finished drawing.
#[derive(Debug, Clone)]
pub(crate) struct Plot {
    /// Name of its file, without the ending.
    pub(crate) name: String,
    title: String,
    about: String,
    height: f64,
    body: String,
}

impl Plot {
    /// An empty one with a title; `about` says in words what it shows.
    pub(crate) fn new(name: &str, title: &str, about: &str) -> Self {
        let letter = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
        let name = name.chars().map(letter).collect();
        let (title, about) = (title.to_owned(), about.to_owned());
        let mut plot = Self { name, title: title.clone(), about, height: 0.0, body: String::new() };
        plot.text((4.0, 15.0), "t", "start", &title);
        plot
    }

    /// Sets how high it is.
    pub(crate) fn end(mut self, height: f64) -> Self {
        self.height = height.ceil();
        self
    }

    /// Adds anything.
    pub(crate) fn add(&mut self, element: std::fmt::Arguments) {
        _ = self.body.write_fmt(element);
    }

    /// Adds text.
    pub(crate) fn text(&mut self, (x, y): (f64, f64), class: &str, anchor: &str, text: &str) {
        let text = escape(text);
        self.add(format_args!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\" class=\"{class}\" text-anchor=\"{anchor}\">{text}</text>"
        ));
    }

    /// Adds a straight line.
    pub(crate) fn line(&mut self, class: &str, from: (f64, f64), to: (f64, f64)) {
        self.add(format_args!(
            "<line class=\"{class}\" x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\"/>",
            from.0, from.1, to.0, to.1
        ));
    }

    /// Adds a marker, which says `tip` where a mouse rests on it.
    pub(crate) fn marker(&mut self, style: usize, (x, y): (f64, f64), tip: &str) {
        let tip = escape(tip);
        let path = |points: &[(f64, f64)]| {
            points
                .iter()
                .fold(String::new(), |all, (dx, dy)| format!("{all}{:.1},{:.1} ", x + dx, y + dy))
        };
        let (style, shape) = (style % 10, style + style / 10);
        let shape = match shape % 5 {
            0 => format!("circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4.2\""),
            1 => format!(
                "rect x=\"{:.1}\" y=\"{:.1}\" width=\"7.4\" height=\"7.4\"",
                x - 3.7,
                y - 3.7
            ),
            2 => format!("polygon points=\"{}\"", path(&[(0.0, -5.0), (4.8, 3.6), (-4.8, 3.6)])),
            3 => {
                let around = [(0.0, -5.2), (5.2, 0.0), (0.0, 5.2), (-5.2, 0.0)];
                format!("polygon points=\"{}\"", path(&around))
            }
            _ => format!("polygon points=\"{}\"", path(&[(0.0, 5.0), (4.8, -3.6), (-4.8, -3.6)])),
        };
        let name = shape.split(' ').next().unwrap_or_default();
        self.add(format_args!("<{shape} class=\"c{style} b\"><title>{tip}</title></{name}>"));
    }

    /// Adds an error bar along x.
    pub(crate) fn across(&mut self, (from, to): (f64, f64), y: f64) {
        self.line("e", (from, y), (to, y));
        self.line("e", (from, y - 3.0), (from, y + 3.0));
        self.line("e", (to, y - 3.0), (to, y + 3.0));
    }

    /// Adds a legend below the title: style, a class of its line, text. Returns where it ends.
    pub(crate) fn legend(&mut self, entries: &[(usize, Option<&str>, String)]) -> f64 {
        let (mut x, mut y) = (8.0, 34.0);
        for (style, line, text) in entries {
            let width = 24.0 + text.chars().count() as f64 * LETTER + 13.0;
            if x > 8.0 && x + width > WIDTH {
                (x, y) = (8.0, y + 16.0);
            }
            if let Some(class) = line {
                self.line(&format!("c{} l {class}", style % 10), (x, y - 4.0), (x + 18.0, y - 4.0));
            }
            if *line != Some("dash") {
                self.marker(*style, (x + 9.0, y - 4.0), text);
            }
            self.text((x + 23.0, y), "s", "start", text);
            x += width;
        }
        if entries.is_empty() { 20.0 } else { y + 6.0 }
    }

    /// As part of a page.
    pub(crate) fn inline(&self) -> String {
        self.write("", "")
    }

    /// As a file of its own.
    pub(crate) fn file(&self) -> String {
        let ground = "svg:root{background:#fff}@media(prefers-color-scheme:dark){svg:root{background:#0f141a}}";
        let style = format!("<style>{ground}{}</style>", css());
        self.write(" xmlns=\"http://www.w3.org/2000/svg\"", &style)
    }

    fn write(&self, space: &str, style: &str) -> String {
        let Self { name, height, body, .. } = self;
        let (title, about) = (escape(&self.title), escape(&self.about));
        format!(
            "<svg{space} class=\"plot\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" \
             aria-labelledby=\"t-{name} d-{name}\"><title id=\"t-{name}\">{title}</title>\
             <desc id=\"d-{name}\">{about}</desc>{style}{body}</svg>\n"
        )
    }
}

/// A spread in words.
pub(crate) fn tip(what: &str, spread: &Spread, unit: &str) -> String {
    let Spread { median, p10, p90 } = spread;
    format!("{what}: {} {unit} (p10 {}, p90 {})", short(*median), short(*p10), short(*p90))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_their_digits() {
        for (value, text) in [
            (1_234_567.0, "1\u{202f}234\u{202f}567"),
            (1234.4, "1234"),
            (12.345, "12.3"),
            (0.5, "0.5"),
            (0.012_345, "0.0123"),
            (0.000_012_3, "1.23e-5"),
            (100.0, "100"),
            (0.0, "0"),
            (f64::NAN, "–"),
        ] {
            assert_eq!(short(value), text);
        }
    }

    #[test]
    fn scales_have_some_round_ticks() {
        for (low, high) in [(0.9, 1.3), (3.0, 4000.0), (1e-6, 1e6), (5.0, 5.0), (0.11, 0.12)] {
            let log = Scale::log((low, high), (0.0, 100.0)).ticks();
            assert!((2..=13).contains(&log.len()), "{low} {high} {log:?}");
        }
        assert_eq!(Scale::linear((0.0, 1.2), (0.0, 1.0)).ticks().len(), 7);
        let scale = Scale::log((1.0, 100.0), (0.0, 10.0));
        assert_eq!((scale.at(10.0), scale.at(0.0), scale.at(1e9)), (5.0, 0.0, 10.0));
    }

    #[test]
    fn text_is_escaped() {
        assert_eq!(escape("a<b & \"c\"\u{1}"), "a&lt;b &amp; &quot;c&quot; ");
    }
}
