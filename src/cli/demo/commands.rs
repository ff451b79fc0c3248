//! What a person may try, to be copied from the terminal: every command works as it stands.

use std::path::Path;

/// The lines that explain what to do while the demo runs. `directory` is written as the person would write it.
pub fn commands(directory: &Path) -> String {
    let directory = shown(directory);
    let edit = edit_in_place("s/newTag: 1.4.1/newTag: 1.5.0/", "apps/web/overlays/dev/kustomization.yaml");
    format!(
        "Your turn. In another terminal:
  git clone --branch env/dev {directory}/shop.git && cd shop
  {edit}
  git commit -am \"Raise web to 1.5.0\" && git push

Or break something, from here:
  {directory}/kubectl -n shop-dev delete deployment web
  {directory}/kubectl -n shop-dev scale deployment web --replicas=7
"
    )
}

/// The same for a demo with a forge: how a pull request is opened by `git push` alone, and where it is read then.
pub fn pull_commands(push_url: &str, page: &str, [login, password]: [&str; 2]) -> String {
    let edit = edit_in_place("s/newTag: 1.4.1/newTag: 1.5.0/", "apps/web/overlays/dev/kustomization.yaml");
    format!(
        "Open a pull request. In another terminal:
  git clone --branch env/dev {push_url} && cd shop
  {edit}
  git commit -am \"Raise web to 1.5.0\" && git push origin HEAD:refs/for/env/dev -o topic=raise-web

Read there what it would change, and merge it, signed in as {login} with the password {password}:
  {page}
"
    )
}

/// BSD's sed wants a suffix for a backup, GNU's takes the next argument for a file.
fn edit_in_place(script: &str, file: &str) -> String {
    let suffix = if cfg!(any(target_os = "linux", target_os = "android")) { "" } else { " ''" };
    format!("sed -i{suffix} '{script}' {file}")
}

/// As a word of a shell.
fn shown(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |character: char| character.is_alphanumeric() || "/._-+@%,".contains(character);
    if text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_one_word_of_a_shell() {
        let cases = [
            // path              word
            (".leeboard-demo", ".leeboard-demo"),
            ("/srv/a b", "'/srv/a b'"),
            ("it's", r"'it'\''s'"),
        ];
        for (path, expected) in cases {
            assert_eq!(shown(Path::new(path)), expected, "{path}");
        }
    }
}
