//! What people see on a terminal: text in which nothing acts, tables that fit, times and sizes in few letters.
//!
//! Names, titles, answers and messages are somebody else's text. Shown as it is, it could move the cursor, rewrite lines
//! that stand there, or look like another text. So whatever is shown goes through `plain`, and JSON through `json`.

use console::{Style, Term, measure_text_width, pad_str, truncate_str};
use serde_json::Value;
use std::{borrow::Cow, fmt::Write};

/// Between two columns.
const GAP: &str = "  ";
/// No column is cut below this.
const NARROWEST: usize = 8;

/// Returns text that acts on nothing: control characters, and those that turn the direction of writing, are written out.
pub fn plain(text: &str) -> Cow<'_, str> {
    if !text.contains(acts) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if acts(c) { shown.extend(c.escape_default()) } else { shown.push(c) }
    }
    Cow::Owned(shown)
}

/// Returns text of several lines of which each is plain; tabs are kept.
pub fn plain_lines(text: &str) -> String {
    let lines = text.lines().map(|line| {
        let parts: Vec<_> = line.split('\t').map(plain).collect();
        parts.join("\t")
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Writes a word as a shell takes it, for a command that people copy.
pub fn word(text: &str) -> String {
    let safe = |c: char| c.is_ascii_alphanumeric() || "_-.~/:=@".contains(c);
    match !text.is_empty() && text.chars().all(safe) {
        true => text.to_owned(),
        false => format!("'{}'", plain(text).replace('\'', "'\\''")),
    }
}

/// Writes JSON in one line in which nothing acts. It reads as the same value: what is written out stands in texts.
pub fn json(value: &Value) -> String {
    quiet(value.to_string())
}

/// Writes JSON for people, by the same rule.
pub fn pretty(value: &Value) -> String {
    quiet(serde_json::to_string_pretty(value).unwrap_or_default())
}

fn quiet(text: String) -> String {
    let loud = |c: char| acts(c) && c != '\n';
    if !text.contains(loud) {
        return text;
    }
    let mut shown = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match loud(c) {
            true => {
                let mut units = [0; 2];
                c.encode_utf16(&mut units).iter().for_each(|unit| {
                    let _ = write!(shown, "\\u{unit:04x}");
                });
            }
            false => shown.push(c),
        }
    }
    shown
}

/// Whether a terminal does something else with a character than to show it where it stands.
fn acts(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// How a cell is coloured, where there are colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    Usual,
    Good,
    Bad,
    Busy,
    Waits,
    Faint,
}

/// A cell of a table.
#[derive(Debug, Clone)]
pub struct Cell {
    text: String,
    tone: Tone,
}

/// A table without lines: heads, and a row a line.
#[derive(Debug, Default)]
pub struct Table {
    heads: Vec<&'static str>,
    /// Whether a column may be cut where the terminal is narrow.
    cut: Vec<bool>,
    rows: Vec<Vec<Cell>>,
}

// === impl Tone ===

impl Tone {
    /// The tone of a run's or a step's status.
    pub fn of(status: &str) -> Self {
        match status {
            "completed" => Self::Good,
            "failed" | "unknown" => Self::Bad,
            "running" => Self::Busy,
            "waiting" | "paused" => Self::Waits,
            "cancelled" | "skipped" | "draft" => Self::Faint,
            _ => Self::Usual,
        }
    }

    /// Colours a text if standard output takes colours: it is a terminal, and neither NO_COLOR nor TERM=dumb says no.
    pub fn colour(self, text: &str) -> String {
        let style = match self {
            Self::Usual => return text.to_owned(),
            Self::Good => Style::new().green(),
            Self::Bad => Style::new().red(),
            Self::Busy => Style::new().cyan(),
            Self::Waits => Style::new().yellow(),
            Self::Faint => Style::new().dim(),
        };
        style.apply_to(text).to_string()
    }
}

// === impl Cell ===

impl Cell {
    pub fn toned(text: &str, tone: Tone) -> Self {
        Self { text: plain(text).into_owned(), tone }
    }

    /// A status in its tone.
    pub fn status(text: &str) -> Self {
        Self::toned(text, Tone::of(text))
    }
}

impl<T: AsRef<str>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::toned(text.as_ref(), Tone::Usual)
    }
}

