//! The live view: the environments as they are, and below them what happens.

use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use tokio::sync::watch;

use super::super::terminal::{Symbol, Table, Terminal, bold, dim};
use super::screen::{Screen, took_text};
use super::shop::ENVIRONMENTS;
use super::stage::Stage;
use super::world::{Mood, News, World, short};
use crate::api::argo::SyncStatus;

/// How many of the newest events are shown.
const NEWEST: usize = 14;
/// How often the daemon is looked at when nothing happens.
const QUIET: Duration = Duration::from_secs(1);
/// Faster than this nobody reads.
const FRAME: Duration = Duration::from_millis(50);

/// Shows what happens until the daemon ends, which is an error.
pub(super) async fn show(
    screen: &mut Screen<'_>,
    stage: &mut Stage,
    mut world: watch::Receiver<World>,
) -> anyhow::Result<()> {
    let mut told = world.borrow().news.len();
    loop {
        if screen.terminal.is_watched() {
            let lines = frame(&world.borrow_and_update(), screen.terminal);
            screen.terminal.paint(&lines);
            tokio::time::sleep(FRAME).await;
        } else {
            let text: String = {
                let world = world.borrow_and_update();
                let new = world.news.iter().skip(told).map(|news| line(news, screen.terminal) + "\n").collect();
                told = world.news.len();
                new
            };
            screen.terminal.print(&text)?;
        }
        stage.check_daemon()?;
        // An error means that nobody follows any more, which the daemon's end explains.
        let _quiet = tokio::time::timeout(QUIET, world.changed()).await;
    }
}

/// All that a person sees of the world.
fn frame(world: &World, terminal: &Terminal) -> Vec<String> {
    let mut table = Table::new(["ENVIRONMENT", "COMMIT", "SYNC", "HEALTH", "WAITS FOR"]);
    for environment in ENVIRONMENTS {
        table.row(row(world, environment, terminal));
    }
    let mut lines: Vec<String> = table.draw(terminal).lines().map(|line| format!("  {line}")).collect();
    lines.push(String::new());
    let mut newest: Vec<&News> = world.news.iter().rev().take(NEWEST).collect();
    // A push comes to be known a moment later than it happens.
    newest.sort_by_key(|news| news.at);
    lines.extend(newest.into_iter().map(|news| line(news, terminal)));
    lines
}

fn row(world: &World, environment: &str, terminal: &Terminal) -> [String; 5] {
    let Some((head, _)) = world.heads.get(environment) else { return [environment, "", "", "", ""].map(str::to_owned) };
    let mut all = world.of(environment).map(|(_, status)| status);
    let synced =
        all.by_ref().all(|status| status.sync.status == SyncStatus::Synced && status.sync.revision == head.commit);
    let health = world.of(environment).map(|(_, status)| status.health.status.as_deref().unwrap_or("Unknown"));
    // The worst comes last in this list.
    let rank = |health: &&str| {
        ["Healthy", "Suspended", "Progressing", "Missing", "Unknown", "Degraded"].iter().position(|word| word == health)
    };
    let health = health.max_by_key(rank).unwrap_or("Unknown");
    let symbol = |good: bool, bad: bool| {
        terminal.symbol(match (good, bad) {
            (true, _) => Symbol::Good,
            (_, true) => Symbol::Bad,
            _ => Symbol::Going,
        })
    };
    [
        bold(environment),
        format!("{} {}", short(&head.commit), head.subject),
        format!("{} {}", symbol(synced, false), if synced { "synced" } else { "out of sync" }),
        format!("{} {}", symbol(health == "Healthy", health == "Degraded"), health.to_lowercase()),
        world.waits_for(environment, &head.commit).unwrap_or_default(),
    ]
}

/// `  14:03:07.125  dev-web        ✓ synced: 2 applied  (43 ms after the push)`
pub(super) fn line(news: &News, terminal: &Terminal) -> String {
    let symbol = terminal.symbol(match news.what.mood() {
        Mood::Good => Symbol::Good,
        Mood::Bad => Symbol::Bad,
        Mood::Going => Symbol::Going,
        Mood::Note => Symbol::Note,
    });
    let after = news.after.map(|after| dim(format!("  {} after the push", took_text(after)))).unwrap_or_default();
    format!("  {}  {:<15} {symbol} {}{after}", dim(time_of_day(news.at)), news.about, news.what)
}

fn time_of_day(at: Timestamp) -> String {
    at.to_zoned(TimeZone::system()).strftime("%H:%M:%S%.3f").to_string()
}
