//! `docs/guides/` shows exactly the programs that are tested.

use std::{env, fs, path::PathBuf};

/// A block of code follows the comment `<!-- file: … -->` that names its file.
const MARK: &str = "<!-- file: ";

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A guide with every block of code replaced by its file.
fn with_files(guide: &str) -> (String, usize) {
    let mut text = String::new();
    let mut lines = guide.lines();
    let mut count = 0;
    while let Some(line) = lines.next() {
        text.extend([line, "\n"]);
        let Some(name) = line.strip_prefix(MARK) else { continue };
        let name = name.strip_suffix(" -->").unwrap();
        let fence = lines.find(|line| !line.is_empty()).unwrap();
        assert!(fence.starts_with("```"), "{name}: {fence}");
        let file = fs::read_to_string(root().join(name)).unwrap_or_else(|_| panic!("{name}"));
        text.extend(["\n", fence, "\n", file.trim_end(), "\n```\n"]);
        lines.find(|line| *line == "```").unwrap();
        count += 1;
    }
    (text, count)
}

/// `UPDATE_GUIDES=1` writes the files into the guides.
#[test]
fn the_guides_show_whole_files_that_are_tested() {
    let mut shown = 0;
    for entry in fs::read_dir(root().join("docs/guides")).unwrap() {
        let path = entry.unwrap().path();
        let guide = fs::read_to_string(&path).unwrap();
        let (with_files, count) = with_files(&guide);
        shown += count;
        if env::var_os("UPDATE_GUIDES").is_some() {
            fs::write(&path, with_files).unwrap();
        } else {
            assert_eq!(guide, with_files, "{}", path.display());
        }
    }
    assert!(shown >= 6, "{shown}");
}

#[test]
fn the_links_of_the_guides_lead_to_files() {
    let folder = root().join("docs/guides");
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let guide = fs::read_to_string(&path).unwrap();
        for link in guide.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = link.split('#').next().unwrap();
            let is_elsewhere = file.is_empty() || file.starts_with("http");
            assert!(is_elsewhere || folder.join(file).exists(), "{}: {link}", path.display());
        }
    }
}
