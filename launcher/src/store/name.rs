//! Names of files in the store: one for each user and key, on any file system.
//!
//! ```text
//!  user "a", key "B/c"   ──▶  state / a@ / %42%2fc.value
//!  a name over PART      ──▶  state / a@ / 200 characters+ / the rest.value
//! ```
//!
//! Lower-case letters, digits, `-` and `_` stand for themselves, every other byte for `%` and two
//! lower-case hex digits. So no two names meet in one file where case is ignored, none is `..`, and
//! each can be read back. A directory's name ends with `+` when the name goes on and with `@` when
//! the user's is complete; neither sign occurs in encoded text.

use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};

/// Longest part of an encoded name in one file's name; file systems allow 255 bytes with a suffix.
const PART: usize = 200;

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Function,
    Value,
    Records,
}

impl Kind {
    /// The folder of the store that such files are below.
    pub fn folder(self) -> &'static str {
        if self == Self::Function { "functions" } else { "state" }
    }

    fn suffix(self) -> &'static str {
        match self {
            Self::Function => ".function",
            Self::Value => ".value",
            Self::Records => ".records",
        }
    }

    /// What people call it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Function => "function",
            Self::Value => "value",
            Self::Records => "appended records",
        }
    }
}

/// A thing in the store.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name {
    pub user: String,
    pub name: Vec<u8>,
    pub kind: Kind,
}

impl Name {
    pub fn new(user: &str, name: &[u8], kind: Kind) -> Self {
        Self { user: user.to_owned(), name: name.to_owned(), kind }
    }

    /// Where it lies below the store's root.
    pub fn path(&self) -> PathBuf {
        let mut path = PathBuf::from(self.kind.folder());
        push(&mut path, self.user.as_bytes(), "@");
        push(&mut path, &self.name, self.kind.suffix());
        path
    }

    /// Where a user's things of a kind lie below the store's root.
    pub fn folder(user: &str, kind: Kind) -> PathBuf {
        let mut path = PathBuf::from(kind.folder());
        push(&mut path, user.as_bytes(), "@");
        path
    }

    /// The thing that lies at a path below the store's root, if it can be one.
    pub fn of_path(path: &Path) -> Option<Self> {
        let mut parts = path.components().map(Component::as_os_str);
        let folder = parts.next()?;
        let kinds = [Kind::Function, Kind::Value, Kind::Records];
        let kind = |last: &OsStr| {
            let last = last.to_str()?;
            kinds.into_iter().find(|k| last.ends_with(k.suffix()) && folder == k.folder())
        };
        let kind = kind(path.file_name()?)?;
        let user = String::from_utf8(take(&mut parts, "@")?).ok()?;
        let name = take(&mut parts, kind.suffix())?;
        let found = Self { user, name, kind };
        // What was put there by hand under another spelling would never be found by name.
        (found.path() == path).then_some(found)
    }

    /// `user/name` as people can read it and paste it into a shell.
    pub fn title(&self) -> String {
        format!("{}/{}", readable(self.user.as_bytes()), readable(&self.name))
    }
}

/// Text that is printable stays what it is; anything else becomes a shell's `$'…'`.
pub fn readable(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.contains(char::is_control) && !text.starts_with("$'") => text.to_owned(),
        _ => format!("$'{}'", bytes.escape_ascii()),
    }
}

fn encode(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for &byte in bytes {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' => out.push(byte.into()),
            _ => out.push_str(&format!("%{byte:02x}")),
        }
    }
    out
}

fn decode(text: &str) -> Option<Vec<u8>> {
    let (mut out, mut rest) = (Vec::new(), text.as_bytes());
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let (hex, after) = rest.split_at_checked(2)?;
        out.push(u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok()?);
        rest = after;
    }
    Some(out)
}

/// Appends an encoded name in parts; the last one gets `end`.
fn push(path: &mut PathBuf, name: &[u8], end: &str) {
    let text = encode(name);
    let mut rest = text.as_str();
    while rest.len() > PART {
        let (part, after) = rest.split_at(PART);
        path.push(format!("{part}+"));
        rest = after;
    }
    path.push(format!("{rest}{end}"));
}

/// Reads a name back from its parts.
fn take<'a>(parts: &mut impl Iterator<Item = &'a OsStr>, end: &str) -> Option<Vec<u8>> {
    let mut text = String::new();
    for part in parts {
        let part = part.to_str()?;
        if let Some(last) = part.strip_suffix(end) {
            text.push_str(last);
            return decode(&text);
        }
        text.push_str(part.strip_suffix('+')?);
    }
    None
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_are_read_back_and_no_two_meet_even_without_case() {
        let long = "é".repeat(127);
        let names: [&[u8]; 14] = [
            b"a",
            b"A",
            b"a_b",
            b"b_c",
            b"..",
            b".",
            b"a/b",
            b"/",
            b"%61",
            b"a+",
            b"a@",
            &[255; 255],
            long.as_bytes(),
            &[b'x'; 200],
        ];
        let users = ["a", "A", "a_b", "a/b", "..", &long, &"x".repeat(255)];
        let mut seen = HashSet::new();
        for user in users {
            for name in names {
                for kind in [Kind::Function, Kind::Value, Kind::Records] {
                    let thing = Name::new(user, name, kind);
                    let path = thing.path();
                    assert_eq!(Name::of_path(&path).as_ref(), Some(&thing), "{path:?}");
                    assert!(seen.insert(path.to_str().unwrap().to_lowercase()), "{path:?}");
                    assert!(path.components().all(|c| c.as_os_str().len() <= 210), "{path:?}");
                    assert!(path.components().all(|c| matches!(c, Component::Normal(_))));
                }
            }
        }
    }

    #[test]
    fn a_name_is_never_the_folder_of_another() {
        let (short, long) = ([b'x'; 200], [b'x'; 201]);
        let path = |name: &[u8]| Name::new("u", name, Kind::Value).path();
        assert!(!path(&long).starts_with(path(&short)));
        for stray in
            ["state/u@/A.value", "state/u@/%6", "state/u@/x.function", "state/x.value", "x"]
        {
            assert_eq!(Name::of_path(Path::new(stray)), None, "{stray}");
        }
    }

    #[test]
    fn names_for_people() {
        assert_eq!(readable("käse/1".as_bytes()), "käse/1");
        assert_eq!(readable(b"\xff\n"), r"$'\xff\n'");
    }
}
