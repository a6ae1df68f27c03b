//! Values on the command line: what they look like and what is refused.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::str::FromStr;

/// `K=V`.
#[derive(Debug, Clone)]
pub struct KeyValue {
    pub key: String,
    pub value: String,
}

impl FromStr for KeyValue {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((key, value)) if !key.is_empty() => {
                Ok(Self { key: key.to_owned(), value: value.to_owned() })
            }
            _ => Err("write it as NAME=VALUE".to_owned()),
        }
    }
}

/// `USER/KEY=FILE`.
#[derive(Debug, Clone)]
pub struct StateArg {
    pub user: String,
    pub key: String,
    pub file: PathBuf,
}

impl FromStr for StateArg {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once('=').and_then(|(name, file)| {
            let (user, key) = name.split_once('/')?;
            (!user.is_empty() && !key.is_empty() && !file.is_empty()).then_some((user, key, file))
        });
        let (user, key, file) = parts.ok_or("write it as USER/KEY=FILE")?;
        Ok(Self { user: user.to_owned(), key: key.to_owned(), file: file.into() })
    }
}

/// `HOST[:GUEST][:ro]`.
#[derive(Debug, Clone)]
pub struct DirArg {
    pub host: PathBuf,
    pub guest: String,
    pub read_only: bool,
}

impl FromStr for DirArg {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let (text, read_only) = match text.strip_suffix(":ro") {
            Some(rest) => (rest, true),
            None => (text.strip_suffix(":rw").unwrap_or(text), false),
        };
        let (host, guest) = text.split_once(':').unwrap_or((text, text));
        if host.is_empty() || guest.is_empty() {
            return Err("write it as HOST, HOST:GUEST or HOST:GUEST:ro".to_owned());
        }
        Ok(Self { host: host.into(), guest: guest.to_owned(), read_only })
    }
}

/// Most bytes of a user's name, a function's name and a key.
const NAME_BYTES: usize = 255;

pub fn user(text: &str) -> Result<String, String> {
    if text.is_empty() || text.len() > NAME_BYTES || text.contains(['/', '=', '\0']) {
        return Err("a user's name has 1 to 255 bytes and no / or =".to_owned());
    }
    Ok(text.to_owned())
}

pub fn bytes(text: &str) -> Result<usize, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match text[digits.len()..].to_ascii_lowercase().trim_end_matches("ib") {
        "" | "b" => 1usize,
        "k" | "kb" => 1 << 10,
        "m" | "mb" => 1 << 20,
        "g" | "gb" => 1 << 30,
        other => return Err(format!("unknown unit {other:?}; use K, M or G")),
    };
    let number: usize = digits.parse().map_err(|_| "not a number of bytes".to_owned())?;
    number.checked_mul(unit).filter(|&n| n > 0).ok_or_else(|| "out of range".to_owned())
}

pub fn seconds(text: &str) -> Result<std::time::Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number of seconds".to_owned())?;
    match std::time::Duration::try_from_secs_f64(seconds) {
        Ok(time) if !time.is_zero() => Ok(time),
        _ => Err("give a time greater than 0".to_owned()),
    }
}

/// `USER/NAME`: the name may hold any byte, further slashes too.
#[derive(Debug, Clone)]
pub struct Title {
    pub user: String,
    pub name: Vec<u8>,
}

impl Title {
    /// Reads `USER/NAME`; the first slash ends the user.
    ///
    /// # Errors
    /// What it should look like.
    pub fn parse(text: &OsStr) -> Result<Self, String> {
        let bytes = text.as_bytes();
        let slash = bytes.iter().position(|&byte| byte == b'/').ok_or("write it as USER/NAME")?;
        let name = bytes[slash + 1..].to_vec();
        let user = std::str::from_utf8(&bytes[..slash]).map_err(|_| "a user's name is UTF-8")?;
        if name.is_empty() || name.len() > NAME_BYTES {
            return Err(format!("a name has 1 to {NAME_BYTES} bytes"));
        }
        Ok(Self { user: self::user(user)?, name })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times() {
        assert_eq!(bytes("64K"), Ok(64 << 10));
        assert_eq!(bytes("2GiB"), Ok(2 << 30));
        assert!(bytes("0").is_err() && bytes("5X").is_err() && bytes("").is_err());
        assert!(seconds("-1").is_err() && seconds("0").is_err());
        assert_eq!(seconds("0.5").unwrap().as_millis(), 500);
    }

    #[test]
    fn directories_and_state() {
        let dir: DirArg = "/a:/b:ro".parse().unwrap();
        assert!(dir.read_only && dir.guest == "/b");
        let dir: DirArg = "/a".parse().unwrap();
        assert!(!dir.read_only && dir.guest == "/a");
        let state: StateArg = "u/k/x=f=g".parse().unwrap();
        assert_eq!((&*state.user, &*state.key, state.file.to_str()), ("u", "k/x", Some("f=g")));
        assert!("u=f".parse::<StateArg>().is_err() && "/k=f".parse::<StateArg>().is_err());
    }

    #[test]
    fn titles() {
        let title = Title::parse(OsStr::from_bytes(b"u/a/\xff")).unwrap();
        assert_eq!((&*title.user, &*title.name), ("u", b"a/\xff".as_slice()));
        for bad in ["u", "/k", "u/", "", &format!("u/{}", "k".repeat(256))] {
            assert!(Title::parse(OsStr::new(bad)).is_err(), "{bad}");
        }
    }
}
