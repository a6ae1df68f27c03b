//! NYC flights 2013, from the package on the registry to windows for the demo.
//!
//! ```text
//!  sdist ──source──▶ CSV bytes ──tables──▶ records ──features──▶ numbers and labels per flight
//!                                                                     │ encode
//!                          train.bin, test.bin, meta.json ◀──layout── rows of 128 bytes
//! ```
//!
//! The question that a row asks: will this flight arrive more than 15 minutes late? Everything in
//! it was known before departure: the schedule, the aircraft, and the weather at the airport of
//! departure in the scheduled hour (an observation standing in for a forecast one hour ahead).
//! Flights without an arrival delay (cancelled, diverted) are left out.

mod encode;
mod error;
mod features;
mod layout;
mod source;
mod tables;

use std::fs;
use std::path::Path;

use sha2::{Digest, Sha256};

pub use encode::{Encoded, encode};
pub use error::DataError;
pub use features::{DENSE_NAMES, GROUP_NAMES};
pub use layout::{
    DATA_OFFSET, DENSE, Dataset, LATE_MINUTES, MAGIC, Meta, ROW_BYTES, Row, SPARSE, SetMeta,
};
pub use source::Source;
pub use tables::{Flight, Tables};

/// What a long step tells its observer: what it does, how far it is, and how far it goes.
pub type Progress<'a> = &'a dyn Fn(&str, u64, u64);

/// Reads the source distribution and writes `train.bin`, `test.bin` and `meta.json` into `out`.
///
/// The same input gives the same bytes.
///
/// # Errors
/// When the archive is missing or damaged, a table lacks a column or holds something unreadable,
/// or the output cannot be written.
pub fn prepare(sdist: &Path, out: &Path, progress: Progress<'_>) -> Result<Meta, DataError> {
    let source = Source::open(sdist)?;
    let tables = Tables::parse(&source, progress)?;
    let encoded = encode(&tables, progress)?;
    fs::create_dir_all(out).map_err(|e| DataError::io("create the directory", out, e))?;
    let train = write_set(&encoded.train, encoded.features(), &out.join("train.bin"))?;
    let test = write_set(&encoded.test, encoded.features(), &out.join("test.bin"))?;
    let meta = Meta::new(source.sha256(), encoded.names, train, test);
    let path = out.join("meta.json");
    let text = serde_json::to_string_pretty(&meta).expect("names and numbers always serialise");
    fs::write(&path, text + "\n").map_err(|e| DataError::io("write", &path, e))?;
    Ok(meta)
}

fn write_set(rows: &[Row], features: usize, path: &Path) -> Result<SetMeta, DataError> {
    let bytes = layout::to_bytes(rows, features);
    fs::write(path, &bytes).map_err(|e| DataError::io("write", path, e))?;
    Ok(SetMeta {
        file: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        rows: rows.len(),
        late: rows.iter().filter(|r| r.late).count(),
        bytes: bytes.len(),
        sha256: hex(&Sha256::digest(&bytes)),
    })
}

