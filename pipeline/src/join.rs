//! Features of one entity at one time, joined from the events in which they arrive.

use hashbrown::HashTable;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::entity::{self, MOST_TAGS};
use crate::line::{self, Field};
use crate::rows::Rows;
use crate::series::SeriesTable;
use crate::vector::Shape;

/// Heads whose features are remembered. Beyond this many, all are worked out anew.
const MEMO: usize = 1 << 16;

/// Joins events into vectors.
#[derive(Debug)]
pub(crate) struct Joiner {
    shape: Shape,
    seed: u64,
    /// What each head brings, by its hash.
    routes: HashTable<Route>,
    /// By series number.
    entities: Vec<Option<Box<Entity>>>,
    /// The vectors of this run that are complete, in the order of their rows.
    pub(crate) emissions: Vec<Emission>,
    counts: Counts,
}

/// What has been joined, since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Vectors.
    pub vectors: u64,
    /// Values that were missing in them.
    pub missing: u64,
    /// Events that came after their vector was complete.
    pub late: u64,
}

/// What events with a given head bring.
#[derive(Debug)]
struct Route {
    hash: u64,
    /// The entity's identity.
    identity: u64,
    /// Features of such events by number, in order of their fields.
    features: Vec<u16>,
    /// For each field of an event, by its place: where its features began among these the last time.
    places: Vec<u16>,
}

/// One entity: its vector at hand, and what its features last were.
#[derive(Debug)]
struct Entity {
    /// Its tags, as they stand in a line: `,host=a`.
    tags: Box<[u8]>,
    /// When the interval at hand begins.
    start: i64,
    /// The values that are there, and how many.
    values: Box<[f64]>,
    filled: usize,
    /// The vector was scored already.
    done: bool,
    /// The first interval may have begun before we did: what is missing then says nothing.
    first: bool,
    /// The number of the last event that brought a value.
    event: u64,
    /// Each feature's last value as it was measured, and when; for features that need it.
    last: Box<[(f64, i64)]>,
}

/// A vector that is complete, and the event that completed it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Emission {
    /// Where in the buffer that event ends.
    pub(crate) at: usize,
    /// The number of the last event that brought a value.
    pub(crate) event: u64,
}

/// An event, as a joiner sees it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Joined<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) head: &'a [u8],
    /// The hash of the head as it stands there.
    pub(crate) hash: u64,
    pub(crate) fields: &'a [Field],
    pub(crate) time: i64,
    pub(crate) number: u64,
    /// Where in the buffer it ends.
    pub(crate) end: usize,
}

impl Joiner {
    pub(crate) fn new(shape: Shape) -> Self {
        assert!(u16::try_from(shape.features.len()).is_ok(), "too many features");
        let (routes, entities, emissions) = (HashTable::new(), Vec::new(), Vec::new());
        Self { shape, seed: 0, routes, entities, emissions, counts: Counts::default() }
    }

    /// The seed of identities, as in [`crate::Pipeline::new`].
    pub(crate) fn set_seed(&mut self, seed: u64) {
        // Vectors of another shape are other series: what was remembered of those is of no use for these.
        self.seed = xxh3_64_with_seed(format!("{:?}", self.shape).as_bytes(), seed);
    }

    pub(crate) fn shape(&self) -> &Shape {
        &self.shape
    }

    pub(crate) fn counts(&self) -> Counts {
        self.counts
    }

    /// Whether events with this head bring any feature.
    pub(crate) fn wants_event(&self, head: &[u8]) -> bool {
        self.shape.features.iter().any(|feature| feature.wants(head))
    }

    /// An entity's tags, as they stand in a line.
    pub(crate) fn tags(&self, series: u32) -> &[u8] {
        self.entities.get(series as usize).and_then(Option::as_ref).map_or(&[], |entity| &entity.tags)
    }

