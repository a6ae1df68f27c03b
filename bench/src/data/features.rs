//! What a flight looks like to the model: 15 numbers and 31 labels, one from each group.
//!
//! Numbers are standardised later, over the training rows; labels become one-hot features. A
//! number that nobody measured is `None` and ends as the mean. Everything is known before
//! departure; no label names a single day, so that no flight learns from others of its day.

use std::fmt::{Arguments, Write};

use super::layout::{DENSE, SPARSE};
use super::tables::{Flight, Plane, Tables, Weather, days};

/// The standardised numbers, after the constant one.
pub const DENSE_NAMES: [&str; DENSE] = [
    "bias",
    "log distance",
    "aircraft age",
    "log seats",
    "temperature",
    "dew point",
    "humidity",
    "wind speed",
    "wind gust",
    "log precipitation",
    "pressure",
    "visibility",
    "pressure change over 3 h",
    "log precipitation of the last 3 h",
    "scheduled departures in the hour",
    "scheduled minute of the day",
];

/// The groups of labels; a row has exactly one label of each.
pub const GROUP_NAMES: [&str; SPARSE] = [
    "carrier",
    "origin",
    "dest",
    "month",
    "weekday",
    "hour",
    "origin,hour",
    "carrier,hour",
    "carrier,origin",
    "carrier,dest",
    "dest,hour",
    "month,hour",
    "month,weekday",
    "weekday,hour",
    "month,origin",
    "holiday",
    "ten minutes of the hour",
    "distance",
    "dest zone,hour",
    "carrier,month",
    "manufacturer",
    "seats,age",
    "origin,wind direction",
    "origin,visibility",
    "precipitation,part of day",
    "precipitation of 3 h,part of day",
    "humidity,season",
    "temperature,season",
    "origin,pressure",
    "origin,wind speed",
    "origin,departures in the hour",
];

/// Holidays of 2013 that move traffic, as (month, day).
const HOLIDAYS: [(u32, u32); 8] =
    [(1, 1), (1, 21), (3, 31), (5, 27), (7, 4), (9, 2), (11, 28), (12, 25)];

/// The labels of one flight; buffers are reused from flight to flight.
#[derive(Debug)]
pub(crate) struct Labels {
    pub(crate) texts: [String; SPARSE],
    next: usize,
}

impl Labels {
    pub(crate) fn new() -> Self {
        Self { texts: std::array::from_fn(|_| String::new()), next: 0 }
    }

    fn push(&mut self, label: Arguments<'_>) {
        let text = &mut self.texts[self.next];
        text.clear();
        text.write_fmt(label).expect("a String takes everything");
        self.next += 1;
    }

    /// Fills every group for one flight.
    pub(crate) fn fill(&mut self, tables: &Tables, f: &Flight) {
        self.next = 0;
        self.schedule(f);
        self.crosses(tables, f);
        self.aircraft(f, tables.plane(f));
        self.weather(tables, f);
        assert_eq!(self.next, SPARSE, "every group has its label");
    }

    fn schedule(&mut self, f: &Flight) {
        let (hour, weekday) = (f.minute_of_day() / 60, f.weekday());
        self.push(format_args!("{}", f.carrier));
        self.push(format_args!("{}", f.origin));
        self.push(format_args!("{}", f.dest));
        self.push(format_args!("{}", f.month));
        self.push(format_args!("{weekday}"));
        self.push(format_args!("{hour}"));
        self.push(format_args!("{},{hour}", f.origin));
        self.push(format_args!("{},{hour}", f.carrier));
        self.push(format_args!("{},{}", f.carrier, f.origin));
        self.push(format_args!("{},{}", f.carrier, f.dest));
        self.push(format_args!("{},{hour}", f.dest));
        self.push(format_args!("{},{hour}", f.month));
        self.push(format_args!("{},{weekday}", f.month));
        self.push(format_args!("{weekday},{hour}"));
        self.push(format_args!("{},{}", f.month, f.origin));
    }

    fn crosses(&mut self, tables: &Tables, f: &Flight) {
        let minute = f.minute_of_day();
        match holiday(f) {
            Some(offset) => self.push(format_args!("{offset:+}")),
            None => self.push(format_args!("none")),
        }
        self.push(format_args!("{}", minute % 60 / 10));
        self.push(format_args!("{}", bin(Some(f.distance), &DISTANCE_EDGES)));
        self.push(format_args!("{},{}", tables.zone(f).unwrap_or(0), minute / 60));
        self.push(format_args!("{},{}", f.carrier, f.month));
    }

    fn aircraft(&mut self, f: &Flight, plane: Option<&Plane>) {
        let maker = plane.map_or("unknown", |p| &p.manufacturer);
        self.push(format_args!("{maker}"));
        let seats = bin(plane.map(|p| p.seats), &[60.0, 100.0, 150.0, 180.0, 220.0]);
        let age = bin(age(f, plane), &[3.0, 7.0, 12.0, 18.0]);
        self.push(format_args!("{seats},{age}"));
    }

