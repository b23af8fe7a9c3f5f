//! Paths in the checkout.

use std::path::{Path, PathBuf};

/// The checkout: its root, and the folder below `target/` that the local stack owns.
#[derive(Clone, Debug)]
pub struct Workspace {
    root: PathBuf,
}

impl Workspace {
    /// The checkout that this crate was compiled in.
    #[must_use]
    pub fn locate() -> Self {
        let package = Path::new(env!("CARGO_MANIFEST_DIR"));
        Self { root: package.ancestors().nth(2).unwrap_or(package).to_path_buf() }
    }

    /// The folder of the workspace's `Cargo.toml`.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// `template.yaml`, the deployment that the local stack imitates.
    #[must_use]
    pub fn template(&self) -> PathBuf {
        self.root.join("template.yaml")
    }

    /// `target/local`: tools, logs and temporary files; nothing is written elsewhere.
    #[must_use]
    pub fn local(&self) -> PathBuf {
        self.root.join("target").join("local")
    }

    /// A checkout elsewhere.
    #[cfg(test)]
    pub(crate) fn at(root: &Path) -> Self {
        Self { root: root.to_path_buf() }
    }

    /// A file that belongs to this crate.
    pub(crate) fn package_file(&self, name: &str) -> PathBuf {
        self.root.join("tools/local").join(name)
    }
}
