//! Steps as a person sees them: what is done while it is done, and a line with its time when it is.

use std::future::Future;
use std::time::{Duration, Instant};

use super::super::terminal::{Symbol, Terminal, bold, dim};

/// How often what is watched is drawn anew.
const FRAME: Duration = Duration::from_millis(100);

/// How often a line is written where nobody watches.
const NOW_AND_THEN: Duration = Duration::from_secs(5);
/// The title's column.
const TITLE: usize = 22;

/// Shows steps.
pub(super) struct Screen<'a> {
    pub(super) terminal: &'a mut Terminal,
}

/// A step that is done.
pub(super) struct Done<T> {
    pub(super) value: T,
    pub(super) took: Duration,
}

impl Screen<'_> {
    /// Waits for work. Meanwhile a person sees its title, what `doing` says, and since when; where nobody watches, a
    /// line is written now and then.
    pub(super) async fn during<T, E>(
        &mut self,
        title: &str,
        doing: impl Fn() -> Vec<String>,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<Done<T>, E> {
        let start = Instant::now();
        let mut frames = tokio::time::interval(FRAME);
        let mut work = std::pin::pin!(work);
        let (mut said, mut said_at) = (String::new(), start);
        let result = loop {
            tokio::select! {
                result = &mut work => break result,
                _ = frames.tick() => {
                    let lines = doing();
                    let (first, rest) = lines.split_first().map_or(("", &[][..]), |(first, rest)| (first, rest));
                    let line = self.line(Symbol::Going, title, first, Some(start.elapsed()));
                    if self.terminal.is_watched() {
                        let rest = rest.iter().map(|line| format!("    {}", dim(line)));
                        let painted: Vec<String> = [line].into_iter().chain(rest).collect();
                        self.terminal.paint(&painted);
                    } else if said != first && said_at.elapsed() >= NOW_AND_THEN {
                        self.terminal.say(&(line + "\n"));
                        (said, said_at) = (first.to_owned(), Instant::now());
                    }
                }
            }
        };
        self.terminal.wipe();
        result.map(|value| Done { value, took: start.elapsed() })
    }

    /// A step has gone well.
    pub(super) fn good(&mut self, title: &str, detail: &str, took: Option<Duration>) -> anyhow::Result<()> {
        let line = self.line(Symbol::Good, title, detail, took);
        Ok(self.terminal.print(&(line + "\n"))?)
    }

    /// What somebody said in a step, to the letter.
    pub(super) fn quote(&mut self, words: &str) -> anyhow::Result<()> {
        let text: String = words.lines().map(|line| format!("    {}{}\n", " ".repeat(TITLE), dim(line))).collect();
        Ok(self.terminal.print(&text)?)
    }

    /// A step has gone wrong.
    pub(super) fn bad(&mut self, title: &str, detail: &str) -> anyhow::Result<()> {
        let line = self.line(Symbol::Bad, title, detail, None);
        Ok(self.terminal.print(&(line + "\n"))?)
    }

    /// `  ✓ control plane       Kubernetes v1.36.3 on 127.0.0.1:38111            3.2 s`
    fn line(&self, symbol: Symbol, title: &str, detail: &str, took: Option<Duration>) -> String {
        const MARGIN: usize = 5;
        let time = took.map(took_text).unwrap_or_default();
        let room = self.terminal.width().min(110).saturating_sub(MARGIN + TITLE + time.len() + 2);
        let detail_width = detail.chars().count();
        let detail = if detail_width > room {
            detail.chars().take(room.saturating_sub(1)).chain(['…']).collect()
        } else {
            detail.to_owned()
        };
        let gap = if time.is_empty() { 0 } else { room.saturating_sub(detail_width) + 2 };
        let title_gap = " ".repeat(TITLE.saturating_sub(title.chars().count()).max(1));
        let (symbol, gap) = (self.terminal.symbol(symbol), " ".repeat(gap));
        format!("  {symbol} {}{title_gap}{detail}{gap}{}", bold(title), dim(time))
    }
}

/// A duration as people read it: `31 ms`, `0.42 s`, `12.3 s`, `2 min 5 s`.
pub(super) fn took_text(took: Duration) -> String {
    match took.as_secs_f64() {
        _ if took < Duration::from_millis(100) => format!("{} ms", took.as_millis().max(1)),
        seconds if seconds < 9.995 => format!("{seconds:.2} s"),
        seconds if seconds < 99.95 => format!("{seconds:.1} s"),
        seconds => format!("{} min {} s", seconds as u64 / 60, seconds as u64 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_people_say_them() {
        let cases =
            [(0, "1 ms"), (31, "31 ms"), (420, "0.42 s"), (3249, "3.25 s"), (12_340, "12.3 s"), (125_000, "2 min 5 s")];
        for (milliseconds, expected) in cases {
            assert_eq!(took_text(Duration::from_millis(milliseconds)), expected);
        }
    }
}
