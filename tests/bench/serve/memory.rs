//! How much memory it takes: after many large bodies, and for connections that wait.

use crate::Effort;
use crate::busy::resident;
use crate::gauges::{Codec, Gauges};
use crate::place::{Place, judge};
use crate::table::{Row, Wanted};
use crate::wire::{Client, Drain, head};

const MIB: f64 = (1 << 20) as f64;

/// Bodies of a thousand events that make one of ten thousand.
const TOGETHER: usize = 10;

/// What large bodies may take besides, at most, however many come.
const MAX_RATIO: f64 = 1.5;

pub(crate) fn measure(place: &Place, effort: Effort) -> Vec<Row> {
    let drain = Drain::start();
    let server = place.serve(&format!("[vector]\nforward = \"{}\"\n", drain.url()));
    let start = resident(server.pid());
    let mut client = Client::connect(server.address());
    let mut gauges = Gauges::new(Codec::NativeJson, 1_000);
    let mut after = Vec::new();
    for _ in 0..effort.bodies {
        let body: Vec<u8> = (0..TOGETHER).flat_map(|_| gauges.following().to_vec()).collect();
        client.ask(&[&head("/vector", None, body.len()), &body]);
        after.push(resident(server.pid()));
    }
    // By then each series is scored, and bodies go back at their full length.
    let (early, late) = (after[effort.bodies / 5], after[effort.bodies - 1]);
    let mut rows = vec![
        Row::ratio(
            &format!("resident after {} bodies of 10,000 events, 1,000 series", effort.bodies),
            format!("{:.1} MiB", late / MIB),
            format!("at the start: {:.1} MiB; after {} bodies: {:.1} MiB", start / MIB, effort.bodies / 5, early / MIB),
            late / early,
            Wanted::AtMost(MAX_RATIO),
        ),
        connections(place, effort),
    ];
    judge(&server, &mut rows);
    rows
}

/// What a connection takes that has asked for something and waits.
fn connections(place: &Place, effort: Effort) -> Row {
    let server = place.serve("");
    let ask = || {
        let mut client = Client::connect(server.address());
        client.ask(&[b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n"]);
        client
    };
    let first = ask();
    let before = resident(server.pid());
    let waiting: Vec<_> = (0..effort.connections).map(|_| ask()).collect();
    let after = resident(server.pid());
    drop((first, waiting));
    let each = (after - before) / effort.connections as f64;
    Row::figure(
        &format!("resident with {} idle connections", effort.connections),
        format!("{:.1} MiB, {:.1} KiB each", after / MIB, each / 1024.0),
        format!("with one: {:.1} MiB", before / MIB),
        each,
        (Wanted::Nothing, " KiB", 1024.0),
    )
    .beside(after / before)
}
