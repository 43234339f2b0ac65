//! End-to-end tests of the Foresee workspace live in `tests/tests`, and `tests/examples` holds the comparison of a whole training with PyTorch's and the rehearsal of
//! CelebA's full count. What both need is here.

pub mod forms;
