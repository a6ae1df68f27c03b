//! Archives of WebAssembly objects, which linkers take single members out of.
//!
//! ```text
//!  !<arch>\n │ header "/"  │ count, offsets of members (big-endian), names of symbols
//!            │ header "a.o/" │ object │ header "b.o/" │ object │ …
//! ```
//!
//! Written here because no toolchain for WebAssembly is sure to bring an archiver. The index at the
//! front names every symbol that a member defines; older linkers find members only by it.

use super::embedded::Object;
use wasmparser::{KnownCustom, Linking, Parser, Payload, SymbolFlags, SymbolInfo};

/// Length of a member's header.
const HEADER: usize = 60;

/// An archive of objects by their names, or what is wrong with one of them.
pub(super) fn archive(objects: &[Object]) -> Result<Vec<u8>, String> {
    let mut names = Vec::new();
    let mut owners = Vec::new();
    for (at, (name, object)) in objects.iter().enumerate() {
        let symbols = defined(object).map_err(|why| format!("{name}: {why}"))?;
        for symbol in symbols {
            names.extend_from_slice(symbol.as_bytes());
            names.push(0);
            owners.push(at);
        }
    }
    let index = 4 + 4 * owners.len() + names.len();
    let mut starts = Vec::new();
    let mut at = 8 + HEADER + index.next_multiple_of(2);
    for (_, object) in objects {
        starts.push(u32::try_from(at).map_err(|_| "the archive is too large".to_owned())?);
        at += HEADER + object.len().next_multiple_of(2);
    }
    let mut out = b"!<arch>\n".to_vec();
    header(&mut out, "/", index);
    let count = u32::try_from(owners.len()).map_err(|_| "too many symbols".to_owned())?;
    out.extend(count.to_be_bytes());
    out.extend(owners.iter().flat_map(|&owner| starts[owner].to_be_bytes()));
    out.extend(names);
    pad(&mut out);
    for (name, object) in objects {
        header(&mut out, &format!("{name}/"), object.len());
        out.extend(object);
        pad(&mut out);
    }
    Ok(out)
}

fn header(out: &mut Vec<u8>, name: &str, size: usize) {
    let (date, owner, group, mode) = (0, 0, 0, 644);
    let text = format!("{name:<16}{date:<12}{owner:<6}{group:<6}{mode:<8}{size:<10}`\n");
    debug_assert_eq!(text.len(), HEADER, "names of members are short");
    out.extend(text.into_bytes());
}

/// Members begin at even offsets.
fn pad(out: &mut Vec<u8>) {
    if !out.len().is_multiple_of(2) {
        out.push(b'\n');
    }
}

/// Names of the symbols that an object defines for others.
fn defined(object: &[u8]) -> Result<Vec<String>, wasmparser::BinaryReaderError> {
    let mut names = Vec::new();
    for payload in Parser::new(0).parse_all(object) {
        let Payload::CustomSection(section) = payload? else { continue };
        let KnownCustom::Linking(linking) = section.as_known() else { continue };
        for part in linking {
            let Linking::SymbolTable(symbols) = part? else { continue };
            for symbol in symbols {
                let (flags, name) = match symbol? {
                    SymbolInfo::Func { flags, name: Some(name), .. }
                    | SymbolInfo::Data { flags, name, .. } => (flags, name),
                    _ => continue,
                };
                if !flags.intersects(SymbolFlags::UNDEFINED | SymbolFlags::BINDING_LOCAL) {
                    names.push(name.to_owned());
                }
            }
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_begin_at_even_offsets() {
        let empty = b"\0asm\x01\0\0\0".to_vec();
        let odd = [empty.clone(), b"\0\x03\x01a1".to_vec()].concat();
        let bytes = archive(&[("a.o".into(), odd.clone()), ("b.o".into(), empty)]).unwrap();
        let index = 8 + HEADER + 4;
        assert_eq!(&bytes[index..index + 4], b"a.o/");
        assert_eq!(&bytes[index + HEADER..index + HEADER + odd.len()], &odd[..]);
        let second = index + HEADER + odd.len() + 1;
        assert_eq!(&bytes[second..second + 4], b"b.o/");
    }

    #[test]
    fn what_is_no_object_is_refused() {
        assert!(archive(&[("a.o".into(), b"text".to_vec())]).unwrap_err().starts_with("a.o: "));
    }
}
