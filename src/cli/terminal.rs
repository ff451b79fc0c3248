//! The only place that knows a terminal: colour, width, symbols, tables.
//!
//! Text is styled always; the streams take the colours out where nobody wants them (a pipe, `NO_COLOR`, `TERM=dumb`).

use std::env;
use std::fmt::Display;
use std::io::{self, IsTerminal as _, Write as _};

use anstream::{AutoStream, stream::RawStream};
use clap::ValueEnum;
use owo_colors::{OwoColorize as _, Style};

/// When to use colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ColorChoice {
    /// On a terminal, unless `NO_COLOR` is set
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

impl From<ColorChoice> for anstream::ColorChoice {
    fn from(choice: ColorChoice) -> Self {
        match choice {
            ColorChoice::Auto => anstream::ColorChoice::Auto,
            ColorChoice::Always => anstream::ColorChoice::Always,
            ColorChoice::Never => anstream::ColorChoice::Never,
        }
    }
}

/// A sign before a line; its colour says nothing that its shape does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Symbol {
    /// Done, or as it should be.
    Good,
    /// Failed, or wrong.
    Bad,
    /// On its way.
    Going,
    /// Worth knowing.
    Note,
}

/// Where output goes, and how it may look there.
pub struct Terminal {
    out: AutoStream<io::Stdout>,
    err: AutoStream<io::Stderr>,
    unicode: bool,
    width: usize,
    /// A person watches stderr: progress may be drawn there.
    is_watched: bool,
    /// How many lines of stderr are painted.
    painted: usize,
}

/// What lines are cut to when nobody tells how wide they may be.
const WIDTH_WITHOUT_A_TERMINAL: usize = 120;

impl Terminal {
    /// The terminal, or the pipes, that the process was started with.
    pub fn new(choice: ColorChoice) -> Self {
        fn stream<S: RawStream>(stream: S, choice: ColorChoice) -> AutoStream<S> {
            AutoStream::new(stream, choice.into())
        }
        let width = terminal_size::terminal_size().map(|(width, _)| usize::from(width.0));
        Terminal {
            out: stream(io::stdout(), choice),
            err: stream(io::stderr(), choice),
            unicode: speaks_unicode(),
            width: width.unwrap_or(WIDTH_WITHOUT_A_TERMINAL),
            is_watched: io::stderr().is_terminal() && env::var_os("TERM").is_none_or(|term| term != "dumb"),
            painted: 0,
        }
    }

    /// Writes a result to stdout as it is.
    ///
    /// # Errors
    /// When stdout is gone.
    pub fn print(&mut self, result: &str) -> io::Result<()> {
        self.wipe();
        self.out.write_all(result.as_bytes())?;
        self.out.flush()
    }

    /// Writes bytes to stdout, not looked at.
    ///
    /// # Errors
    /// When stdout is gone.
    pub fn print_raw(&mut self, result: &[u8]) -> io::Result<()> {
        let mut out = io::stdout().lock();
        out.write_all(result)?;
        out.flush()
    }

    /// Tells the person something that is not the result, on stderr. Nothing is left to do when that fails.
    pub fn say(&mut self, text: &str) {
        self.wipe();
        let _ = self.err.write_all(text.as_bytes());
        let _ = self.err.flush();
    }

    /// Draws lines below all that was printed, in place of those drawn before. Where nobody watches, nothing is drawn.
    pub fn paint(&mut self, lines: &[String]) {
        if !self.is_watched {
            return;
        }
        // A line that the terminal wraps, or one that it has scrolled away, could not be taken back.
        let size = terminal_size::terminal_size();
        let (width, height) = size.map_or((self.width, 24), |(width, height)| (width.0.into(), usize::from(height.0)));
        self.width = width;
        let lines = &lines[..lines.len().min(height.saturating_sub(1))];
        self.wipe();
        let text: String = lines.iter().map(|line| cut(line, width) + "\n").collect();
        let _ = self.err.write_all(text.as_bytes());
        let _ = self.err.flush();
        self.painted = lines.len();
    }

    /// Takes back what was painted.
    pub fn wipe(&mut self) {
        if self.painted > 0 {
            // Past the stream that takes colours out: it would take these movements out as well.
            let _ = write!(io::stderr(), "\x1b[{}A\x1b[J", self.painted);
            self.painted = 0;
        }
    }

    /// How many columns a line may have.
    pub fn width(&self) -> usize {
        self.width
    }

    /// True when a person watches stderr: progress may be drawn there.
    pub fn is_watched(&self) -> bool {
        self.is_watched
    }

    /// True when lines and symbols beyond ASCII can be shown.
    pub fn unicode(&self) -> bool {
        self.unicode
    }

