//! Bodies of a thousand gauges with four tags, as Vector's `http` sink writes them.

use std::ops::Range;

/// Events of a body.
pub(crate) const EVENTS: usize = 1_000;

/// Bodies with values of their own; then the first comes again, later.
const BODIES: usize = 16;

/// 2026-03-01T00:00:00Z.
const START: u64 = 1_772_323_200;

/// Where the seconds stand in the text of a time, and how many bytes they are: `01T00:00:00` of the month.
const TEXT: usize = "2026-03-".len();
const TEXT_LENGTH: usize = "01T00:00:00".len();

/// A time in seconds as protocol buffers have it, for as long as this is about our century.
const VARINT_LENGTH: usize = 5;

/// One of Vector's own codecs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Codec {
    NativeJson,
    Native,
}

impl Codec {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::NativeJson => "native_json",
            Self::Native => "native",
        }
    }
}

/// Bodies without end, in which time goes on.
#[derive(Debug)]
pub(crate) struct Gauges {
    codec: Codec,
    series: usize,
    bodies: Vec<Body>,
    sent: usize,
}

#[derive(Debug, Default)]
struct Body {
    bytes: Vec<u8>,
    /// Where each event's time stands.
    times: Vec<Range<usize>>,
}

impl Gauges {
    /// Of so many series, by turns.
    pub(crate) fn new(codec: Codec, series: usize) -> Self {
        let mut random = 1;
        let bodies = (0..BODIES).map(|_| body(codec, series, &mut random)).collect();
        Self { codec, series, bodies, sent: 0 }
    }

    /// The following body. Each series is a second later than when it last came.
    pub(crate) fn following(&mut self) -> &[u8] {
        let body = &mut self.bodies[self.sent % BODIES];
        for (event, place) in body.times.iter().enumerate() {
            let second = (self.sent * EVENTS + event) / self.series;
            let place = &mut body.bytes[place.clone()];
            match self.codec {
                Codec::NativeJson => place.copy_from_slice(of_month(second).as_bytes()),
                Codec::Native => place.copy_from_slice(&varint(START + second as u64)),
            }
        }
        self.sent += 1;
        &body.bytes
    }
}

fn of_month(second: usize) -> String {
    let (minute, hour, day) = (second / 60, second / 3600, second / 86_400);
    format!("{:02}T{:02}:{:02}:{:02}", 1 + day % 31, hour % 24, minute % 60, second % 60)
}

fn varint(mut number: u64) -> [u8; VARINT_LENGTH] {
    let mut bytes = [0; VARINT_LENGTH];
    for byte in &mut bytes {
        *byte = number as u8 & 0x7f | 0x80;
        number >>= 7;
    }
    bytes[VARINT_LENGTH - 1] &= 0x7f;
    bytes
}

fn body(codec: Codec, series: usize, random: &mut u64) -> Body {
    let mut body = Body::default();
    for event in 0..EVENTS {
        *random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let one = Gauge { series: event % series, value: 1e6 + (*random >> 40) as f64 / 64.0 };
        match codec {
            Codec::NativeJson => one.json(&mut body),
            Codec::Native => one.protocol_buffers(&mut body),
        }
    }
    body
}

struct Gauge {
    series: usize,
    value: f64,
}

impl Gauge {
    /// In the order in which Vector writes them.
    fn tags(&self) -> [(&'static str, String); 4] {
        let Self { series, .. } = self;
        [
            ("collector", "filesystem".to_owned()),
            ("device", format!("/dev/sda{}", series % 10)),
            ("filesystem", "ext4".to_owned()),
            ("host", format!("web-{:03}", series / 10)),
        ]
    }

    fn json(&self, to: &mut Body) {
        let tags: Vec<_> = self.tags().iter().map(|(key, value)| format!("\"{key}\":\"{value}\"")).collect();
        let before = format!(
            "{{\"metric\":{{\"name\":\"filesystem_used_bytes\",\"namespace\":\"host\",\"tags\":{{{}}},\"timestamp\":\"",
            tags.join(",")
        );
        let at = to.bytes.len() + before.len() + TEXT;
        to.times.push(at..at + TEXT_LENGTH);
        to.bytes.extend(before.into_bytes());
        let rest = format!(
            "2026-03-01T00:00:00.123456789Z\",\"kind\":\"absolute\",\"gauge\":{{\"value\":{:?}}}}}}}\n",
            self.value
        );
        to.bytes.extend(rest.into_bytes());
    }

    /// Behind its length, four bytes of it. Vector writes tags in both the old form and the new one.
    fn protocol_buffers(&self, to: &mut Body) {
        let mut metric = field(1, b"filesystem_used_bytes");
        let time = [&[0x08][..], &varint(START), &[0x10, 0x95, 0x9a, 0xef, 0x3a]].concat();
        let time_at = metric.len() + 3; // behind two tags and a length
        metric.extend(field(2, &time));
        for (key, value) in self.tags() {
            metric.extend(field(3, &[field(1, key.as_bytes()), field(2, value.as_bytes())].concat()));
        }
        metric.extend([0x20, 1]);
        metric.extend(field(6, &[&[0x09][..], &self.value.to_le_bytes()].concat()));
        metric.extend(field(11, b"host"));
        metric.extend(field(19, &[0x3a, 0]));
        for (key, value) in self.tags() {
            let list = field(2, &field(1, &field(1, value.as_bytes())));
            metric.extend(field(20, &[field(1, key.as_bytes()), list].concat()));
        }
        metric.extend(field(21, &metadata()));
        let length = metric.len();
        let array = field(2, &field(1, &metric));
        to.bytes.extend((array.len() as u32).to_be_bytes());
        to.bytes.extend(array);
        let at = to.bytes.len() - length + time_at;
        to.times.push(at..at + VARINT_LENGTH);
    }
}

/// Where Vector had an event from.
fn metadata() -> Vec<u8> {
    let source = [field(3, b"host"), field(4, b"host_metrics"), field(7, &[0x5a; 16])].concat();
    [field(1, &[0x3a, 0]), source].concat()
}

/// A field with a length, of at most two bytes each.
fn field(number: u16, bytes: &[u8]) -> Vec<u8> {
    let mut field = Vec::with_capacity(bytes.len() + 4);
    for mut number in [usize::from(number << 3 | 2), bytes.len()] {
        while number > 0x7f {
            field.push(number as u8 & 0x7f | 0x80);
            number >>= 7;
        }
        field.push(number as u8);
    }
    field.extend_from_slice(bytes);
    field
}