/// Lower-case hexadecimal, as `sha256sum` prints it.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLIGHTS: &str = "\
year,month,day,dep_time,sched_dep_time,dep_delay,arr_time,sched_arr_time,arr_delay,carrier,flight,\
tailnum,origin,dest,air_time,distance,hour,minute,time_hour
2013,1,1,517,515,2,830,819,16,UA,1545,N1,EWR,IAH,227,1400,5,15,2013-01-01T10:00:00Z
2013,1,1,533,529,4,850,830,15,UA,1714,NA,EWR,IAH,227,1400,5,29,2013-01-01T10:00:00Z
2013,1,1,NA,545,NA,NA,850,NA,AA,1141,N2,JFK,MIA,NA,1089,5,45,2013-01-01T10:00:00Z
";
    const WEATHER: &str = "\
origin,year,month,day,hour,temp,dewp,humid,wind_dir,wind_speed,wind_gust,precip,pressure,visib,time_hour
EWR,2013,1,1,5,39.5,26,59,270,10,NA,0.1,1012,10,2013-01-01T10:00:00Z
EWR,2013,1,1,2,38,26,59,270,10,NA,0.02,1015,10,2013-01-01T07:00:00Z
";
    const PLANES: &str = "\
tailnum,year,type,manufacturer,model,engines,seats,speed,engine
N1,2003,Fixed wing,BOEING,737,2,149,NA,Turbo-fan
N2,NA,Fixed wing,AIRBUS,A320,2,182,NA,Turbo-fan
";
    const AIRPORTS: &str = "\
faa,name,lat,lon,alt,tz,dst,tzone
IAH,Houston,29.9,-95.3,97,-6,A,America/Chicago
";

    fn parse(flights: &str) -> Result<Tables, DataError> {
        let tables = [
            ("flights.csv", flights),
            ("weather.csv", WEATHER),
            ("planes.csv", PLANES),
            ("airports.csv", AIRPORTS),
        ];
        Tables::parse(&Source::from_text(&tables), &|_, _, _| {})
    }

    #[test]
    fn joins_find_weather_aircraft_zone_and_traffic() {
        let tables = parse(FLIGHTS).expect("good tables");
        let numbers = |i: usize| features::numbers(&tables, &tables.flights[i]);
        let first = numbers(0);
        assert_eq!(first[1], Some(1400.0_f64.ln()));
        assert_eq!(first[2], Some(10.0), "built in 2003");
        assert_eq!(first[4], Some(39.5));
        assert_eq!(first[8], Some(10.0), "no gust: the wind itself");
        assert_eq!(first[9], Some(10.0_f64.ln_1p()), "0.1 inches");
        assert_eq!(first[12], Some(-3.0), "1012 after 1015");
        assert_eq!(first[13], Some(2.0_f64.ln_1p()), "0.02 inches three hours ago");
        assert_eq!(first[14], Some(2.0), "two departures from EWR in the hour");
        assert_eq!(first[15], Some(315.0), "a quarter past five");
        assert_eq!(numbers(1)[2], None, "no tail number, no age");
        let third = numbers(2);
        assert_eq!((third[2], third[4]), (None, None), "year NA, no weather at JFK");
        assert_eq!(tables.zone(&tables.flights[0]), Some(-6));
        assert_eq!(tables.flights[0].weekday(), 1, "2013 began on a Tuesday");
    }

    #[test]
    fn every_group_gets_its_label() {
        let tables = parse(FLIGHTS).expect("good tables");
        let mut labels = features::Labels::new();
        labels.fill(&tables, &tables.flights[0]);
        let of = |group: &str| {
            let at = GROUP_NAMES.iter().position(|g| *g == group).expect("a group");
            labels.texts[at].as_str()
        };
        assert_eq!(of("carrier"), "UA");
        assert_eq!(of("dest,hour"), "IAH,5");
        assert_eq!(of("holiday"), "+0");
        assert_eq!(of("dest zone,hour"), "-6,5");
        assert_eq!(of("manufacturer"), "BOEING");
        assert_eq!(of("origin,wind direction"), "EWR,9");
        assert_eq!(of("precipitation,part of day"), "4,1");
    }

    #[test]
    fn cancelled_flights_are_traffic_but_no_rows_and_late_is_more_than_15() {
        let many: String = (0..200)
            .map(|i| {
                let line = FLIGHTS.lines().nth(1 + i % 3).expect("three flights");
                line.replacen(",1545,", &format!(",{i},"), 1).replacen(
                    ",1714,",
                    &format!(",{i},"),
                    1,
                ) + "\n"
            })
            .collect();
        let header = FLIGHTS.lines().next().expect("a header");
        let tables = parse(&format!("{header}\n{many}")).expect("good tables");
        let encoded = encode(&tables, &|_, _, _| {}).expect("enough rows");
        let all = || encoded.train.iter().chain(&encoded.test);
        assert_eq!(all().count(), 134, "66 of 200 were cancelled");
        assert_eq!(all().filter(|r| r.late).count(), 67, "16 minutes are late, 15 are not");
        assert!(encoded.names.len().is_multiple_of(16));
        assert!(all().all(|r| r.dense[0] == 1.0 && r.index[0] >= DENSE as u16));
        assert!(!encoded.test.is_empty() && encoded.test.len() < 50);
        let again = encode(&tables, &|_, _, _| {}).expect("enough rows");
        assert_eq!(again.train, encoded.train);
    }

    #[test]
    fn bad_input_is_named() {
        let say = |flights: &str| parse(flights).expect_err("bad").to_string();
        let text = say(&FLIGHTS.replace(",16,UA", ",late,UA"));
        assert!(text.contains("flights.csv") && text.contains("neither a number nor NA"), "{text}");
        let text = say(&FLIGHTS.replace("sched_dep_time", "when"));
        assert!(text.contains("sched_dep_time"), "{text}");
        let text = say(&FLIGHTS.replace(",515,", ",565,"));
        assert!(text.contains("record 1: sched_dep_time 565"), "{text}");
        let one: String = FLIGHTS.split_inclusive('\n').take(2).collect();
        let few = encode(&parse(&one).expect("good"), &|_, _, _| {});
        assert!(matches!(few, Err(DataError::TooFewRows { rows: 1, .. })));
    }

    #[test]
    fn a_damaged_archive_says_so() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("broken.tar.gz");
        fs::write(&path, b"no archive").expect("a file");
        let text = prepare(&path, dir.path(), &|_, _, _| {}).expect_err("bad").to_string();
        assert!(text.contains("is damaged") && text.contains("fetch-flights"), "{text}");
        let text = prepare(&dir.path().join("none"), dir.path(), &|_, _, _| {}).expect_err("bad");
        assert!(text.to_string().contains("cannot read"), "{text}");
    }
}
