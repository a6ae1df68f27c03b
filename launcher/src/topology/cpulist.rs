//! Lists of numbers as Linux writes them: `0-3,8`.

use std::fmt::Write;

/// The numbers of a list; what is no number is left out.
pub fn parse(list: &str) -> Vec<usize> {
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.parse::<usize>().ok()?..=last.parse().ok()?)
    };
    list.trim().split(',').filter_map(range).flatten().collect()
}

/// The list of these numbers, in any order.
pub fn format(numbers: &[usize]) -> String {
    let mut numbers = numbers.to_vec();
    numbers.sort_unstable();
    numbers.dedup();
    let mut text = String::new();
    for run in numbers.chunk_by(|a, b| a + 1 == *b) {
        let (first, last) = (run[0], run[run.len() - 1]);
        let comma = if text.is_empty() { "" } else { "," };
        let _ = match first == last {
            true => write!(text, "{comma}{first}"),
            false => write!(text, "{comma}{first}-{last}"),
        };
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_and_written() {
        assert_eq!(parse("0-3,8\n"), [0, 1, 2, 3, 8]);
        assert_eq!((parse(""), parse("7")), (vec![], vec![7]));
        assert_eq!(format(&[8, 2, 1, 0, 3]), "0-3,8");
        assert_eq!(
            (format(&[]), format(&[5, 5]), format(&[1, 3])),
            ("".into(), "5".into(), "1,3".into())
        );
        for list in ["0", "0-1", "0,2,4-9,11"] {
            assert_eq!(format(&parse(list)), list);
        }
    }
}
