//! Hyperplanes that split.

/// Lanes in which a long product is summed up, which is the same order everywhere.
const LANES: usize = 8;

/// The hyperplanes of a forest, all of one width: each has so many features, ascending, with a normal's component and a
/// point's coordinate for each.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Planes {
    /// Values in a row.
    features: usize,
    width: usize,
    names: Vec<u16>,
    normals: Vec<f32>,
    points: Vec<f32>,
    /// Normal times point.
    offsets: Vec<f32>,
}

impl Planes {
    pub(super) fn new(features: usize, width: usize) -> Self {
        let (names, normals, points, offsets) = Default::default();
        Self { features, width, names, normals, points, offsets }
    }

    /// Adds a plane; its number.
    pub(super) fn push(&mut self, axes: impl Iterator<Item = (u16, f32, f32)>) -> u32 {
        let start = self.names.len();
        for (name, normal, point) in axes {
            self.names.push(name);
            self.normals.push(normal);
            self.points.push(point);
        }
        self.offsets.push(dot(&self.normals[start..], &self.points[start..]));
        self.offsets.len() as u32 - 1
    }

    /// Whether a row lies on the side to which the normal points: it goes right.
    #[inline]
    pub(super) fn is_beyond(&self, plane: u32, row: &[f32]) -> bool {
        let place = plane as usize * self.width;
        let normal = &self.normals[place..place + self.width];
        let product = if self.width == self.features {
            dot(normal, row)
        } else {
            let names = &self.names[place..place + self.width];
            normal.iter().zip(names).map(|(normal, name)| normal * row[usize::from(*name)]).sum()
        };
        product > self.offsets[plane as usize]
    }

    /// Shares an amount among a plane's features, by how far along the normal each of a row's values is from the point.
    pub(super) fn share(&self, plane: u32, row: &[f32], amount: f64, contributions: &mut [f64]) {
        let axes = || {
            self.axes(plane).map(|(name, normal, point)| {
                let name = usize::from(name);
                (name, (f64::from(normal) * (f64::from(row[name]) - f64::from(point))).abs())
            })
        };
        let total: f64 = axes().map(|(_, far)| far).sum();
        for (name, far) in axes() {
            let share = if total > 0.0 { far / total } else { 1.0 / self.width as f64 };
            contributions[name] += amount * share;
        }
    }

    /// The name of each of a plane's features, the normal's component and the point's coordinate.
    pub(super) fn axes(&self, plane: u32) -> impl Iterator<Item = (u16, f32, f32)> {
        let axes = plane as usize * self.width..(plane as usize + 1) * self.width;
        axes.map(|at| (self.names[at], self.normals[at], self.points[at]))
    }

    pub(super) fn len(&self) -> u32 {
        self.offsets.len() as u32
    }

    pub(super) fn features(&self) -> usize {
        self.features
    }

    pub(super) fn width(&self) -> usize {
        self.width
    }
}

#[inline]
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    let mut lanes = [0.0; LANES];
    for (a, b) in a.iter().zip(b) {
        for ((lane, a), b) in lanes.iter_mut().zip(a).zip(b) {
            *lane += a * b;
        }
    }
    for ((lane, a), b) in lanes.iter_mut().zip(a_rest).zip(b_rest) {
        *lane += a * b;
    }
    lanes.iter().sum()
}
