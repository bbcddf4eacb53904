//! Eigenvalues and eigenvectors of a symmetric matrix.
//!
//! Householder's reduction to a tridiagonal matrix, then the QL algorithm with implicit shifts: the procedures tred2 and
//! tql2 of Wilkinson & Reinsch, Handbook for Automatic Computation II (1971), as EISPACK has them. They need no good
//! conditioning: eigenvalues are accurate to a rounding error of the largest one, and vectors are orthogonal even if their
//! values are close or equal.
//!
//! All matrices in here hold one *vector* a row (EISPACK: a column), so that the inner loops run along memory.

use ndarray::Array2;

/// The eigenvalues and eigenvectors of a symmetric matrix.
#[derive(Debug)]
pub(crate) struct Eigen {
    /// The eigenvalues, largest first.
    pub(crate) values: Vec<f64>,
    /// The eigenvectors in the order of their values, each a row of length 1. The component that is largest by absolute
    /// value is positive, since the sign is arbitrary and the same matrix must give the same bytes.
    pub(crate) vectors: Array2<f64>,
}

/// The most iterations for one eigenvalue. Two are usual; the limit only guarantees an end.
const MAX_ITERATIONS: usize = 64;

/// Computes them of a symmetric matrix of finite numbers.
pub(crate) fn decompose(matrix: Array2<f64>) -> Eigen {
    assert!(matrix.is_square() && matrix.is_standard_layout());
    let size = matrix.nrows();
    let (mut vectors, _) = matrix.into_raw_vec_and_offset();
    // By a power of two, which rounds nothing: products of elements neither over- nor underflow.
    let largest = vectors.iter().fold(0.0, |largest, x| f64::max(largest, x.abs()));
    let exponent = libm::frexp(largest).1.clamp(-1000, 1000);
    scale(&mut vectors, libm::ldexp(1.0, -exponent));
    let (mut diagonal, mut beside) = (vec![0.0; size], vec![0.0; size]);
    tridiagonalise(&mut vectors, &mut diagonal, &mut beside);
    diagonalise(&mut vectors, &mut diagonal, &mut beside);

    let mut order: Vec<usize> = (0..size).collect();
    order.sort_by(|&a, &b| f64::total_cmp(&diagonal[b], &diagonal[a]));
    let mut sorted = Array2::zeros((size, size));
    for (&at, mut sorted) in order.iter().zip(sorted.outer_iter_mut()) {
        let vector = &vectors[at * size..(at + 1) * size];
        let largest = vector.iter().fold(0.0_f64, |largest, x| if x.abs() > largest.abs() { *x } else { largest });
        let sign = if largest < 0.0 { -1.0 } else { 1.0 };
        sorted.iter_mut().zip(vector).for_each(|(sorted, x)| *sorted = sign * x);
    }
    let values = order.iter().map(|&at| libm::ldexp(diagonal[at], exponent)).collect();
    Eigen { values, vectors: sorted }
}

/// tred2: leaves the tridiagonal matrix in `d` (its diagonal) and `e` (what stands beside it; the first is 0), and in `v`
/// the transformation that leads there.
fn tridiagonalise(v: &mut [f64], d: &mut [f64], e: &mut [f64]) {
    let n = d.len();
    for (j, d) in d.iter_mut().enumerate() {
        *d = v[j * n + n - 1];
    }
    for i in (1..n).rev() {
        d[i] = eliminate(v, i, &mut d[..i], e);
    }
    accumulate(v, d);
    for (j, d) in d.iter_mut().enumerate() {
        *d = std::mem::replace(&mut v[j * n + n - 1], 0.0);
    }
    v[n * n - 1] = 1.0;
    e[0] = 0.0;
}

/// One step of Householder's: frees row `i`, which `d` holds, of all but its last element, which goes to `e[i]`. Leaves
/// the next row in `d` and the reflection's vector in `v`, and returns half that vector's squared length.
fn eliminate(v: &mut [f64], i: usize, d: &mut [f64], e: &mut [f64]) -> f64 {
    let n = e.len();
    let size: f64 = d.iter().map(|x| x.abs()).sum();
    if size < f64::MIN_POSITIVE {
        e[i] = d[i - 1];
        for (j, d) in d.iter_mut().enumerate() {
            *d = v[j * n + i - 1];
            v[j * n + i] = 0.0;
            v[i * n + j] = 0.0;
        }
        return 0.0;
    }
    scale(d, 1.0 / size);
    let mut h = dot(d, d);
    let f = d[i - 1];
    let g = if f > 0.0 { -h.sqrt() } else { h.sqrt() };
    e[i] = size * g;
    h -= f * g;
    d[i - 1] = f - g;

    // The matrix times the vector, from the one triangle that is kept.
    let e = &mut e[..i];
    e.fill(0.0);
    v[i * n..i * n + i].copy_from_slice(d);
    for j in 0..i {
        let row = &v[j * n + j..j * n + i];
        let (f, here) = (d[j], &row[1..]);
        e[j] += row[0] * f + dot(here, &d[j + 1..]);
        add(&mut e[j + 1..], f, here);
    }
    scale(e, 1.0 / h);
    let half = dot(e, d) / (h + h);
    add(e, -half, d);
    for j in 0..i {
        let (f, g) = (d[j], e[j]);
        let row = &mut v[j * n + j..=j * n + i];
        for ((x, e), d) in row.iter_mut().zip(&e[j..]).zip(&d[j..]) {
            *x -= f * e + g * d;
        }
        d[j] = row[i - 1 - j];
        row[i - j] = 0.0;
    }
    h
}

