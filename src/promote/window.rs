//! When a branch takes promotions: windows as Argo CD's sync windows have them, with five fields of cron.
//!
//! **In:** windows, the time. **Out:** open; or closed, why, and when it opens. **May not:** be open for want of a window
//! that can be read.
//!
//! Own, and small: the crates for cron bring a second library for time beside jiff, and read days of the week otherwise than
//! the cron that Argo CD uses (`0` and `7` are Sunday; when both days are given, either will do).

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan as _};

use crate::api::duration;
use crate::api::leeboard::Environment;
use crate::api::leeboard::promotion::{Window, WindowKind};

/// Whether promotions may be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Gateway {
    /// They may.
    Open,
    /// They may not.
    Closed {
        /// In one sentence.
        why: String,
        /// When it opens, as far as a week ahead is looked.
        opens: Option<Timestamp>,
    },
}

/// How far ahead it is looked for an opening.
const AHEAD: SignedDuration = SignedDuration::from_hours(8 * 24);

/// Whether anything may enter an environment now: it is not locked, and its windows are open.
pub fn of(environment: &Environment, by_person: bool, now: Timestamp) -> Gateway {
    let Some(policy) = &environment.spec.promotion else { return Gateway::Open };
    if let Some(lock) = policy.locked.as_ref().filter(|lock| lock.holds(now)) {
        let by = if lock.by.is_empty() { String::new() } else { format!(" by {}", lock.by) };
        let why = format!("{} is locked{by}: {}", environment.name(), lock.reason);
        return Gateway::Closed { why, opens: lock.until.as_ref().map(|until| until.0) };
    }
    look(&policy.windows, by_person, now)
}

/// Whether promotions may be written now; `by_person` when a person began it.
pub fn look(windows: &[Window], by_person: bool, now: Timestamp) -> Gateway {
    let mut read = Vec::new();
    for window in windows.iter().filter(|window| !(by_person && window.manual)) {
        match Read::of(window) {
            Ok(window) => read.push(window),
            Err(why) => return Gateway::Closed { why, opens: None },
        }
    }
    let Some(why) = closed(&read, now) else { return Gateway::Open };
    Gateway::Closed { why, opens: opens(&read, now) }
}

/// Why it is closed at a time.
fn closed(windows: &[Read<'_>], at: Timestamp) -> Option<String> {
    let reason = |window: &Window| window.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
    let denies = windows.iter().find(|read| read.window.kind == WindowKind::Deny && read.covers(at));
    if let Some(read) = denies {
        let Window { schedule, duration, .. } = read.window;
        return Some(format!("the window `{schedule}` for {duration} takes no promotions{}", reason(read.window)));
    }
    let mut allows = windows.iter().filter(|read| read.window.kind == WindowKind::Allow).peekable();
    let first = allows.peek()?.window;
    let is_open = allows.any(|read| read.covers(at));
    (!is_open).then(|| format!("outside of the window `{}` for {}{}", first.schedule, first.duration, reason(first)))
}

/// When it is open again: windows begin and end at whole minutes.
fn opens(windows: &[Read<'_>], now: Timestamp) -> Option<Timestamp> {
    let minute = now.as_second().div_euclid(60);
    let last = AHEAD.as_secs() / 60;
    (1..=last)
        .filter_map(|ahead| Timestamp::from_second((minute + ahead) * 60).ok())
        .find(|at| closed(windows, *at).is_none())
}

/// A window that can be read.
struct Read<'a> {
    window: &'a Window,
    schedule: Schedule,
    lasts: SignedDuration,
    zone: TimeZone,
}

impl<'a> Read<'a> {
    fn of(window: &'a Window) -> Result<Self, String> {
        let schedule = Schedule::parse(&window.schedule)
            .map_err(|why| format!("the window `{}` cannot be read: {why}", window.schedule))?;
        let lasts = duration::parse(&window.duration).and_then(|lasts| SignedDuration::try_from(lasts).ok());
        let lasts = lasts.filter(SignedDuration::is_positive);
        let lasts = lasts.ok_or_else(|| format!("`{}` is no duration of a window", window.duration))?;
        let zone = match &window.time_zone {
            None => TimeZone::UTC,
            Some(name) => TimeZone::get(name).map_err(|_| format!("`{name}` is no time zone of a window"))?,
        };
        Ok(Read { window, schedule, lasts, zone })
    }

    /// True when it has begun before this time, and not ended.
    fn covers(&self, at: Timestamp) -> bool {
        let minutes = self.lasts.as_secs().div_euclid(60) + i64::from(self.lasts.as_secs().rem_euclid(60) > 0);
        let local = at.to_zoned(self.zone.clone()).datetime();
        let Ok(mut begin) = local.with().second(0).subsec_nanosecond(0).build() else { return false };
        // A window is as long as its clock says, also when that is set back in between.
        for _ in 0..minutes.min(AHEAD.as_secs() / 60) {
            if self.schedule.is_at(begin) {
                let length = local.duration_since(begin);
                return length < self.lasts;
            }
            let Ok(earlier) = begin.checked_sub(1.minute()) else { return false };
            begin = earlier;
        }
        false
    }
}

/// Five fields of cron; a bit for each value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Schedule {
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    /// Both kinds of days are given: either will do.
    is_either_day: bool,
}

