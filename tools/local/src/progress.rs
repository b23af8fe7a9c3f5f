//! What the developer sees while the stack is prepared.

/// Which steps are reported on standard error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Progress {
    /// Only long ones (installing and compiling): for tests.
    #[default]
    LongSteps,
    /// All of them: for people who wait.
    EveryStep,
}

impl Progress {
    /// Reports a short step.
    pub(crate) fn step(self, text: &str) {
        match self {
            Self::LongSteps => {}
            Self::EveryStep => tell(text),
        }
    }
}

/// Reports a long step.
pub(crate) fn tell(text: &str) {
    eprintln!("local: {text}");
}
