//! Append-only values: records in the order in which they arrived at home.

use parking_lot::Mutex;

use super::text;
use crate::error::StateError;
use crate::store::Records;

/// The appended records of one key.
#[derive(Debug, Default)]
pub(crate) struct Appended {
    records: Mutex<Records>,
}

impl Appended {
    /// Records that earlier runs left.
    pub(crate) fn of(records: Records) -> Self {
        Self { records: Mutex::new(records) }
    }

    /// Adds one record; other appends come wholly before or after it.
    pub(crate) fn append(&self, record: &[u8]) {
        self.records.lock().push(record);
    }

    /// The first `count` records, one after the other, if a buffer of `room` bytes holds them.
    pub(crate) fn first(&self, key: &[u8], count: i64, room: i64) -> Result<Vec<u8>, StateError> {
        let records = self.records.lock();
        let refuse = |need| StateError::Appended {
            key: text(key),
            elements: records.ends.len(),
            asked: count,
            need,
            len: room,
        };
        let found = usize::try_from(count).ok().and_then(|count| records.prefix(count));
        let found = found.ok_or_else(|| refuse(0))?;
        if usize::try_from(room).is_ok_and(|room| found.len() <= room) {
            return Ok(found.to_vec());
        }
        Err(refuse(found.len()))
    }

    /// All records there are now.
    pub(crate) fn all(&self) -> Records {
        self.records.lock().clone()
    }

    /// Forgets all records.
    pub(crate) fn clear(&self) {
        *self.records.lock() = Records::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_back_in_order_and_only_as_many_as_fit() {
        let a = Appended::default();
        for record in [b"one".as_slice(), b"", b"three"] {
            a.append(record);
        }
        assert_eq!(a.first(b"k", 3, 8).unwrap(), b"onethree");
        assert_eq!(a.first(b"k", 1, 3).unwrap(), b"one");
        assert_eq!(a.first(b"k", 0, 0).unwrap(), b"");
        for (count, room) in [(4, 100), (3, 7), (-1, 100), (1, -1)] {
            assert!(a.first(b"k", count, room).is_err(), "{count} {room}");
        }
        a.clear();
        assert!(a.first(b"k", 1, 100).is_err());
    }
}
