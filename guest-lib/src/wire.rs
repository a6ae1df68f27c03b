//! How inputs and outputs of calls become bytes.
//!
//! With the feature `serde` any type that serde knows travels as postcard; [`Raw`] travels as it
//! is, which is what functions in C and Python expect.

use alloc::string::String;
use alloc::vec::Vec;

use bytemuck::Pod;

/// A value that can be an input or an output.
pub trait Wire: Sized {
    /// The bytes that stand for it.
    fn to_wire(&self) -> Vec<u8>;

    /// The value that these bytes stand for.
    ///
    /// # Errors
    /// What is wrong with them.
    fn from_wire(bytes: &[u8]) -> Result<Self, String>;
}

/// Bytes that travel as they are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Raw(pub Vec<u8>);

impl Raw {
    /// The bytes of plain values, as a C program has them in memory.
    #[must_use]
    pub fn of<T: Pod>(values: &[T]) -> Self {
        Self(bytemuck::cast_slice(values).to_vec())
    }

    /// The plain values that these bytes are.
    ///
    /// # Panics
    /// When they are not a whole number of values.
    #[must_use]
    pub fn values<T: Pod>(&self) -> Vec<T> {
        let size = size_of::<T>();
        assert!(
            size > 0 && self.0.len().is_multiple_of(size),
            "{} bytes are not a whole number of values of {size} bytes",
            self.0.len()
        );
        bytemuck::pod_collect_to_vec(&self.0)
    }

    /// The text that these bytes are.
    ///
    /// # Panics
    /// When they are no UTF-8.
    #[must_use]
    pub fn text(&self) -> &str {
        core::str::from_utf8(&self.0).expect("the bytes are UTF-8")
    }
}

impl From<&str> for Raw {
    fn from(text: &str) -> Self {
        Self(text.as_bytes().to_vec())
    }
}

impl From<Vec<u8>> for Raw {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl AsRef<[u8]> for Raw {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Wire for Raw {
    fn to_wire(&self) -> Vec<u8> {
        self.0.clone()
    }

    fn from_wire(bytes: &[u8]) -> Result<Self, String> {
        Ok(Self(bytes.to_vec()))
    }
}

#[cfg(feature = "serde")]
impl<T: serde::Serialize + serde::de::DeserializeOwned> Wire for T {
    fn to_wire(&self) -> Vec<u8> {
        // Writing into a vector fails only where a type's own code refuses.
        postcard::to_allocvec(self)
            .unwrap_or_else(|why| panic!("{} as bytes: {why}", core::any::type_name::<T>()))
    }

    fn from_wire(bytes: &[u8]) -> Result<Self, String> {
        let (value, rest) = postcard::take_from_bytes(bytes).map_err(|why| {
            alloc::format!("{} bytes are no {}: {why}", bytes.len(), core::any::type_name::<T>())
        })?;
        if rest.is_empty() {
            return Ok(value);
        }
        let (name, more) = (core::any::type_name::<T>(), rest.len());
        Err(alloc::format!("{} bytes are {more} more than a {name} has", bytes.len()))
    }
}

#[cfg(not(feature = "serde"))]
impl Wire for () {
    fn to_wire(&self) -> Vec<u8> {
        Vec::new()
    }

    fn from_wire(bytes: &[u8]) -> Result<Self, String> {
        if bytes.is_empty() { Ok(()) } else { Err("an input that nobody takes".into()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raw_bytes_are_those_of_memory() {
        let raw = Raw::of(&[1_u16, 0x0203]);
        assert_eq!(raw.to_wire(), [1, 0, 3, 2]);
        assert_eq!(raw.values::<u16>(), [1, 0x0203]);
        assert_eq!(Raw::from("é").text(), "é");
    }

    #[cfg(feature = "serde")]
    #[test]
    fn typed_values_come_back_and_others_are_refused() {
        let value = (7_u32, String::from("seven"), Some(-1_i64));
        let bytes = value.to_wire();
        assert_eq!(<(u32, String, Option<i64>)>::from_wire(&bytes), Ok(value));
        assert!(<(u32, String, Option<i64>)>::from_wire(&bytes[..3]).is_err());
        assert!(u8::from_wire(&[1, 2]).unwrap_err().contains("1 more than a u8"));
    }
}
