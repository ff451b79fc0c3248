//! Where commits of a branch go once they are merged: from environment to environment, as their promotions say.

use std::collections::BTreeMap;

use smol_str::SmolStr;

/// An environment of the repository, and from where it takes commits.
#[derive(Clone, Debug)]
pub struct Station {
    /// The environment.
    pub name: SmolStr,
    /// Its own branch.
    pub branch: SmolStr,
    /// The environments that it takes commits from.
    pub environments: Vec<SmolStr>,
    /// The branches that it takes commits from.
    pub branches: Vec<SmolStr>,
}

/// The environments that commits of a branch are carried to, those that have their turn together in one step. An
/// environment comes after all that it takes them from.
pub fn carried(stations: &[Station], branch: &str) -> Vec<Vec<SmolStr>> {
    let mut turns: BTreeMap<&SmolStr, usize> = BTreeMap::new();
    // In a circle, which a condition tells of, turns would grow for ever.
    for _ in stations {
        for station in stations.iter().filter(|station| station.branch != branch) {
            let sources = stations.iter().filter(|source| station.environments.contains(&source.name));
            let of_sources = sources.filter_map(|source| match source.branch == branch {
                true => Some(0),
                false => turns.get(&source.name).map(|turn| turn + 1),
            });
            let own = station.branches.iter().any(|from| from == branch).then_some(0);
            if let Some(turn) = of_sources.chain(own).max() {
                turns.insert(&station.name, turn);
            }
        }
    }
    let mut steps: BTreeMap<usize, Vec<SmolStr>> = BTreeMap::new();
    for (name, turn) in turns {
        steps.entry(turn).or_default().push(name.clone());
    }
    steps.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `int < dev, main`: the environment `int` takes commits from the environment `dev`, or the branch `main`, and has the
    /// branch `env/int`.
    fn station(text: &str) -> Station {
        let (name, sources) = text.split_once(" < ").unwrap_or((text, ""));
        let (name, branch) = name.split_once('@').map_or((name, format!("env/{name}")), |(n, b)| (n, b.to_owned()));
        let sources = sources.split(", ").filter(|source| !source.is_empty());
        let (branches, environments): (Vec<&str>, Vec<&str>) = sources.partition(|source| *source == "main");
        let owned = |names: Vec<&str>| names.into_iter().map(SmolStr::from).collect();
        Station {
            name: name.into(),
            branch: branch.into(),
            environments: owned(environments),
            branches: owned(branches),
        }
    }

    #[test]
    fn commits_go_from_environment_to_environment() {
        let cases: [(&str, &[&str], &str); 8] = [
            ("a chain from a branch", &["dev < main", "int < dev", "prod < int"], "dev → int → prod"),
            ("a chain from the branch of an environment", &["dev@main", "int < dev", "prod < int"], "int → prod"),
            ("several at once", &["dev < main", "eu < dev", "us < dev"], "dev → eu, us"),
            ("all sources have their turn before", &["a < main", "b < a", "c < a, b"], "a → b → c"),
            ("two ways in", &["a < main", "b < main", "c < a, b"], "a, b → c"),
            ("of another branch", &["dev < other", "int < dev"], ""),
            ("nothing is promoted", &["dev@main"], ""),
            ("a circle", &["a < main, b", "b < a"], "a → b"),
        ];
        for (what, stations, expected) in cases {
            let stations: Vec<Station> = stations.iter().map(|text| station(text)).collect();
            let steps: Vec<String> = carried(&stations, "main").into_iter().map(|step| step.join(", ")).collect();
            assert_eq!(steps.join(" → "), expected, "{what}");
        }
    }
}