    fn weather(&mut self, tables: &Tables, f: &Flight) {
        let w = tables.weather(f, 0);
        let part = f.minute_of_day() / 240;
        let season = f.month % 12 / 3;
        let at = &f.origin;
        let wet = [0.001, 0.02, 0.05, 0.1, 0.2, 0.4];
        let direction = w.and_then(|w| w.wind_dir).map_or(-1, |d| (d / 30.0).round() as i64 % 12);
        self.push(format_args!("{at},{direction}"));
        let visib = bin(w.and_then(|w| w.visib), &[0.5, 1.0, 2.0, 4.0, 6.0, 8.0, 9.5]);
        self.push(format_args!("{at},{visib}"));
        self.push(format_args!("{},{part}", bin(w.and_then(|w| w.precip), &wet)));
        self.push(format_args!("{},{part}", bin(Some(recent_rain(tables, f)), &wet)));
        let humid = bin(w.and_then(|w| w.humid), &HUMID_EDGES);
        self.push(format_args!("{humid},{season}"));
        let temp = bin(w.and_then(|w| w.temp), &TEMP_EDGES);
        self.push(format_args!("{temp},{season}"));
        let pressure = bin(w.and_then(|w| w.pressure), &PRESSURE_EDGES);
        self.push(format_args!("{at},{pressure}"));
        let speed = bin(w.and_then(|w| w.wind_speed), &[3.0, 6.0, 9.0, 12.0, 16.0, 20.0, 25.0]);
        self.push(format_args!("{at},{speed}"));
        self.push(format_args!("{at},{}", tables.traffic(f) / 3));
    }
}

const DISTANCE_EDGES: [f64; 9] =
    [200.0, 300.0, 500.0, 750.0, 1000.0, 1250.0, 1600.0, 2200.0, 2550.0];
const HUMID_EDGES: [f64; 8] = [30.0, 40.0, 50.0, 60.0, 70.0, 80.0, 88.0, 94.0];
const TEMP_EDGES: [f64; 9] = [20.0, 28.0, 36.0, 44.0, 52.0, 60.0, 68.0, 76.0, 84.0];
const PRESSURE_EDGES: [f64; 8] = [1000.0, 1005.0, 1009.0, 1013.0, 1017.0, 1021.0, 1025.0, 1030.0];

/// The numbers of one flight, `None` where nobody measured.
pub(crate) fn numbers(tables: &Tables, f: &Flight) -> [Option<f64>; DENSE] {
    let plane = tables.plane(f);
    let w = tables.weather(f, 0);
    let of = |field: fn(&Weather) -> Option<f64>| w.and_then(field);
    let earlier = tables.weather(f, 3).and_then(|w| w.pressure);
    let pressure = of(|w| w.pressure);
    [
        Some(1.0),
        Some(f.distance.ln()),
        age(f, plane),
        plane.map(|p| p.seats.max(1.0).ln()),
        of(|w| w.temp),
        of(|w| w.dewp),
        of(|w| w.humid),
        of(|w| w.wind_speed),
        of(|w| w.wind_gust.or(w.wind_speed)),
        of(|w| w.precip).map(log_rain),
        pressure,
        of(|w| w.visib),
        pressure.zip(earlier).map(|(now, then)| now - then),
        Some(log_rain(recent_rain(tables, f))),
        Some(f64::from(tables.traffic(f))),
        Some(f64::from(f.minute_of_day())),
    ]
}

/// Inches of the three hours before the scheduled one; hours without observation count as dry.
fn recent_rain(tables: &Tables, f: &Flight) -> f64 {
    (1..=3).filter_map(|h| tables.weather(f, h)?.precip).sum()
}

fn log_rain(inches: f64) -> f64 {
    (100.0 * inches).ln_1p()
}

fn age(f: &Flight, plane: Option<&Plane>) -> Option<f64> {
    Some((f.year as f64 - plane?.year?).max(0.0))
}

/// Days from the nearest holiday when it is at most three days away.
fn holiday(f: &Flight) -> Option<i64> {
    let offsets = HOLIDAYS.iter().flat_map(|&(month, day)| {
        [f.year, f.year + 1].map(|year| f.date() - days(year, month, day))
    });
    offsets.filter(|d| d.abs() <= 3).min_by_key(|d| d.abs())
}

/// The number of the interval between edges, -1 for what nobody measured.
fn bin(value: Option<f64>, edges: &[f64]) -> i64 {
    value.map_or(-1, |v| edges.iter().take_while(|e| v >= **e).count() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_on_an_edge_belongs_above_it() {
        assert_eq!(bin(Some(1.9), &[2.0, 4.0]), 0);
        assert_eq!(bin(Some(2.0), &[2.0, 4.0]), 1);
        assert_eq!(bin(Some(9.0), &[2.0, 4.0]), 2);
        assert_eq!(bin(None, &[2.0, 4.0]), -1);
    }
}
