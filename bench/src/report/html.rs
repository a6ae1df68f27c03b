//! The page: tables, figures, sections, and how they look. One file, without scripts, fonts or links to
//! elsewhere, so that it can be mailed and opened in ten years.

use std::fmt::Write;

use super::svg::{Plot, css, escape};

/// What a cell says of itself by its colour; the words say it too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Mood {
    /// Nothing.
    #[default]
    Plain,
    /// A number: aligned right.
    Number,
    /// As good as aimed at.
    Good,
    /// Good enough.
    Fair,
    /// Not good enough.
    Poor,
}

/// A cell.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cell {
    text: String,
    mood: Mood,
}

impl Cell {
    /// With a mood.
    pub(crate) fn of(text: impl Into<String>, mood: Mood) -> Self {
        Self { text: text.into(), mood }
    }

    /// A number.
    pub(crate) fn number(value: f64) -> Self {
        Self::of(super::svg::digits(value, 4), Mood::Number)
    }

    /// A number, if there is one.
    pub(crate) fn maybe(value: Option<f64>) -> Self {
        value.map_or_else(Self::default, Self::number)
    }

    /// A ratio of ours to a peer's time.
    pub(crate) fn ratio(value: f64) -> Self {
        let mood = match value {
            value if value <= 1.2 => Mood::Good,
            value if value <= 1.6 => Mood::Fair,
            _ => Mood::Poor,
        };
        Self::of(super::svg::digits(value, 4), mood)
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::of(text, Mood::Plain)
    }
}

/// A table.
#[derive(Debug, Clone, Default)]
pub(crate) struct Table {
    /// Heads of the columns.
    pub(crate) head: Vec<&'static str>,
    /// Lines.
    pub(crate) rows: Vec<Vec<Cell>>,
    /// On narrow screens each line becomes a block with the heads in it.
    pub(crate) stacks: bool,
}

