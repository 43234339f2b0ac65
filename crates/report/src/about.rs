//! What a figure's files say about it beside the drawing.

/// What a figure's files say about it beside the drawing.
#[derive(Debug, Clone, Default)]
pub struct About {
    /// What the figure shows.
    pub caption: String,
    /// The data files that it was drawn from.
    pub data: Vec<String>,
    /// The command that draws it again.
    pub command: String,
}

impl About {
    /// How [`CREATOR`](Self::CREATOR) begins in every version.
    pub(crate) const MARK: &str = "foresee-report ";
    /// The program that made a file, as its metadata name it.
    pub(crate) const CREATOR: &str = concat!("foresee-report ", env!("CARGO_PKG_VERSION"));

    /// The data files and the command, as far as they are known.
    pub(crate) fn made_from(&self) -> String {
        let data = match self.data.is_empty() {
            true => String::new(),
            false => format!("data: {}\n", self.data.join(", ")),
        };
        match self.command.is_empty() {
            true => data,
            false => format!("{data}command: {}\n", self.command),
        }
    }
}