// === impl Table ===

impl Table {
    /// Columns by their heads; one that begins with `<` may be cut.
    pub fn new<const N: usize>(heads: [&'static str; N]) -> Self {
        Self::of(&heads)
    }

    /// The same of as many columns as there are heads.
    pub fn of(heads: &[&'static str]) -> Self {
        let cut = heads.iter().map(|head| head.starts_with('<')).collect();
        let heads = heads.iter().map(|head| head.trim_start_matches('<')).collect();
        Self { heads, cut, rows: Vec::new() }
    }

    pub fn row<const N: usize>(&mut self, cells: [Cell; N]) {
        self.rows.push(cells.into());
    }

    pub fn cells(&mut self, cells: Vec<Cell>) {
        self.rows.push(cells);
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Writes the table for standard output: as wide as its terminal, uncut where it is none.
    pub fn text(&self) -> String {
        self.within(width())
    }

    /// Writes the table with lines of at most so many letters, if that can be done.
    fn within(&self, width: Option<usize>) -> String {
        let widths = self.widths(width);
        let mut out = String::new();
        let heads: Vec<Cell> = self.heads.iter().map(|head| Cell::toned(head, Tone::Faint)).collect();
        for row in std::iter::once(&heads).chain(&self.rows) {
            let mut line = String::new();
            for (n, (cell, width)) in row.iter().zip(&widths).enumerate() {
                let text = truncate_str(&cell.text, *width, "…");
                let is_last = n + 1 == row.len();
                line.push_str(&cell.tone.colour(&text));
                if !is_last {
                    // Behind the colour, so that it ends with the text.
                    let padded = pad_str(&text, *width, console::Alignment::Left, None);
                    line.push_str(&padded[text.len()..]);
                    line.push_str(GAP);
                }
            }
            out.push_str(line.trim_end());
            out.push('\n');
        }
        out.pop();
        out
    }

    /// Returns how wide each column is: as its widest cell, less where all together would be too wide.
    fn widths(&self, most: Option<usize>) -> Vec<usize> {
        let of_column = |n: usize| {
            let cells =
                self.rows.iter().filter_map(|row| row.get(n)).map(|cell| measure_text_width(&cell.text));
            cells.chain([measure_text_width(self.heads[n])]).max().unwrap_or(0)
        };
        let mut widths: Vec<usize> = (0..self.heads.len()).map(of_column).collect();
        let Some(most) = most else { return widths };
        let gaps = GAP.len() * widths.len().saturating_sub(1);
        while widths.iter().sum::<usize>() + gaps > most {
            // The widest of those that may be cut gives way first.
            let may = (0..widths.len()).filter(|n| self.cut[*n] && widths[*n] > NARROWEST);
            let Some(widest) = may.max_by_key(|n| widths[*n]) else { break };
            widths[widest] -= 1;
        }
        widths
    }
}

/// How wide the terminal is that standard output goes to; nothing where it is none.
fn width() -> Option<usize> {
    let term = Term::stdout();
    term.is_term().then(|| term.size_checked()).flatten().map(|(_, columns)| usize::from(columns).max(40))
}

/// Writes a length of time in milliseconds.
pub fn took(millis: i64) -> String {
    let (millis, seconds) = (millis.max(0), millis.max(0) / 1000);
    match seconds {
        0 => format!("{millis}ms"),
        1..60 => format!("{seconds}.{}s", millis % 1000 / 100),
        60..3600 => format!("{}m {:02}s", seconds / 60, seconds % 60),
        3600..172_800 => format!("{}h {:02}m", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{}d {:02}h", seconds / 86_400, seconds % 86_400 / 3600),
    }
}

/// Writes how long ago something was, in few letters.
pub fn ago(millis: i64) -> String {
    let seconds = millis.max(0) / 1000;
    let (number, unit) = match seconds {
        0..60 => (seconds, "s"),
        60..3600 => (seconds / 60, "m"),
        3600..172_800 => (seconds / 3600, "h"),
        _ => (seconds / 86_400, "d"),
    };
    format!("{number}{unit} ago")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn nothing_that_is_shown_acts_on_the_terminal() {
        for (text, shown) in [
            ("a haiku, 俳句 😀 é", "a haiku, 俳句 😀 é"),
            ("\u{1b}[2Jgone", "\\u{1b}[2Jgone"),
            ("a\nb\tc\rd\u{8}", "a\\nb\\tc\\rd\\u{8}"),
            ("\u{9b}31m \u{7f}", "\\u{9b}31m \\u{7f}"),
            ("evil\u{202e}txt.exe\u{200b}", "evil\\u{202e}txt.exe\\u{200b}"),
        ] {
            assert_eq!(plain(text), shown);
        }
        assert_eq!(plain_lines("a\tb\n\u{1b}c\n"), "a\tb\n\\u{1b}c");
    }

    #[test]
    fn a_word_in_a_command_stays_one() {
        for (text, shown) in [
            ("ask", "ask"),
            ("ask[3]", "'ask[3]'"),
            ("", "''"),
            ("a'; rm -r b", r"'a'\''; rm -r b'"),
            ("$x", "'$x'"),
        ] {
            assert_eq!(word(text), shown);
        }
    }

    #[test]
    fn json_that_is_shown_reads_as_it_was() {
        let value = json!({"\u{9b}k": "\u{1b}[2J \u{7f}\u{85}\u{202e}\u{feff} 😀\nx\u{e007f}"});
        for text in [json(&value), pretty(&value)] {
            assert_eq!(serde_json::from_str::<Value>(&text).expect("JSON"), value);
            assert!(!text.contains(|c: char| acts(c) && c != '\n'), "{text}");
        }
        assert_eq!(json(&json!("\u{9b}")), r#""\u009b""#);
    }

    fn table() -> Table {
        let mut table = Table::new(["ID", "<NAME", "STATUS"]);
        table.row(["0197".into(), "a long name of a workflow".into(), Cell::status("completed")]);
        table.row(["0198".into(), "俳句\u{1b}".into(), Cell::status("failed")]);
        table
    }

    #[test]
    fn a_table_is_as_wide_as_it_is_and_no_wider_than_the_terminal() {
        let whole = "ID    NAME                       STATUS\n\
                     0197  a long name of a workflow  completed\n\
                     0198  俳句\\u{1b}                 failed";
        assert_eq!(table().within(None), whole);
        assert_eq!(table().within(Some(200)), whole);
        let narrow = table().within(Some(30));
        assert_eq!(narrow.lines().nth(1), Some("0197  a long name …  completed"));
        assert!(narrow.lines().all(|line| measure_text_width(line) <= 30), "{narrow}");
        // What may not be cut stays whole, and a column keeps something of itself.
        assert_eq!(table().within(Some(10)).lines().nth(1), Some("0197  a long …  completed"));
    }

    #[test]
    fn times_take_few_letters() {
        let all: Vec<_> = [-5, 7, 999, 1_234, 61_000, 3_720_000, 200_000_000].into_iter().map(took).collect();
        assert_eq!(all, ["0ms", "7ms", "999ms", "1.2s", "1m 01s", "1h 02m", "2d 07h"]);
        let all: Vec<_> = [0, 59_999, 60_000, 7_200_000, 172_800_000].into_iter().map(ago).collect();
        assert_eq!(all, ["0s ago", "59s ago", "1m ago", "2h ago", "2d ago"]);
    }
}
