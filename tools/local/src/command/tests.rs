use std::{fs, path::PathBuf};

use clap::{Parser as _, error::ErrorKind};
use local::workspace::Workspace;

use super::{Arguments, Command};

fn documents() -> Vec<PathBuf> {
    let root = Workspace::locate().root().to_owned();
    let names = ["README.md", "CONTRIBUTING.md", "tests/README.md"];
    let mut documents: Vec<_> = names.iter().map(|name| root.join(name)).collect();
    for folder in ["docs", "docs/guides"] {
        let entries = fs::read_dir(root.join(folder)).unwrap();
        documents.extend(entries.map(|entry| entry.unwrap().path()));
    }
    documents.retain(|path| path.extension().is_some_and(|extension| extension == "md"));
    documents
}

#[test]
fn commands_in_the_documents_are_accepted() {
    let mut commands = 0;
    for document in documents() {
        let text = fs::read_to_string(&document).unwrap();
        let lines = text.lines().filter(|line| line.starts_with("cargo local"));
        let spans = text.lines().flat_map(|line| line.split('`').skip(1).step_by(2));
        for command in lines.chain(spans.filter(|span| span.starts_with("cargo local"))) {
            commands += 1;
            let words = command.split('#').next().unwrap().split_whitespace().skip(2);
            match Arguments::try_parse_from(["cargo local"].into_iter().chain(words)) {
                Ok(Arguments { command: Some(Command::Ratchet(words)), .. }) => {
                    let known = ["users", "sessions", "clients", "keys"];
                    assert!(known.iter().any(|known| words[0] == *known), "{command}");
                }
                Ok(_) => {}
                Err(error) => {
                    let name = document.display();
                    assert_eq!(error.kind(), ErrorKind::DisplayHelp, "{name}: {command}\n{error}");
                }
            }
        }
    }
    assert!(commands >= 8, "{commands}");
}
