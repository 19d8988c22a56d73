//! The fuzz targets; see [`targets`].

pub mod targets;
