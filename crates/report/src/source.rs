//! What a figure or table was made from.

/// What a figure or table was made from. It is written on its face.
#[derive(Debug, Clone)]
pub struct Source {
    /// For example "8000 CelebA faces (…), 32 px, seed 0".
    pub data: String,
    /// Whether the faces are synthetic. The figure then says that it shows nothing about CelebA.
    pub synthetic: bool,
}

impl Source {
    /// The text below a figure or table.
    pub fn note(&self) -> String {
        match self.synthetic {
            true => format!("SYNTHETIC FACES, not CelebA: {}", self.data),
            false => self.data.clone(),
        }
    }
}