/// Multiplies the reflections whose vectors `v` holds, the half squared lengths of which are in `d`, into `v`.
fn accumulate(v: &mut [f64], d: &mut [f64]) {
    let n = d.len();
    for i in 0..n - 1 {
        v[i * n + n - 1] = v[i * n + i];
        v[i * n + i] = 1.0;
        let (before, reflection) = v.split_at_mut((i + 1) * n);
        let reflection = &mut reflection[..=i];
        let h = d[i + 1];
        if h != 0.0 {
            for row in before.chunks_exact_mut(n) {
                let g = dot(reflection, &row[..=i]) / h;
                add(&mut row[..=i], -g, reflection);
            }
        }
        reflection.fill(0.0);
    }
}

/// tql2: makes the tridiagonal matrix `d`, `e` diagonal, and turns the vectors `v` along.
fn diagonalise(v: &mut [f64], d: &mut [f64], e: &mut [f64]) {
    let n = d.len();
    e.rotate_left(1);
    let (mut shift, mut largest) = (0.0, 0.0_f64);
    for l in 0..n {
        largest = f64::max(largest, d[l].abs() + e[l].abs());
        let negligible = f64::EPSILON * largest;
        // The last `e` is 0.
        let m = (l..n).find(|&m| e[m].abs() <= negligible).unwrap_or(n - 1);
        for _ in 0..MAX_ITERATIONS {
            if m == l || e[l].abs() <= negligible {
                break;
            }
            shift += implicit_shift(&mut d[l..], e[l]);
            sweep(v, d, e, l, m);
        }
        d[l] += shift;
        e[l] = 0.0;
    }
}

/// Shifts a diagonal towards its first eigenvalue, `beside` being what stands beside its first element; returns by how
/// much.
fn implicit_shift(d: &mut [f64], beside: f64) -> f64 {
    let p = (d[1] - d[0]) / (2.0 * beside);
    let r = if p < 0.0 { -libm::hypot(p, 1.0) } else { libm::hypot(p, 1.0) };
    let shift = d[0] - beside / (p + r);
    d[0] = beside / (p + r);
    d[1] = beside * (p + r);
    d[2..].iter_mut().for_each(|x| *x -= shift);
    shift
}

/// One QL step between `l` and `m`: rotations from the lower end up.
fn sweep(v: &mut [f64], d: &mut [f64], e: &mut [f64], l: usize, m: usize) {
    let n = d.len();
    let (below_first, first) = (d[l + 1], e[l + 1]);
    let (mut p, mut c, mut s) = (d[m], 1.0, 0.0);
    // The cosines one and two rotations ago, the sine one ago.
    let (mut c2, mut c3, mut s2) = (1.0, 1.0, 0.0);
    for i in (l..m).rev() {
        (c3, c2, s2) = (c2, c, s);
        let (g, h) = (c * e[i], c * p);
        let r = libm::hypot(p, e[i]);
        e[i + 1] = s * r;
        s = e[i] / r;
        c = p / r;
        p = c * d[i] - s * g;
        d[i + 1] = h + s * (c * g + s * d[i]);
        let (upper, lower) = v[i * n..(i + 2) * n].split_at_mut(n);
        for (upper, lower) in upper.iter_mut().zip(lower) {
            (*upper, *lower) = (c * *upper - s * *lower, s * *upper + c * *lower);
        }
    }
    p = -s * s2 * c3 * first * e[l] / below_first;
    e[l] = s * p;
    d[l] = c * p;
}

/// Multiplies `a` by `factor`.
fn scale(a: &mut [f64], factor: f64) {
    for a in a {
        *a *= factor;
    }
}

/// Adds `factor` times `b` to `a`.
fn add(a: &mut [f64], factor: f64, b: &[f64]) {
    for (a, b) in a.iter_mut().zip(b) {
        *a += factor * b;
    }
}

/// The sum of products, in four running sums: quicker than one, and as fixed an order.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<4>(), b.as_chunks::<4>());
    let mut sums = [0.0; 4];
    for (a, b) in a.iter().zip(b) {
        for lane in 0..4 {
            sums[lane] += a[lane] * b[lane];
        }
    }
    let rest: f64 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    (sums[0] + sums[1]) + (sums[2] + sums[3]) + rest
}

#[cfg(test)]
mod tests {
    use super::super::as_matrix;
    use super::*;
    use crate::pca::tests::Random;

