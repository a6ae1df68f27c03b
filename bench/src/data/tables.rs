//! The tables as records, and the joins: weather by (origin, hour), aircraft by tail number,
//! destination by airport code.
//!
//! Columns that are known only after departure (`dep_time`, `dep_delay`, `arr_time`, `air_time`)
//! are not even read; `arr_delay` is, for the label.

use std::collections::HashMap;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, de::DeserializeOwned};

use super::{DataError, Progress, Source};

/// One scheduled flight.
#[derive(Clone, Debug, Deserialize)]
pub struct Flight {
    pub(crate) year: i64,
    pub(crate) month: u32,
    pub(crate) day: u32,
    /// Local scheduled departure as the source writes it: 1345 is a quarter to two.
    pub(crate) sched_dep_time: u32,
    #[serde(deserialize_with = "optional")]
    pub(crate) arr_delay: Option<f64>,
    pub(crate) carrier: String,
    pub(crate) flight: u32,
    #[serde(deserialize_with = "optional")]
    pub(crate) tailnum: Option<String>,
    pub(crate) origin: String,
    pub(crate) dest: String,
    pub(crate) distance: f64,
    /// Hours since 1970 (UTC) of the scheduled departure: the key to the weather.
    #[serde(deserialize_with = "hours")]
    pub(crate) time_hour: i64,
}

/// Observation at an airport of departure in one hour.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Weather {
    origin: String,
    #[serde(deserialize_with = "hours")]
    time_hour: i64,
    #[serde(deserialize_with = "optional")]
    pub(crate) temp: Option<f64>,
    #[serde(deserialize_with = "optional")]
    pub(crate) dewp: Option<f64>,
    #[serde(deserialize_with = "optional")]
    pub(crate) humid: Option<f64>,
    #[serde(deserialize_with = "optional")]
    pub(crate) wind_dir: Option<f64>,
    #[serde(deserialize_with = "optional")]
    pub(crate) wind_speed: Option<f64>,
    #[serde(deserialize_with = "optional")]
    pub(crate) wind_gust: Option<f64>,
    #[serde(deserialize_with = "optional")]
    pub(crate) precip: Option<f64>,
    #[serde(deserialize_with = "optional")]
    pub(crate) pressure: Option<f64>,
    #[serde(deserialize_with = "optional")]
    pub(crate) visib: Option<f64>,
}

/// An aircraft of the register.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Plane {
    tailnum: String,
    #[serde(deserialize_with = "optional")]
    pub(crate) year: Option<f64>,
    pub(crate) manufacturer: String,
    pub(crate) seats: f64,
}

#[derive(Clone, Debug, Deserialize)]
struct Airport {
    faa: String,
    #[serde(deserialize_with = "optional")]
    tz: Option<f64>,
}

/// All records, with the indices that the joins need.
#[derive(Debug)]
pub struct Tables {
    /// Every scheduled flight, cancelled ones included: they count as traffic.
    pub flights: Vec<Flight>,
    weather: HashMap<(String, i64), Weather>,
    planes: HashMap<String, Plane>,
    zones: HashMap<String, i64>,
    traffic: HashMap<(String, i64), u32>,
}

impl Tables {
    /// Parses the four tables and builds the indices.
    ///
    /// # Errors
    /// When a table is missing, lacks a column, or holds an unreadable or impossible field.
    pub fn parse(source: &Source, progress: Progress<'_>) -> Result<Self, DataError> {
        let flights: Vec<Flight> = records(source, "flights.csv", progress)?;
        for (i, flight) in flights.iter().enumerate() {
            check(flight).map_err(|message| DataError::Field {
                table: "flights.csv",
                record: i + 1,
                message,
            })?;
        }
        let mut traffic = HashMap::new();
        for f in &flights {
            *traffic.entry((f.origin.clone(), f.time_hour)).or_insert(0) += 1;
        }
        let weather: Vec<Weather> = records(source, "weather.csv", progress)?;
        let planes: Vec<Plane> = records(source, "planes.csv", progress)?;
        let airports: Vec<Airport> = records(source, "airports.csv", progress)?;
        Ok(Self {
            flights,
            traffic,
            weather: weather.into_iter().map(|w| ((w.origin.clone(), w.time_hour), w)).collect(),
            planes: planes.into_iter().map(|p| (p.tailnum.clone(), p)).collect(),
            zones: airports.into_iter().filter_map(|a| Some((a.faa, a.tz? as i64))).collect(),
        })
    }

    /// The weather where a flight starts, `hours_before` its scheduled hour.
    pub(crate) fn weather(&self, flight: &Flight, hours_before: i64) -> Option<&Weather> {
        self.weather.get(&(flight.origin.clone(), flight.time_hour - hours_before))
    }

    /// The aircraft that flies, when the register knows it.
    pub(crate) fn plane(&self, flight: &Flight) -> Option<&Plane> {
        self.planes.get(flight.tailnum.as_ref()?)
    }

    /// Hours between UTC and the destination's standard time.
    pub(crate) fn zone(&self, flight: &Flight) -> Option<i64> {
        self.zones.get(&flight.dest).copied()
    }

