//! What the developer sees while the stack is prepared.

/// Which steps are told on standard error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Progress {
    /// Those that take long, installing and compiling: for tests.
    #[default]
    LongSteps,
    /// Every one: for people who wait.
    EveryStep,
}

impl Progress {
    /// Tells a step that takes a moment.
    pub(crate) fn step(self, text: &str) {
        match self {
            Self::LongSteps => {}
            Self::EveryStep => tell(text),
        }
    }
}

/// Tells a step that takes long.
pub(crate) fn tell(text: &str) {
    eprintln!("local: {text}");
}
