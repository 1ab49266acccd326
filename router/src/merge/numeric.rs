//! Numeric
