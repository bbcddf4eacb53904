//! Reads line protocol.

use std::io::BufRead;

use qualm_pipeline::line::{self, Refusal};

use super::super::data::{Data, NO_TIME};
use super::{excerpt, hash};
use crate::history::lp::Events;

pub(super) fn read(input: impl BufRead, data: &mut Data, step: &mut dyn FnMut()) {
    let mut events = Events::new(input);
    let (mut fields, mut cells) = (Vec::new(), Vec::new());
    loop {
        let (at, event) = match events.next() {
            Ok(Some(event)) => event,
            Ok(None) => return,
            Err((line, fault)) => {
                data.faults.broken_off = Some((line, fault.to_string()));
                return;
            }
        };
        step();
        let (head, body) = match line::read_event(event, &mut fields) {
            Ok((head, body)) => (&event[..head], body),
            Err(Refusal::AlreadyScored) => {
                data.faults.scored.add(at, String::new);
                continue;
            }
            Err(Refusal::Malformed) => {
                data.faults.malformed.add(at, || excerpt(event));
                continue;
            }
        };
        fields.retain(|field| !field.boolean);
        if fields.is_empty() {
            continue; // texts and booleans only
        }
        if body.time.is_none() {
            data.faults.untimed.add(at, String::new);
        }
        let series = data.known(head).unwrap_or_else(|| {
            let measurement = line::unescape(line::head_parts(head).next().unwrap_or_default()).into_owned();
            let group = data.group(&measurement);
            data.series(head, group)
        });
        let group = &mut data.groups[data.series[series].group];
        cells.clear();
        cells.extend(fields.iter().map(|field| (group.column(&line::unescape(field.key(event))), field.value)));
        data.row(series, at, body.time.unwrap_or(NO_TIME), hash(event.trim_ascii_end()), &cells);
    }
}
