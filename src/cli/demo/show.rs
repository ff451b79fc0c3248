//! The live view: the first sync in its waves; then the environments as they are, and below them what happens.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::bail;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use tokio::sync::watch;

use super::super::terminal::{Symbol, Table, Terminal, bold, dim};
use super::screen::{Screen, took_text};
use super::shop::ENVIRONMENTS;
use super::stage::Stage;
use super::world::{Cause, Mood, News, World, short, unsettled};
use crate::api::argo::SyncStatus;

/// How many of the newest events are shown.
const NEWEST: usize = 14;
/// The same, below the waves of a first sync.
const NEWEST_OF_FIRST: usize = 5;
/// How often the daemon is looked at when nothing happens.
const QUIET: Duration = Duration::from_secs(1);
/// Faster than this nobody reads.
const FRAME: Duration = Duration::from_millis(50);

/// Whether events are told, line by line, where nobody watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Events {
    /// They are.
    Told,
    /// Only results are.
    Kept,
}

/// Shows how the environments get from nothing to what git wants. `began`: when they were made.
pub(super) async fn first_sync(
    screen: &mut Screen<'_>,
    stage: &mut Stage,
    world: &watch::Receiver<World>,
    began: Instant,
    events: Events,
) -> anyhow::Result<()> {
    const LONGEST: Duration = Duration::from_secs(180);
    let (mut waiting, mut told) = (ENVIRONMENTS.to_vec(), 0);
    while !waiting.is_empty() {
        stage.check_daemon()?;
        if events == Events::Told {
            tell(screen, &world.borrow(), &mut told)?;
        }
        for environment in std::mem::take(&mut waiting) {
            let (obstacle, (objects, waves)) = {
                let world = world.borrow();
                (obstacle(&world, environment), world.size(environment))
            };
            match obstacle {
                None => {
                    let title = format!("first sync of {environment}");
                    screen.good(&title, &format!("{objects} objects in {waves} waves"), Some(began.elapsed()))?;
                }
                Some(obstacle) if began.elapsed() > LONGEST => {
                    bail!("{environment} is not synced and healthy after {}: {obstacle}", took_text(LONGEST))
                }
                Some(_) => waiting.push(environment),
            }
        }
        let lines = waves_frame(&world.borrow(), &waiting, screen.terminal);
        screen.terminal.paint(&lines);
        tokio::time::sleep(FRAME).await;
    }
    screen.terminal.wipe();
    Ok(())
}

fn obstacle(world: &World, environment: &str) -> Option<String> {
    match world.heads.get(environment) {
        Some(head) => world.waits_for(environment, &head.commit),
        None => Some("its branch has not been read".into()),
    }
}

/// Shows what happens until the daemon ends by itself, which is an error.
pub(super) async fn show(
    screen: &mut Screen<'_>,
    stage: &mut Stage,
    mut world: watch::Receiver<World>,
) -> anyhow::Result<()> {
    let mut told = world.borrow().news.len();
    loop {
        let lines = frame(&world.borrow_and_update(), screen.terminal);
        screen.terminal.paint(&lines);
        tell(screen, &world.borrow(), &mut told)?;
        let killed = Instant::now();
        if stage.revive_daemon().await? {
            screen.good("leeboard", "was killed, and started again as a Deployment would", Some(killed.elapsed()))?;
        }
        stage.check_daemon()?;
        tokio::time::sleep(FRAME).await;
        // An error means that nobody follows any more, which the daemon's end explains.
        let _quiet = tokio::time::timeout(QUIET, world.changed()).await;
    }
}

/// Writes what is new, where nobody watches.
fn tell(screen: &mut Screen<'_>, world: &World, told: &mut usize) -> anyhow::Result<()> {
    if screen.terminal.is_watched() {
        return Ok(());
    }
    let text: String = world.news.iter().skip(*told).map(|news| line(news, screen.terminal) + "\n").collect();
    *told = world.news.len();
    Ok(screen.terminal.print(&text)?)
}

/// The environments, each with the waves of its Applications.
fn waves_frame(world: &World, environments: &[&str], terminal: &Terminal) -> Vec<String> {
    let mut lines: Vec<String> = environments
        .iter()
        .map(|environment| {
            let title = format!("first sync of {environment}");
            format!(
                "  {} {} {}",
                terminal.symbol(Symbol::Going),
                bold(format!("{title:<21}")),
                waves(world, environment, terminal)
            )
        })
        .collect();
    lines.push(String::new());
    let newest = world.news.iter().skip(world.news.len().saturating_sub(NEWEST_OF_FIRST));
    lines.extend(newest.map(|news| line(news, terminal)));
    lines
}

/// `-2 ✓ platform  -1 ✓ database  0 ◐ api ✓ worker payments  1 web monitoring`
fn waves(world: &World, environment: &str, terminal: &Terminal) -> String {
    let mut waves: BTreeMap<i64, Vec<String>> = BTreeMap::new();
    let root = world.status(environment);
    let children = root.into_iter().flat_map(|status| &status.resources).filter(|r| r.kind == "Application");
    for child in children {
        let name = child.name.strip_prefix(&format!("{environment}-")).unwrap_or(&child.name);
        let shown = match world.status(&child.name) {
            None => dim(name),
            Some(status) if unsettled(status, &status.sync.revision).is_none() => {
                format!("{} {name}", terminal.symbol(Symbol::Good))
            }
            Some(_) => format!("{} {name}", terminal.symbol(Symbol::Going)),
        };
        waves.entry(child.sync_wave.unwrap_or(0)).or_default().push(shown);
    }
    let texts = waves.into_iter().map(|(wave, children)| format!("{} {}", dim(wave), children.join(" ")));
    texts.collect::<Vec<_>>().join("  ")
}

/// All that a person sees of the world.
fn frame(world: &World, terminal: &Terminal) -> Vec<String> {
    let mut table = Table::new(["ENVIRONMENT", "COMMIT", "SYNC", "HEALTH", "WAITS FOR"]);
    for environment in ENVIRONMENTS {
        table.row(row(world, environment, terminal));
    }
    let mut lines: Vec<String> = table.draw(terminal).lines().map(|line| format!("  {line}")).collect();
    lines.push(String::new());
    let mut newest: Vec<&News> = world.news.iter().skip(world.news.len().saturating_sub(NEWEST)).collect();
    // A push comes to be known a moment later than it happens.
    newest.sort_by_key(|news| news.at);
    lines.extend(newest.into_iter().map(|news| line(news, terminal)));
    lines
}

fn row(world: &World, environment: &str, terminal: &Terminal) -> [String; 5] {
    let Some(head) = world.heads.get(environment) else { return [environment, "", "", "", ""].map(str::to_owned) };
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
    let after = news.after.map(|(after, cause)| match cause {
        Cause::Push => format!("{} after the push", took_text(after)),
        Cause::Drift => format!("{} after it was seen", took_text(after)),
    });
    let after = after.map(|after| dim(format!("  {after}"))).unwrap_or_default();
    format!("  {}  {:<15} {symbol} {}{after}", dim(time_of_day(news.at)), news.about, news.what)
}

fn time_of_day(at: Timestamp) -> String {
    at.to_zoned(TimeZone::system()).strftime("%H:%M:%S%.3f").to_string()
}
