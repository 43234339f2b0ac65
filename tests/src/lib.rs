//! End-to-end tests of the Foresee workspace live in `tests/tests`.
