//! Vector's events through the whole pipeline, beside what `serde_json` takes to parse the same body into a tree.
//!
//! `cargo bench -p qualm-pipeline --bench native`

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use qualm_contract::{Batch, BatchScorer, Error, Verdicts, Wanted};
use qualm_pipeline::{Lane, Limits, Pipeline, Selector};
use qualm_vector_codec::VectorEvents;
use qualm_vector_codec::VerdictStyle;

/// A batch as Vector sends it.
const EVENTS: usize = 1000;

struct Zero;

impl BatchScorer for Zero {
    fn score_batch(&mut self, batch: Batch<'_>, _: Wanted, verdicts: &mut Verdicts) -> Result<(), Error> {
        verdicts.scores.resize(batch.len(), 0.0);
        Ok(())
    }

    fn forget_series(&mut self, _: &[u32]) -> Result<(), Error> {
        Ok(())
    }
}

/// Gauges as Vector's `host_metrics` writes them, of a hundred series.
fn json() -> String {
    (0..EVENTS)
        .map(|at| {
            format!(
                "{{\"metric\":{{\"name\":\"filesystem_used_bytes\",\"namespace\":\"host\",\"tags\":{{\"collector\":\"filesystem\",\
                 \"device\":\"/dev/sda{}\",\"filesystem\":\"ext4\",\"host\":\"web-{}\"}},\"timestamp\":\
                 \"2026-08-01T12:00:00.{at:09}Z\",\"kind\":\"absolute\",\"gauge\":{{\"value\":{}.25}}}}}}\n",
                at % 10,
                at / 10 % 10,
                1_000_000 + at
            )
        })
        .collect()
}

/// The same in protocol buffers, tags in both forms.
fn proto() -> Vec<u8> {
    let field = |number: u8, bytes: &[u8]| [&[number << 3 | 2, bytes.len() as u8], bytes].concat();
    let long = |tag: &[u8], bytes: &[u8]| {
        let length = [bytes.len() as u8 & 0x7f | 0x80, (bytes.len() >> 7) as u8];
        [tag, &length, bytes].concat()
    };
    let mut body = Vec::new();
    for at in 0..EVENTS {
        let tags = [
            ("collector", "filesystem".to_owned()),
            ("device", format!("/dev/sda{}", at % 10)),
            ("filesystem", "ext4".to_owned()),
            ("host", format!("web-{}", at / 10 % 10)),
        ];
        let mut metric = field(1, b"filesystem_used_bytes");
        metric.extend(field(2, &[0x08, 0xc0, 0xa4, 0xb5, 0xd3, 0x06, 0x10, at as u8 & 0x7f]));
        for (key, value) in &tags {
            metric.extend(field(3, &[field(1, key.as_bytes()), field(2, value.as_bytes())].concat()));
        }
        metric.extend([0x20, 1]);
        metric.extend(field(6, &[&[0x09][..], &(1e6 + at as f64).to_le_bytes()].concat()));
        metric.extend(field(11, b"host"));
        for (key, value) in &tags {
            let list = field(2, &field(1, &field(1, value.as_bytes())));
            let entry = [field(1, key.as_bytes()), list].concat();
            metric.extend([&[0xa2, 0x01, entry.len() as u8], &entry[..]].concat());
        }
        let array = long(&[0x12], &long(&[0x0a], &metric));
        body.extend((array.len() as u32).to_be_bytes());
        body.extend(array);
    }
    body
}

fn pipeline(style: VerdictStyle) -> Pipeline<VectorEvents> {
    Pipeline::of(VectorEvents::new(style), vec![Lane::new(Selector::default(), Limits::default())], 1)
}

fn through(pipeline: &mut Pipeline<VectorEvents>, body: &[u8]) -> usize {
    pipeline.format_mut().begin_body(body);
    let input = pipeline.input();
    input[..body.len()].copy_from_slice(body);
    let out = pipeline.run(body.len(), 0, &mut [Zero]).len();
    out + pipeline.finish(0, &mut [Zero]).len()
}

fn bench(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("native");
    group.throughput(Throughput::Elements(EVENTS as u64));
    let (json, proto) = (json(), proto());
    group.bench_function("serde_json", |bencher| {
        bencher.iter(|| {
            json.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()).filter(|&ok| ok).count()
        });
    });
    for (name, style) in [("gauges", VerdictStyle::Gauges), ("tags", VerdictStyle::Tags)] {
        for (codec, body) in [("json", json.as_bytes()), ("proto", &proto)] {
            let mut pipeline = pipeline(style);
            assert!(through(&mut pipeline, body) > body.len());
            assert_eq!(pipeline.counts().scored, EVENTS as u64, "every event is scored");
            group.bench_function(format!("{codec}/{name}"), |bencher| {
                bencher.iter(|| through(&mut pipeline, body));
            });
        }
    }
    group.bench_function("repair", |bencher| {
        bencher.iter(|| qualm_vector_codec::repair(json.as_bytes()).repaired);
    });
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