    /// Checks that the parts make the matrix again, that vectors are orthonormal, values in order, signs as agreed.
    fn check(matrix: &[f64], size: usize) -> Eigen {
        let eigen = decompose(as_matrix(matrix, size).to_owned());
        let Eigen { values, vectors } = &eigen;
        let vector = |at: usize| vectors.row(at).to_slice().unwrap();
        let scale = f64::max(values[0].abs(), values[size - 1].abs());
        let near = |a: f64, b: f64, scale: f64| (a - b).abs() <= 1e-14 * size as f64 * scale;
        assert!(values.is_sorted_by(|a, b| a >= b), "{values:?}");
        for i in 0..size {
            for j in 0..size {
                let again: f64 = (0..size).map(|at| values[at] * vector(at)[i] * vector(at)[j]).sum();
                assert!(near(again, matrix[i * size + j], scale), "{again} is not {}", matrix[i * size + j]);
                assert!(near(dot(vector(i), vector(j)), f64::from(u8::from(i == j)), 1.0), "{i} and {j}");
            }
            let largest = vector(i).iter().copied().max_by(|a, b| a.abs().total_cmp(&b.abs())).unwrap();
            assert!(largest > 0.0 || vector(i).iter().any(|x| *x >= -largest), "vector {i} points the wrong way");
        }
        assert_eq!(decompose(as_matrix(matrix, size).to_owned()).vectors, *vectors, "not the same twice");
        eigen
    }

    /// Q·diag(values)·Qᵀ with a random orthogonal Q.
    fn with_spectrum(values: &[f64], random: &mut Random) -> Vec<f64> {
        let n = values.len();
        let mut basis: Vec<f64> = (0..n * n).map(|_| random.normal()).collect();
        for i in 0..n {
            for _ in 0..2 {
                for j in 0..i {
                    let (done, this) = basis.split_at_mut(i * n);
                    let done = &done[j * n..(j + 1) * n];
                    let along = dot(done, &this[..n]);
                    add(&mut this[..n], -along, done);
                }
            }
            let row = &mut basis[i * n..(i + 1) * n];
            let length = dot(row, row).sqrt();
            scale(row, 1.0 / length);
        }
        let element = |i, j| (0..n).map(|at| values[at] * basis[at * n + i] * basis[at * n + j]).sum();
        let mut matrix = vec![0.0; n * n];
        for i in 0..n {
            for j in 0..=i {
                let x: f64 = element(i, j);
                (matrix[i * n + j], matrix[j * n + i]) = (x, x);
            }
        }
        matrix
    }

    #[test]
    fn known_spectra_are_found() {
        assert_eq!(check(&[7.0], 1).values, [7.0]);
        assert_eq!(check(&[0.0; 16], 4).values, [0.0; 4]);
        assert_eq!(check(&[2.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 5.0], 3).values, [5.0, 2.0, -1.0]);
        let two = check(&[2.0, 1.0, 1.0, 2.0], 2);
        assert!((two.values[0] - 3.0).abs() < 1e-15 && (two.values[1] - 1.0).abs() < 1e-15);
        // The second difference: 2 − 2 cos(kπ/(n+1)).
        let n = 30_usize;
        let matrix: Vec<f64> = (0..n * n)
            .map(|at| match (at / n).abs_diff(at % n) {
                0 => 2.0,
                1 => -1.0,
                _ => 0.0,
            })
            .collect();
        for (at, value) in check(&matrix, n).values.iter().rev().enumerate() {
            let exact = 2.0 - 2.0 * (std::f64::consts::PI * (at as f64 + 1.0) / (n as f64 + 1.0)).cos();
            assert!((value - exact).abs() < 1e-13, "{value} is not {exact}");
        }
    }

    #[test]
    fn repeated_vanishing_and_tiny_eigenvalues_do_no_harm() {
        let random = &mut Random(1);
        for spectrum in [
            vec![3.0, 3.0, 3.0, 1.0, 1.0, 0.0, 0.0, -2.0],
            vec![1.0; 12],
            vec![1.0, 1e-9, 1e-16, 1e-30, 0.0],
            vec![1e24, 1.0, 1e-24],
            [vec![5.0], vec![0.0; 39]].concat(),
        ] {
            let found = check(&with_spectrum(&spectrum, random), spectrum.len()).values;
            for (found, exact) in found.iter().zip(&spectrum) {
                assert!((found - exact).abs() <= 1e-14 * spectrum.len() as f64 * spectrum[0], "{found}, not {exact}");
            }
        }
        check(&vec![1.0; 50 * 50], 50);
    }

    #[test]
    fn random_matrices_of_any_scale_are_taken_apart() {
        let random = &mut Random(2);
        for size in [2, 3, 4, 5, 17, 38, 90] {
            for scale in [1e-200, 1.0, 1e100] {
                let mut matrix = vec![0.0; size * size];
                for i in 0..size {
                    for j in 0..=i {
                        let x = scale * random.normal();
                        (matrix[i * size + j], matrix[j * size + i]) = (x, x);
                    }
                }
                check(&matrix, size);
            }
        }
    }
}
