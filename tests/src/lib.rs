//! End-to-end tests of the Foresee workspace live in `tests/tests`, and `tests/examples` holds the comparison of a whole training with PyTorch's.
