//! What an API server repeats is not repeated: each row of the corpus, with a planted value.

use std::fs;

use leeboard::object::ObjectKey;
use leeboard::preview::mask::Masks;

use super::{corpus, scene};

#[test]
fn no_answer_of_a_real_server_shows_a_value() {
    let Some(file) = corpus("immutable/ECHO.tsv") else { return };
    let masks = Masks::of(&scene::preview(vec![]), vec![]);
    let table = fs::read_to_string(file).unwrap();
    let mut echoes = 0;
    for row in table.lines().skip(1) {
        let kind = row.split_once(':').unwrap().0;
        let answer = row.rsplit('\t').next().unwrap().replace("<value>", "pl4nted").replace("<base64>", "cGw0bnRlZA==");
        let about = ObjectKey { group: "".into(), kind: kind.into(), namespace: None, name: "s".into() };
        let shown = masks.finish(&masks.answer(&about, &answer));
        for planted in ["pl4nted", "cGw0bnRlZA", "12345678901234567"] {
            assert!(!shown.contains(planted), "{answer}\n{shown}");
        }
        echoes += usize::from(answer.contains("pl4nted"));
    }
    assert!(echoes > 10, "{echoes} rows hold a value");
}
