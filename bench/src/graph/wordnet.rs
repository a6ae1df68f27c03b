//! WordNet's data files, wndb(5WN), as far as pointers need them.
//!
//! ```text
//! offset file type words(hex) { word id }… pointers { symbol offset part source/target }… … | gloss
//! 00001930 03 n 01 physical_entity 0 002 @ 00001740 n 0000 ~ 00002452 n 0000 | an entity that …
//! ```
//!
//! The licence at a file's top is lines that begin with two spaces. An offset is the synset's byte in the
//! file of its part of speech, and with that its name.

use std::collections::HashMap;

use super::GraphError;

/// The files in the order of the vertices, each with its part of speech. Satellites (s) are adjectives.
pub const FILES: [(&str, char); 4] =
    [("data.noun", 'n'), ("data.verb", 'v'), ("data.adj", 'a'), ("data.adv", 'r')];

/// Part of speech and offset: what a pointer leads to.
type Name = (char, u32);

/// A synset's line.
struct Synset {
    name: Name,
    pointers: Vec<Name>,
}

/// Number of synsets, and all pointers between them as (from, to), of the texts of [`FILES`].
///
/// # Errors
/// When a line is malformed, a synset is there twice, a pointer leads nowhere, or nothing is there.
pub fn pointers(texts: [&str; 4]) -> Result<(usize, Vec<(u32, u32)>), GraphError> {
    let (mut numbers, mut lines) = (HashMap::new(), Vec::new());
    for ((file, part), text) in FILES.into_iter().zip(texts) {
        for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.starts_with("  ")) {
            let place = (file, at + 1);
            let synset = synset(part, line).map_err(|message| wrong(place, message))?;
            let number = numbers.len() as u32;
            if numbers.insert(synset.name, number).is_some() {
                let message = format!("synset {} is there twice", shown(synset.name));
                return Err(wrong(place, message));
            }
            lines.push((place, synset));
        }
    }
    if lines.is_empty() {
        return Err(GraphError::Empty);
    }
    let mut edges = Vec::new();
    for (from, (place, synset)) in lines.iter().enumerate() {
        for name in &synset.pointers {
            let to = numbers.get(name).ok_or_else(|| {
                wrong(*place, format!("points to {}, which is not there", shown(*name)))
            })?;
            edges.push((from as u32, *to));
        }
    }
    Ok((lines.len(), edges))
}

fn wrong((file, line): (&'static str, usize), message: String) -> GraphError {
    GraphError::Line { file, line, message }
}

fn shown((part, offset): Name) -> String {
    format!("{part} {offset:08}")
}

fn synset(part: char, line: &str) -> Result<Synset, String> {
    let mut fields = line.split(' ');
    let offset = number(&mut fields, "offset", 10)?;
    field(&mut fields, "number of the lexicographer's file")?;
    let kind = part_of(field(&mut fields, "type")?)?;
    if kind != part {
        return Err(format!("type {kind} in the file of {part}"));
    }
    for _ in 0..number(&mut fields, "number of words", 16)? {
        field(&mut fields, "word")?;
        field(&mut fields, "word's number")?;
    }
    let count = number(&mut fields, "number of pointers", 10)?;
    let pointers = (0..count).map(|_| pointer(&mut fields)).collect::<Result<_, _>>()?;
    Ok(Synset { name: (part, offset), pointers })
}

fn pointer<'a>(fields: &mut impl Iterator<Item = &'a str>) -> Result<Name, String> {
    field(fields, "pointer's symbol")?;
    let offset = number(fields, "pointer's offset", 10)?;
    let part = part_of(field(fields, "pointer's part of speech")?)?;
    number(fields, "pointer's words", 16)?;
    Ok((part, offset))
}

/// The next field; the gloss is not one.
fn field<'a>(fields: &mut impl Iterator<Item = &'a str>, what: &str) -> Result<&'a str, String> {
    match fields.next() {
        None | Some("" | "|") => Err(format!("the line ends before the {what}")),
        Some(text) => Ok(text),
    }
}

fn number<'a>(
    fields: &mut impl Iterator<Item = &'a str>,
    what: &str,
    radix: u32,
) -> Result<u32, String> {
    let text = field(fields, what)?;
    u32::from_str_radix(text, radix).map_err(|_| format!("{what} {text:?} is not a number"))
}

fn part_of(text: &str) -> Result<char, String> {
    match text {
        "n" => Ok('n'),
        "v" => Ok('v'),
        "a" | "s" => Ok('a'),
        "r" => Ok('r'),
        _ => Err(format!("{text:?} is no part of speech")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOUN: &str = "  1 This software and database
00001740 03 n 01 entity 0 001 ~ 00001930 n 0000 | that which | is; \"a b\"
00001930 03 n 0a a 0 b 0 c 0 d 0 e 0 f 0 g 0 h 0 i 0 j 0 003 @ 00001740 n 0000 + 00000007 s 0a01 + 00000007 a 0102 | x  
";
    const VERB: &str = "00000005 29 v 01 breathe 0 000 02 + 02 00 + 08 00 | draw air\n";
    const ADJ: &str = "00000007 00 s 01 able 0 001 & 00000005 v 0000 | having means\n";

    fn say(noun: &str) -> String {
        pointers([noun, VERB, ADJ, ""]).expect_err("bad").to_string()
    }

    #[test]
    fn pointers_of_all_kinds_are_edges_between_places_in_the_files() {
        let (vertices, edges) = pointers([NOUN, VERB, ADJ, ""]).expect("good");
        assert_eq!(vertices, 4);
        assert_eq!(edges, [(0, 1), (1, 0), (1, 3), (1, 3), (3, 2)]);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        for (from, to, said) in [
            ("0000 | that", "| that", "before the pointer's words"),
            ("001 ~", "009 ~", "before the pointer's symbol"),
            ("001 ~", "-1 ~", "\"-1\" is not a number"),
            ("00001740 03", "0000174x 03", "offset \"0000174x\" is not a number"),
            ("00001740 03", "99999999999 03", "is not a number"),
            ("03 n 01 entity", "03 q 01 entity", "\"q\" is no part of speech"),
            ("03 n 01 entity", "03 v 01 entity", "type v in the file of n"),
            ("01 entity", "ffffffff entity", "the line ends before the word"),
            ("00001930 n 0000 |", "00001931 n 0000 |", "points to n 00001931, which is not there"),
            ("00001740 03", "00001930 03", "is there twice"),
        ] {
            let text = say(&NOUN.replacen(from, to, 1));
            assert!(text.contains(said) && text.contains("data.noun, line "), "{from}: {text}");
        }
    }

    #[test]
    fn every_shortened_file_is_an_error_or_a_graph() {
        for end in 0..NOUN.len() {
            if let Ok((vertices, edges)) = pointers([&NOUN[..end], VERB, ADJ, ""]) {
                assert!(edges.iter().all(|&(from, to)| (from.max(to) as usize) < vertices));
            }
        }
    }

    #[test]
    fn empty_files_are_refused() {
        assert!(matches!(pointers(["", "", "  only a licence\n", ""]), Err(GraphError::Empty)));
        assert!(say("\n").contains("line 1: the line ends before the offset"));
    }
}