const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

impl Schedule {
    fn parse(text: &str) -> Result<Self, String> {
        let fields: Vec<&str> = text.split_whitespace().collect();
        let [minutes, hours, days, months, weekdays] = fields.as_slice() else {
            return Err(format!("it has {} fields of five", fields.len()));
        };
        let all = |field: &str| field.starts_with('*') || field == "?";
        let weekday = field(weekdays, 0, 7, &WEEKDAYS, 0)?;
        Ok(Schedule {
            minutes: field(minutes, 0, 59, &[], 0)?,
            hours: field(hours, 0, 23, &[], 0)?,
            days: field(days, 1, 31, &[], 0)?,
            months: field(months, 1, 12, &MONTHS, 1)?,
            // Sunday is 0 and 7.
            weekdays: weekday | weekday >> 7 & 1,
            is_either_day: !all(days) && !all(weekdays),
        })
    }

    fn is_at(&self, at: DateTime) -> bool {
        let has = |bits: u64, value: i8| u32::try_from(value).is_ok_and(|value| bits >> value & 1 == 1);
        let day = has(self.days, at.day());
        let weekday = has(self.weekdays, at.weekday().to_sunday_zero_offset());
        let is_day = if self.is_either_day { day || weekday } else { day && weekday };
        has(self.minutes, at.minute()) && has(self.hours, at.hour()) && has(self.months, at.month()) && is_day
    }
}

/// One field: `*`, `*/5`, `1-5`, `1-20/3`, `mon`, and lists of these.
fn field(text: &str, first: u32, last: u32, names: &[&str], offset: u32) -> Result<u64, String> {
    let value = |word: &str| {
        let lower = word.to_ascii_lowercase();
        let named = names.iter().position(|name| *name == lower).and_then(|at| u32::try_from(at).ok());
        let number = named.map(|at| at + offset).or_else(|| word.parse().ok());
        number
            .filter(|number| (first..=last).contains(number))
            .ok_or_else(|| format!("`{word}` is not {first} to {last}"))
    };
    let mut bits = 0;
    for part in text.split(',') {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, step.parse().ok().filter(|step: &u32| *step > 0)),
            None => (part, Some(1)),
        };
        let step = step.ok_or_else(|| format!("`{part}` has no step"))?;
        let (from, to) = match range.split_once('-') {
            _ if matches!(range, "*" | "?") => (first, last),
            Some((from, to)) => (value(from)?, value(to)?),
            None if part.contains('/') => (value(range)?, last),
            None => (value(range)?, value(range)?),
        };
        if from > to {
            return Err(format!("`{part}` ends before it begins"));
        }
        (from..=to).step_by(usize::try_from(step).unwrap_or(usize::MAX)).for_each(|at| bits |= 1 << at);
    }
    Ok(bits)
}