    /// Takes an event in. A vector that it completes becomes a row. Whether it brought anything.
    pub(crate) fn take(&mut self, event: Joined<'_>, series: &mut SeriesTable, rows: &mut Rows) -> bool {
        let Self { shape, seed, routes, entities, emissions, counts } = self;
        let at = |route: &Route| route.hash == event.hash;
        if routes.find(event.hash, at).is_none() {
            if routes.len() >= MEMO {
                routes.clear();
            }
            routes.insert_unique(event.hash, shape.route(event.head, event.hash, *seed), |route| route.hash);
        }
        let Some(Route { identity, features, places, .. }) = routes.find_mut(event.hash, at) else { return false };
        if features.is_empty() {
            return false;
        }
        let number = series.number(*identity);
        if entities.len() <= number as usize {
            entities.resize_with(number as usize + 1, || None);
        }
        let start = entity::interval_start(event.time, shape.interval);
        let entity = entities[number as usize].get_or_insert_with(|| Box::new(Entity::new(shape, event.head, start)));

        let mut emit = |entity: &mut Entity| {
            rows.add_vector(number, entity.start, &entity.values);
            emissions.push(Emission { at: event.end, event: entity.event });
            counts.vectors += 1;
            counts.missing += (entity.values.len() - entity.filled) as u64;
            entity.done = true;
        };
        let most_late = entity::most_late(shape.interval);
        if start > entity.start || start < entity.start.saturating_sub(most_late) {
            if start > entity.start && !entity.done && !entity.first && entity.filled > 0 {
                emit(entity); // the next interval has begun: what is missing will not come
            }
            entity.begin(start);
        } else if start < entity.start || entity.done {
            counts.late += 1;
            return false;
        }

        let mut brought = false;
        let named = |at: usize| shape.features[usize::from(features[at])].field.as_bytes();
        if places.len() < event.fields.len() {
            places.resize(event.fields.len(), 0);
        }
        for (field, place) in event.fields.iter().zip(places) {
            let key = line::unescape(field.key(event.bytes));
            // Events with the same head mostly have the same fields in the same order.
            let mut at = usize::from(*place);
            if named(at) != key.as_ref() {
                at = partition_point(features.len(), |at| named(at) < key.as_ref());
                if at == features.len() || named(at) != key.as_ref() {
                    continue; // a field that nobody wants
                }
                *place = at as u16;
            }
            while at < features.len() && named(at) == key.as_ref() {
                entity.put(usize::from(features[at]), shape, field.value, event.time);
                at += 1;
            }
            entity.event = event.number;
            brought = true;
        }
        if entity.filled == entity.values.len() {
            emit(entity);
        }
        brought
    }

    pub(crate) fn forget(&mut self, series: &[u32]) {
        for &number in series {
            if let Some(entity) = self.entities.get_mut(number as usize) {
                *entity = None;
            }
        }
    }
}

/// The first of `count` places for which `before` does not hold; it holds for none behind that.
fn partition_point(count: usize, before: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (0, count);
    while low < high {
        let middle = low.midpoint(high);
        if before(middle) { low = middle + 1 } else { high = middle }
    }
    low
}

impl Shape {
    fn route(&self, head: &[u8], hash: u64, seed: u64) -> Route {
        let wanted = self.features.iter().zip(0_u16..).filter(|(feature, _)| feature.wants(head));
        let mut features: Vec<u16> = wanted.map(|(_, number)| number).collect();
        let field = |number: u16| &self.features[usize::from(number)].field;
        features.sort_by(|&a, &b| field(a).cmp(field(b)).then(a.cmp(&b)));
        let tags = entity::tags(head, &self.entity);
        if tags.len() > MOST_TAGS {
            features.clear();
        }
        Route { hash, identity: xxh3_64_with_seed(&tags, seed), features, places: Vec::new() }
    }
}

impl crate::vector::Feature {
    fn wants(&self, head: &[u8]) -> bool {
        let mut parts = line::head_parts(head);
        let measurement = parts.next().unwrap_or_default();
        line::unescape(measurement).as_ref() == self.measurement.as_bytes() && crate::select::has_tags(head, &self.tags)
    }
}

impl Entity {
    fn new(shape: &Shape, head: &[u8], start: i64) -> Self {
        let features = shape.features.len();
        let keeps = shape.features.iter().any(|feature| feature.transform.needs_last());
        Self {
            tags: entity::tags(head, &shape.entity).into(),
            start,
            values: vec![f64::NAN; features].into(),
            filled: 0,
            done: false,
            first: shape.interval > 0,
            event: 0,
            last: if keeps { vec![(f64::NAN, 0); features].into() } else { Box::default() },
        }
    }

    fn begin(&mut self, start: i64) {
        self.start = start;
        self.values.fill(f64::NAN);
        self.filled = 0;
        self.done = false;
        self.first = false;
    }

    fn put(&mut self, feature: usize, shape: &Shape, value: f64, time: i64) {
        let transform = shape.features[feature].transform;
        let last = match self.last.get_mut(feature) {
            Some(last) if transform.needs_last() => std::mem::replace(last, (value, time)),
            _ => (f64::NAN, 0),
        };
        let value = transform.apply(value, time, last);
        if value.is_finite() {
            self.filled += usize::from(self.values[feature].is_nan());
            self.values[feature] = value;
        }
    }
}
