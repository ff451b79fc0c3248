//! Scenes play side by side.

use std::future::Future;
use std::pin::Pin;
use std::time::Instant;

use crate::stage::RUNTIME;

/// Makes a scene, in the thread in which it plays.
pub type Play = fn() -> Pin<Box<dyn Future<Output = ()>>>;

/// Plays those whose name holds `LEEBOARD_SCENE`, if it is set. Each failure is told by itself.
pub fn play(scenes: &[(&'static str, Play)]) {
    let only = std::env::var("LEEBOARD_SCENE").unwrap_or_default();
    let mut playing = Vec::new();
    for (name, scene) in scenes.iter().filter(|(name, _)| name.contains(&only)).copied() {
        let thread = std::thread::Builder::new().name(name.to_owned());
        let scene = move || {
            let start = Instant::now();
            RUNTIME.block_on(scene());
            println!("{name}: {:.0?}", start.elapsed());
        };
        playing.push((name, thread.spawn(scene).unwrap()));
    }
    let failed: Vec<&str> =
        playing.into_iter().filter_map(|(name, thread)| thread.join().is_err().then_some(name)).collect();
    assert!(failed.is_empty(), "failed: {failed:?}");
}
