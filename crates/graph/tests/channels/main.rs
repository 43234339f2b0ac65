//! Channel groups: removing is masking, on random networks and on torchvision's.

mod masking;
mod networks;
mod takeover;
mod torchvision;
