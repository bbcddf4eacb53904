//! Linear algebra for the detectors: the same bits natively and in WebAssembly.
//!
//! [`covariance`] of rows, the [`eigen`]vectors of a symmetric matrix, and [`lanes`]: four rows at a time. Matrices are
//! [`ndarray`]'s, in standard layout; its product of matrices is not used, since its order of summation depends on the processor.

pub mod covariance;
pub(crate) mod eigen;
pub(crate) mod lanes;

use std::slice::ChunksExact;

use ndarray::ArrayView2;

/// The most features: the time to fit grows with the third power of their number, and is seconds for so many.
pub const MAX_FEATURES: usize = 1024;

/// Numbers that stand row after row as a matrix.
///
/// # Panics
///
/// Where they do not fill its rows, or those are of no column.
#[must_use]
pub fn as_matrix(numbers: &[f64], columns: usize) -> ArrayView2<'_, f64> {
    let rows = numbers.len().checked_div(columns).unwrap_or_default();
    match ArrayView2::from_shape((rows, columns), numbers) {
        Ok(matrix) if columns > 0 && matrix.len() == numbers.len() => matrix,
        _ => panic!("{} values, {columns} a row", numbers.len()),
    }
}

/// The numbers of a matrix in standard layout, row after row.
pub(crate) fn as_numbers(matrix: ArrayView2<'_, f64>) -> &[f64] {
    matrix.to_slice().expect("rows stand one after another")
}

/// The rows of a matrix in standard layout.
pub(crate) fn as_rows(matrix: ArrayView2<'_, f64>) -> ChunksExact<'_, f64> {
    as_numbers(matrix).chunks_exact(matrix.ncols())
}