    /// How many departures the schedule has at this airport in this hour.
    pub(crate) fn traffic(&self, flight: &Flight) -> u32 {
        self.traffic.get(&(flight.origin.clone(), flight.time_hour)).copied().unwrap_or(0)
    }
}

impl Flight {
    /// Minutes since local midnight of the scheduled departure.
    pub(crate) fn minute_of_day(&self) -> u32 {
        self.sched_dep_time / 100 * 60 + self.sched_dep_time % 100
    }

    /// Days since 1970-01-01 of the local date.
    pub(crate) fn date(&self) -> i64 {
        days(self.year, self.month, self.day)
    }

    /// 0 is Monday.
    pub(crate) fn weekday(&self) -> i64 {
        (self.date() + 3).rem_euclid(7)
    }

    /// What tells this flight from every other one; the split and the order come from its hash.
    pub(crate) fn identity(&self) -> String {
        format!(
            "{}{} {}-{} {}-{}-{} {}",
            self.carrier,
            self.flight,
            self.origin,
            self.dest,
            self.year,
            self.month,
            self.day,
            self.sched_dep_time
        )
    }
}

fn check(f: &Flight) -> Result<(), String> {
    if !(1..=12).contains(&f.month) || !(1..=31).contains(&f.day) {
        return Err(format!("month {} and day {} are no date", f.month, f.day));
    }
    if f.sched_dep_time / 100 > 24 || f.sched_dep_time % 100 > 59 {
        return Err(format!("sched_dep_time {} is no time of day", f.sched_dep_time));
    }
    if !f.distance.is_finite() || f.distance <= 0.0 {
        return Err(format!("distance {} is not positive", f.distance));
    }
    Ok(())
}

fn records<T: DeserializeOwned>(
    source: &Source,
    table: &'static str,
    progress: Progress<'_>,
) -> Result<Vec<T>, DataError> {
    let text = source.table(table)?;
    let total = text.len() as u64;
    let mut reader = csv::Reader::from_reader(text);
    let headers = reader.headers().map_err(|source| DataError::Csv { table, source })?.clone();
    let mut record = csv::StringRecord::new();
    let mut all = Vec::new();
    loop {
        let more = reader.read_record(&mut record);
        if !more.map_err(|source| DataError::Csv { table, source })? {
            break;
        }
        let parsed = record.deserialize(Some(&headers));
        all.push(parsed.map_err(|source| DataError::Csv { table, source })?);
        if all.len() % 16_384 == 0 {
            progress(table, reader.position().byte(), total);
        }
    }
    progress(table, total, total);
    Ok(all)
}

/// The source writes `NA` for what nobody measured; anything else that does not parse is damage.
fn optional<'de, D: Deserializer<'de>, T: FromStr>(d: D) -> Result<Option<T>, D::Error> {
    let text = <std::borrow::Cow<'de, str>>::deserialize(d)?;
    if text == "NA" || text.is_empty() {
        return Ok(None);
    }
    let refuse = || serde::de::Error::custom(format!("{text:?} is neither a number nor NA"));
    text.parse().map(Some).map_err(|_| refuse())
}

/// `2013-01-01T10:00:00Z` as hours since 1970.
fn hours<'de, D: Deserializer<'de>>(d: D) -> Result<i64, D::Error> {
    let text = <std::borrow::Cow<'de, str>>::deserialize(d)?;
    parse_hours(&text)
        .ok_or_else(|| serde::de::Error::custom(format!("{text:?} is no hour (…-…-…T…:00:00Z)")))
}

fn parse_hours(text: &str) -> Option<i64> {
    let (date, time) = text.split_once('T')?;
    let mut date = date.splitn(3, '-');
    let year = date.next()?.parse().ok()?;
    let month = date.next()?.parse().ok()?;
    let day = date.next()?.parse().ok()?;
    let hour: i64 = time.strip_suffix(":00:00Z")?.parse().ok()?;
    ((1..=12).contains(&month) && hour < 24).then(|| days(year, month, day) * 24 + hour)
}

/// Days since 1970-01-01 in the Gregorian calendar, years counted from March so that the leap
/// day comes last.
pub(crate) fn days(year: i64, month: u32, day: u32) -> i64 {
    let (month, day) = (i64::from(month), i64::from(day));
    let y = if month <= 2 { year - 1 } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    y * 365 + y.div_euclid(4) - y.div_euclid(100) + y.div_euclid(400) + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_count_from_1970() {
        assert_eq!(days(1970, 1, 1), 0);
        assert_eq!(days(2000, 2, 29), 11_016);
        assert_eq!(days(2013, 1, 1), 15_706);
    }

    #[test]
    fn hours_are_utc_and_whole() {
        assert_eq!(parse_hours("1970-01-02T03:00:00Z"), Some(27));
        assert_eq!(parse_hours("2013-01-01T10:00:00Z"), Some(15_706 * 24 + 10));
        assert_eq!(parse_hours("2013-01-01T10:30:00Z"), None);
        assert_eq!(parse_hours("2013-01-01"), None);
    }
}
