use std::{fs, path::Path};

use clap::{Parser as _, error::ErrorKind};

use super::{Arguments, Command, KeysCommand};

/// The commands that documents show: lines of code blocks, and code within a line.
fn shown(document: &Path) -> (Vec<String>, Vec<String>) {
    let text = fs::read_to_string(document).unwrap();
    // One stands in a subshell with a umask.
    let lines = text.lines().map(|line| line.trim_start_matches("(umask 077; "));
    let lines = lines.filter(|line| line.starts_with("ratchet ")).map(str::to_owned);
    let spans = text.lines().flat_map(|line| line.split('`').skip(1).step_by(2));
    // The tables of docs/operators.md leave the program's name out.
    let commands = ["ratchet ", "users ", "sessions ", "clients ", "keys "];
    let spans = spans.filter(|span| commands.iter().any(|command| span.starts_with(command)));
    (lines.collect(), spans.map(str::to_owned).collect())
}

fn parse(command: &str) -> Result<Arguments, clap::Error> {
    // The shell redirects the output; `ratchet` does not see that part.
    let command = command.split_once(" > ").map_or(command, |(command, _)| command);
    let words = command.strip_prefix("ratchet ").unwrap_or(command).split_whitespace();
    // `[ROLE…]` is an optional argument, `…` stands for some.
    let words =
        words.map(|word| word.trim_matches(['[', ']', '…'])).filter(|word| !word.is_empty());
    Arguments::try_parse_from(["ratchet"].into_iter().chain(words))
}

#[test]
fn commands_in_the_documents_are_accepted() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut documents: Vec<_> = ["README.md", "CONTRIBUTING.md", "SECURITY.md"]
        .iter()
        .map(|name| root.join(name))
        .collect();
    documents.extend(fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path()));
    let (mut complete, mut mentioned) = (0, 0);
    for document in documents.iter().filter(|path| path.extension().is_some_and(|it| it == "md")) {
        let (lines, spans) = shown(document);
        for line in lines {
            complete += 1;
            parse(&line).unwrap_or_else(|error| panic!("{}: {line}\n{error}", document.display()));
        }
        for span in spans {
            mentioned += 1;
            // In running text, a command may be named without its arguments.
            let named = [
                ErrorKind::MissingRequiredArgument,
                ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand,
            ];
            if let Err(error) = parse(&span) {
                assert!(named.contains(&error.kind()), "{}: {span}\n{error}", document.display());
            }
        }
    }
    assert!(
        complete >= 2 && mentioned >= 15,
        "{complete} complete commands, {mentioned} mentioned"
    );
}

#[test]
fn a_key_whose_id_begins_with_a_hyphen_can_be_revoked() {
    let Arguments { command, .. } = parse("keys revoke -Tq9").unwrap();
    assert!(matches!(command, Command::Keys(KeysCommand::Revoke { kid }) if kid == "-Tq9"));
}
