//! What the developer sees while the stack is prepared.

/// Whether the steps are told on standard error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Progress {
    /// Installing and building are told, because they take long: for tests.
    #[default]
    OnlyLongSteps,
    /// Every step is told: for people who wait.
    EveryStep,
}

impl Progress {
    /// Tells a step that takes long, or that somebody must know of.
    pub(crate) fn long_step(self, text: &str) {
        eprintln!("local: {text}");
    }

    /// Tells a step that takes a moment.
    pub(crate) fn step(self, text: &str) {
        match self {
            Self::OnlyLongSteps => {}
            Self::EveryStep => eprintln!("local: {text}"),
        }
    }
}