impl Table {
    /// With these heads.
    pub(crate) fn new(head: &[&'static str]) -> Self {
        Self { head: head.to_vec(), ..Self::default() }
    }

    /// As HTML.
    pub(crate) fn html(&self) -> String {
        let numbers = |column: usize| {
            let of = |row: &Vec<Cell>| row.get(column).is_some_and(|cell| cell.mood != Mood::Plain);
            self.rows.iter().any(of) && !self.stacks
        };
        let head = self.head.iter().enumerate().fold(String::new(), |html, (i, text)| {
            let class = if numbers(i) { " class=\"n\"" } else { "" };
            html + &format!("<th scope=\"col\"{class}>{}</th>", escape(text))
        });
        let class = if self.stacks { " class=\"stacks\"" } else { "" };
        let mut html = format!(
            "<div class=\"wide\" tabindex=\"0\"><table{class}><thead><tr>{head}</tr></thead><tbody>\n"
        );
        for row in &self.rows {
            html += "<tr>";
            for (cell, head) in row.iter().zip(&self.head) {
                let class = match cell.mood {
                    Mood::Plain => "",
                    Mood::Number => " class=\"n\"",
                    Mood::Good => " class=\"n good\"",
                    Mood::Fair => " class=\"n fair\"",
                    Mood::Poor => " class=\"n poor\"",
                };
                let label = match self.stacks {
                    true => format!(" data-head=\"{}\"", escape(head)),
                    false => String::new(),
                };
                _ = write!(html, "<td{class}{label}>{}</td>", escape(&cell.text));
            }
            html += "</tr>\n";
        }
        html + "</tbody></table></div>\n"
    }
}

/// A plot and its numbers.
#[derive(Debug, Clone)]
pub(crate) struct Figure {
    /// The drawing.
    pub(crate) plot: Plot,
    /// Every number that it shows.
    pub(crate) table: Table,
    /// What is to be said of this one.
    pub(crate) note: Option<String>,
}

/// A part of the page.
#[derive(Debug, Clone, Default)]
pub(crate) struct Section {
    /// Its anchor.
    pub(crate) id: &'static str,
    /// Its head.
    pub(crate) title: &'static str,
    /// What it is about and how to read its plots.
    pub(crate) how: String,
    /// Paragraphs and tables before the plots, as HTML.
    pub(crate) before: String,
    /// Plots, with a head for each group.
    pub(crate) groups: Vec<(String, Vec<Figure>)>,
    /// Paragraphs and tables after the plots, as HTML.
    pub(crate) after: String,
}

impl Section {
    /// As HTML.
    pub(crate) fn html(&self) -> String {
        let Self { id, title, how, before, after, .. } = self;
        let mut html =
            format!("<section id=\"{id}\"><h2>{title}</h2>\n<p>{}</p>\n{before}", escape(how));
        for (head, figures) in self.groups.iter().filter(|(_, figures)| !figures.is_empty()) {
            if !head.is_empty() {
                _ = writeln!(html, "<h3>{}</h3>", escape(head));
            }
            html += "<div class=\"figures\">\n";
            for Figure { plot, table, note } in figures {
                let note = note.as_deref().map_or_else(String::new, paragraph);
                _ = writeln!(
                    html,
                    "<figure>{}{note}<details><summary>Numbers</summary>{}</details></figure>",
                    plot.inline(),
                    table.html()
                );
            }
            html += "</div>\n";
        }
        html + after + "</section>\n"
    }
}

/// Text as a paragraph.
pub(crate) fn paragraph(text: &str) -> String {
    format!("<p>{}</p>\n", escape(text))
}

/// The rules of the page.
const STYLE: &str = "
:root{color-scheme:light dark;--ink:#1b1f24;--dim:#57606a;--ground:#fff;--line:#d5dae0;--soft:#f4f6f8;
--good:#0a6847;--fair:#57606a;--poor:#b04300;--link:#0067a3}
@media(prefers-color-scheme:dark){:root{--ink:#e6edf3;--dim:#9aa4af;--ground:#0f141a;--line:#2f3742;
--soft:#171e26;--good:#4fd6a8;--fair:#a3acb6;--poor:#ff9a52;--link:#62b8f5}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:1240px;padding:1rem;background:var(--ground);color:var(--ink);
font:16px/1.5 system-ui,-apple-system,\"Segoe UI\",Roboto,\"DejaVu Sans\",sans-serif;overflow-wrap:break-word}
p,dl,ul{max-width:46rem}h1{font-size:1.6rem;line-height:1.2;margin:.5rem 0}
h2{font-size:1.25rem;margin:2.2rem 0 .4rem;border-top:1px solid var(--line);padding-top:1.2rem}
h3{font-size:1rem;margin:1.4rem 0 .5rem}a{color:var(--link)}
nav{margin:1rem 0;line-height:1.9}nav a{margin-right:1rem;white-space:nowrap}
.figures{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(330px,100%),1fr));gap:1rem;align-items:start}
figure{margin:0;padding:.6rem;border:1px solid var(--line);border-radius:6px;min-width:0}
figure p{font-size:.85rem;margin:.3rem 0;line-height:1.4}
svg.plot{display:block;width:100%;height:auto;max-width:460px;margin:0 auto}
summary{cursor:pointer;font-size:.9rem;color:var(--link)}
.wide{overflow-x:auto;max-width:100%}
table{border-collapse:collapse;font-size:.85rem;margin:.4rem 0;font-variant-numeric:tabular-nums}
th,td{text-align:left;padding:.2rem .7rem .2rem 0;border-bottom:1px solid var(--line);vertical-align:top}
th{color:var(--dim);font-weight:600}
figure td,figure th,#rows td,#rows th{white-space:nowrap}
.n{text-align:right;white-space:nowrap}.good{color:var(--good)}.fair{color:var(--fair)}.poor{color:var(--poor)}
.good,.poor{font-weight:600}
table.stacks{font-size:.95rem}.stacks .n{text-align:left;white-space:normal}.stacks td{padding:.4rem 1.2rem .4rem 0}
.warning{border-left:4px solid var(--poor);padding:.2rem .8rem;background:var(--soft)}
dt{font-weight:600;margin-top:.5rem}dd{margin:0 0 0 1rem}
code{font-size:.9em;background:var(--soft);padding:.05em .3em;border-radius:3px}
footer{margin:2rem 0 1rem;color:var(--dim);font-size:.85rem}
@media(max-width:640px){body{padding:.6rem}
.stacks thead{position:absolute;left:-9999px}
.stacks tr{display:block;border:1px solid var(--line);border-radius:6px;padding:.4rem .6rem;margin:.5rem 0}
.stacks td{display:block;border:0;padding:.1rem 0}
.stacks td:first-child{font-weight:600}
.stacks td:not(:first-child):before{content:attr(data-head) \": \";color:var(--dim);font-weight:400}}
@media print{details{display:none}figure{break-inside:avoid}}
";

/// The whole page.
pub(crate) fn page(title: &str, about: &[String], sections: &[Section], footer: &str) -> String {
    let links = sections.iter().fold(String::new(), |html, Section { id, title, .. }| {
        html + &format!("<a href=\"#{id}\">{title}</a> ")
    });
    let about = about.concat();
    let sections: String = sections.iter().map(Section::html).collect();
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <link rel=\"icon\" href=\"data:,\">\n\
         <title>{title}</title>\n<style>{STYLE}{}</style></head>\n<body><main>\n<h1>{title}</h1>\n{about}\
         <nav aria-label=\"Sections\">{links}</nav>\n{sections}</main>\n<footer>{footer}</footer>\n</body></html>\n",
        css(),
        title = escape(title),
        footer = escape(footer),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_records_say_does_not_become_markup() {
        let mut table = Table::new(&["a"]);
        table.rows.push(vec!["<script>".into()]);
        table.rows.push(vec![Cell::ratio(1.7)]);
        let html = table.html();
        assert!(html.contains("&lt;script&gt;") && !html.contains("<script>"));
        assert!(html.contains("<td class=\"n poor\">1.7</td>"), "{html}");
    }
}
