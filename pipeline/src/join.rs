//! Joins the features of one entity at one time, which arrive in several events.

use hashbrown::HashTable;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::entity::{self, MAX_TAGS_LENGTH};
use crate::field::Field;
use crate::line;
use crate::rows::Rows;
use crate::series::SeriesTable;
use crate::vector::Shape;

/// The most heads in the cache of routes. With more, the cache is cleared.
const MAX_ROUTES: usize = 1 << 16;

/// Joins events into vectors.
#[derive(Debug)]
pub(crate) struct Joiner {
    shape: Shape,
    seed: u64,
    /// The features of each head, by its hash.
    routes: HashTable<Route>,
    /// By series number.
    entities: Vec<Option<Box<Entity>>>,
    /// The complete vectors of this run, in the order of their rows.
    pub(crate) emissions: Vec<Emission>,
    counts: Counts,
}

/// Counts since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Vectors.
    pub vectors: u64,
    /// Values that were missing in them.
    pub missing: u64,
    /// Events that came after their vector was complete.
    pub late: u64,
}

/// The features in events with a head.
#[derive(Debug)]
struct Route {
    hash: u64,
    /// The entity's identity.
    identity: u64,
    /// The numbers of the features in such events, in order of their fields' names.
    features: Vec<u16>,
    /// For each field of an event, by position: the index of its first feature in `features` the last time.
    places: Vec<u16>,
}

/// One entity: its current vector, and the last values of its features.
#[derive(Debug)]
struct Entity {
    /// Its tags, as they stand in a line: `,host=a`.
    tags: Box<[u8]>,
    /// The beginning of the current interval.
    start: i64,
    /// The values so far, and how many there are.
    values: Box<[f64]>,
    filled: usize,
    /// Whether the vector has been emitted.
    emitted: bool,
    /// Whether it is the first interval, which may have begun before the start, so that missing values mean nothing.
    first: bool,
    /// The number of the last event with a value of it.
    event: u64,
    /// Each feature's last value before conversion, and its time; for features that need it.
    last: Box<[(f64, i64)]>,
}

/// A complete vector, and the event that completed it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Emission {
    /// The offset of that event's end in the buffer.
    pub(crate) at: usize,
    /// The number of the last event with a value of it.
    pub(crate) event: u64,
}

/// What a joiner needs to know of an event.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Joined<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) head: &'a [u8],
    /// The hash of the head's bytes.
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
        // Vectors of another shape are other series: the state of one is useless for the other.
        self.seed = xxh3_64_with_seed(format!("{:?}", self.shape).as_bytes(), seed);
    }

    pub(crate) fn shape(&self) -> &Shape {
        &self.shape
    }

    pub(crate) fn counts(&self) -> Counts {
        self.counts
    }

    /// Whether events with this head have any feature.
    pub(crate) fn wants_event(&self, head: &[u8]) -> bool {
        self.shape.features.iter().any(|feature| feature.wants(head))
    }

    /// An entity's tags, as in line protocol.
    pub(crate) fn tags(&self, series: u32) -> &[u8] {
        self.entities.get(series as usize).and_then(Option::as_ref).map_or(&[], |entity| &entity.tags)
    }

    /// Adds the features of an event. A vector that it completes becomes a row. Returns whether it had any feature.
    pub(crate) fn join_event(&mut self, event: Joined<'_>, series: &mut SeriesTable, rows: &mut Rows) -> bool {
        let Self { shape, seed, routes, entities, emissions, counts } = self;
        let at = |route: &Route| route.hash == event.hash;
        if routes.find(event.hash, at).is_none() {
            if routes.len() >= MAX_ROUTES {
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
            entity.emitted = true;
        };
        let max_lateness = entity::max_lateness(shape.interval);
        if start > entity.start || start < entity.start.saturating_sub(max_lateness) {
            if start > entity.start && !entity.emitted && !entity.first && entity.filled > 0 {
                emit(entity); // the next interval has begun: missing values will not arrive
            }
            entity.begin_interval(start);
        } else if start < entity.start || entity.emitted {
            counts.late += 1;
            return false;
        }

        let mut changed = false;
        let named = |at: usize| shape.features[usize::from(features[at])].field.as_bytes();
        if places.len() < event.fields.len() {
            places.resize(event.fields.len(), 0);
        }
        for (field, place) in event.fields.iter().zip(places) {
            let key = line::unescape(field.key(event.bytes));
            // Events with the same head usually have the same fields in the same order.
            let mut at = usize::from(*place);
            if named(at) != key.as_ref() {
                at = partition_point(features.len(), |at| named(at) < key.as_ref());
                if at == features.len() || named(at) != key.as_ref() {
                    continue; // no feature has this field
                }
                *place = at as u16;
            }
            while at < features.len() && named(at) == key.as_ref() {
                entity.set_feature(usize::from(features[at]), shape, field.value, event.time);
                at += 1;
            }
            entity.event = event.number;
            changed = true;
        }
        if entity.filled == entity.values.len() {
            emit(entity);
        }
        changed
    }

    pub(crate) fn remove_entities(&mut self, series: &[u32]) {
        for &number in series {
            if let Some(entity) = self.entities.get_mut(number as usize) {
                *entity = None;
            }
        }
    }
}

/// The first of `count` indices for which `before` is false; it must be false for all later ones.
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
        if tags.len() > MAX_TAGS_LENGTH {
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
            emitted: false,
            first: shape.interval > 0,
            event: 0,
            last: if keeps { vec![(f64::NAN, 0); features].into() } else { Box::default() },
        }
    }

    fn begin_interval(&mut self, start: i64) {
        self.start = start;
        self.values.fill(f64::NAN);
        self.filled = 0;
        self.emitted = false;
        self.first = false;
    }

    fn set_feature(&mut self, feature: usize, shape: &Shape, value: f64, time: i64) {
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