    /// A symbol in its colour.
    pub fn symbol(&self, symbol: Symbol) -> String {
        let (shape, ascii, style) = match symbol {
            Symbol::Good => ("✓", "ok", Style::new().green()),
            Symbol::Bad => ("✗", "!!", Style::new().red().bold()),
            Symbol::Going => ("◐", "..", Style::new().yellow()),
            Symbol::Note => ("!", "!", Style::new().yellow()),
        };
        if self.unicode { shape } else { ascii }.style(style).to_string()
    }
}

/// As locale(7) says: the first of these that is set.
fn speaks_unicode() -> bool {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].iter().filter_map(|name| env::var(name).ok()).find(|v| !v.is_empty());
    // Pipes and files of our time take UTF-8; a locale that is set and says otherwise is believed.
    locale.is_none_or(|locale| {
        let locale = locale.to_ascii_lowercase();
        locale.contains("utf-8") || locale.contains("utf8")
    })
}

/// What people shall see first.
pub fn bold(text: impl Display) -> String {
    text.style(Style::new().bold()).to_string()
}

/// What people need only sometimes.
pub fn dim(text: impl Display) -> String {
    let text = text.to_string();
    if text.is_empty() { text } else { text.style(Style::new().dimmed()).to_string() }
}

/// The lines of a unified diff.
pub fn painted(diff: &str) -> String {
    let mut text = String::with_capacity(diff.len());
    for line in diff.lines() {
        let style = match line.as_bytes().first() {
            Some(b'+') => Style::new().green(),
            Some(b'-') => Style::new().red(),
            Some(b'@') => Style::new().dimmed(),
            _ => Style::new(),
        };
        text.push_str(&format!("{}\n", line.style(style)));
    }
    text
}

/// `1 object`, `2 objects`.
pub fn counted(count: usize, noun: &str) -> String {
    match count {
        1 => format!("1 {noun}"),
        _ => format!("{count} {noun}s"),
    }
}

/// A time that has passed, as people say it: `40 s`, `4 min`, `3 h`, `2 d`.
pub fn age(seconds: i64) -> String {
    match seconds {
        ..60 => format!("{} s", seconds.max(0)),
        60..3600 => format!("{} min", seconds / 60),
        3600..172_800 => format!("{} h", seconds / 3600),
        172_800.. => format!("{} d", seconds / 86_400),
    }
}

/// Columns as wide as their widest cell; the last one takes what is left of the line and is cut at its end.
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these headings.
    pub fn new<const COLUMNS: usize>(headings: [&str; COLUMNS]) -> Self {
        Table { rows: vec![headings.map(bold).to_vec()] }
    }

    /// One more row.
    pub fn row<const COLUMNS: usize>(&mut self, cells: [String; COLUMNS]) {
        self.rows.push(cells.into_iter().collect());
    }

    /// As lines of text.
    pub fn draw(&self, terminal: &Terminal) -> String {
        draw_columns(&self.rows, terminal.width())
    }
}

const GAP: usize = 2;

fn draw_columns(rows: &[Vec<String>], width: usize) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns)
        .map(|column| rows.iter().filter_map(|row| row.get(column)).map(|cell| visible(cell)).max().unwrap_or(0))
        .collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        let mut at = 0;
        for (column, cell) in row.iter().enumerate() {
            if column + 1 == row.len() {
                line.push_str(&cut(cell, width.saturating_sub(at)));
            } else {
                line.push_str(cell);
                line.push_str(&" ".repeat(widths[column] - visible(cell) + GAP));
                at += widths[column] + GAP;
            }
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// How many columns a text takes: its characters without the colours. (What is drawn here is names and numbers.)
fn visible(text: &str) -> usize {
    anstream::adapter::strip_str(text).map(|plain| plain.chars().count()).sum()
}

fn cut(text: &str, width: usize) -> String {
    if visible(text) <= width || width == 0 {
        return text.to_owned();
    }
    let plain: String = anstream::adapter::strip_str(text).to_string();
    plain.chars().take(width - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let row = |cells: [&str; 3]| cells.map(str::to_owned).to_vec();
        let rows =
            [row(["NAME", "SYNC", "WAITS FOR"]), row(["dev", &bold("synced"), ""]), row(["int", "x", "a long tale"])];
        let drawn = draw_columns(&rows, 24);
        let plain = anstream::adapter::strip_str(&drawn).to_string();
        assert_eq!(plain, "NAME  SYNC    WAITS FOR\ndev   synced\nint   x       a long ta…\n");
    }

    #[test]
    fn ages_read_as_people_say_them() {
        let ages = [0, 59, 60, 3599, 3600, 172_799, 172_800].map(age);
        assert_eq!(ages, ["0 s", "59 s", "1 min", "59 min", "1 h", "47 h", "2 d"]);
    }

    #[test]
    fn counts_read_as_people_say_them() {
        assert_eq!([0, 1, 2].map(|count| counted(count, "object")), ["0 objects", "1 object", "2 objects"]);
    }
}
