//! Whole comments: each directory of `tests/fixtures/preview/comments` has a preview and the comment that it makes.

use std::fs;

use leeboard::preview::comment::{Flavour, Options, find, write};
use leeboard::preview::mask::Masks;
use leeboard::preview::risk::assess;
use leeboard::preview::status::{Judgement, Status, Unreachable};
use leeboard::preview::{Preview, risk};
use serde_json::Value;

use super::{expect, fixture, scene};

fn read(case: &Value) -> Preview {
    let environments = case["environments"].as_array().unwrap().iter().map(scene::environment).collect();
    let mut preview = scene::preview(environments);
    preview.carried =
        scene::texts(case, "carried").into_iter().map(|step| step.split(", ").map(Into::into).collect()).collect();
    preview
}

pub(crate) fn flavour(case: &Value) -> Flavour {
    match case["flavour"].as_str().unwrap_or("github") {
        "github" => Flavour::GitHub,
        "gitlab" => Flavour::GitLab,
        "gitea" => Flavour::Gitea,
        "bitbucketCloud" => Flavour::BitbucketCloud,
        other => panic!("{other}"),
    }
}

fn judgement(case: &Value, preview: &Preview) -> Judgement {
    let plan = leeboard::preview::comment::Data::of(preview).plan;
    Judgement {
        fail: scene::texts(case, "fail").into_iter().map(|text| text.parse().unwrap()).collect(),
        unreachable: Unreachable::Neutral,
        accepted: plan.filter(|_| case["accepted"] == true),
    }
}

#[test]
fn each_preview_makes_its_comment() {
    let mut names: Vec<_> = fs::read_dir(fixture("comments")).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.sort();
    let mut wrong = Vec::new();
    for case in names.iter().filter(|path| path.is_dir()) {
        let value = scene::documents(&case.join("preview.yaml")).remove(0);
        let preview = read(&value);
        let risks = assess(&preview, &risk::Standards::default());
        let masks = Masks::of(&preview, vec![]);
        let mut options = Options::new(flavour(&value));
        options.link = value["link"].as_str().map(str::to_owned);
        options = options.lowered_to(value["most"].as_u64().map(|most| u32::try_from(most).unwrap()));
        let comment = write(&preview, &risks, &masks, &options);
        let status = Status::of(&preview, &risks, &masks, &judgement(&value, &preview));
        for hidden in scene::texts(&value, "hidden") {
            assert!(!comment.body.contains(hidden), "{}: {hidden} in\n{}", case.display(), comment.body);
            assert!(!status.description.contains(hidden), "{}", case.display());
        }
        let data = find(&comment.body).and_then(|found| found.data).unwrap();
        assert_eq!(data.head, preview.pull.head, "{}", case.display());
        let again = write(&read(&value), &risks, &Masks::of(&preview, vec![]), &options);
        assert_eq!(comment, again, "{}: another time", case.display());
        let found = format!("{:?}: {}\n\n{}", status.state, status.description, comment.body);
        expect(&case.join("comment.md"), &found, &mut wrong);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(names.len() > 10, "{} cases", names.len());
}
