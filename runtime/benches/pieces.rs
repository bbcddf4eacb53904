//! The pieces, each alone: how many lines or rows a second.

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use qualm::{Backoff, Supervisor};
use qualm_contract::{Band, Batch, BatchScorer, Error, Verdicts, Wanted};
use qualm_pipeline::format::EventVerdict;
use qualm_pipeline::glob::Globs;
use qualm_pipeline::series::SeriesTable;
use qualm_pipeline::{Lane, Limits, Pipeline, Rows, Selector, splice};
use qualm_sandbox::Running;

use support::batches::Batches;
use support::detectors;

// The whole-process table measures with the same lines.
#[path = "../../tests/bench/cpus.rs"]
mod cpus;

mod support;

/// Heads of ten fields each.
const HEADS: usize = 100;

/// One read's worth.
const READ: usize = 1 << 20;

/// Reads before the first comes again: its times then jump back, which must stay the exception.
const READS: usize = 16;

/// A detector that costs nothing.
struct Nothing;

impl BatchScorer for Nothing {
    fn score_batch(&mut self, batch: Batch<'_>, _: Wanted, verdicts: &mut Verdicts) -> Result<(), Error> {
        verdicts.scores.resize(batch.len(), 0.25);
        Ok(())
    }

    fn forget_series(&mut self, _: &[u32]) -> Result<(), Error> {
        Ok(())
    }
}

/// Mebibytes of whole lines, and the number of lines in each.
fn reads() -> Vec<(Vec<u8>, u64)> {
    let mut cpus = cpus::Cpus::new(HEADS);
    let mut lines = Vec::new();
    while lines.len() < READ * READS {
        cpus.round(&mut lines);
    }
    let mut rest = lines.as_slice();
    let mut reads = Vec::new();
    while rest.len() > READ {
        let end = memchr_last(&rest[..READ]) + 1;
        reads.push((rest[..end].to_vec(), qualm_pipeline::line::count_newlines(&rest[..end]) as u64));
        rest = &rest[end..];
    }
    reads
}

fn memchr_last(bytes: &[u8]) -> usize {
    bytes.iter().rposition(|&byte| byte == b'\n').expect("a line is shorter than a mebibyte")
}

/// Runs a pipeline over mebibytes of lines; what is timed is the run alone, without the copy that stands for the read.
fn pipeline<S: BatchScorer>(group: &mut BenchmarkGroup<'_, WallTime>, name: &str, selector: Selector, mut scorer: S) {
    let reads = reads();
    let lines = reads.iter().map(|(_, lines)| lines).sum::<u64>() / reads.len() as u64;
    let mut pipeline = Pipeline::new(vec![Lane::new(selector, Limits::default())], 1);
    let mut next = reads.iter().cycle();
    group.throughput(Throughput::Elements(lines));
    group.bench_function(name, |bencher| {
        bencher.iter_custom(|times| {
            let mut total = Duration::ZERO;
            for (bytes, _) in next.by_ref().take(times as usize) {
                pipeline.input()[..bytes.len()].copy_from_slice(bytes);
                let start = Instant::now();
                black_box(pipeline.run(bytes.len(), 1, std::slice::from_mut(&mut scorer)));
                total += start.elapsed();
            }
            total
        });
    });
}

fn pipelines(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("lines of cpu with 10 fields, 1 MiB a read");
    let absent = Selector { measurement: Globs::new(&["absent"]).expect("a glob"), ..Selector::default() };
    pipeline(&mut group, "not selected", absent, Nothing);
    pipeline(&mut group, "selected, nothing to score with", Selector::default(), Nothing);
    let running = Running::start(detectors::spec(), 1).expect("the detector starts");
    let supervisor = Supervisor::new("all", Some(running), false, Backoff::default());
    pipeline(&mut group, "scored by the component", Selector::default(), supervisor);
    group.finish();
}

fn streaming(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("rows of streaming");
    // Few series stay in the caches, many do not.
    for (series, rows) in [(1000, 1), (1000, 64), (10, 1000), (1000, 1000), (10_000, 1000)] {
        group.throughput(Throughput::Elements(rows as u64));
        let (mut native, mut batches) = (detectors::native(), Batches::new(series, rows));
        group.bench_function(format!("native, {series} series, {rows} a batch"), |bencher| {
            bencher.iter(|| detectors::observe_native(&mut *native, batches.batch()));
        });
        let (mut guest, mut batches) = (detectors::component(), Batches::new(series, rows));
        let mut verdicts = Verdicts::default();
        group.bench_function(format!("component, {series} series, {rows} a batch"), |bencher| {
            bencher.iter(|| detectors::observe_component(&mut guest, batches.batch(), &mut verdicts));
        });
    }
    // Ever farther out, and then from the beginning again.
    group.throughput(Throughput::Elements(1000));
    let (mut guest, mut verdicts) = (detectors::component(), Verdicts::default());
    let (mut time, mut farther) = (0, 1.0_f64);
    group.bench_function("component, 1000 a batch, all anomalous", |bencher| {
        bencher.iter(|| {
            time += 10_000_000_000;
            farther = if farther.abs() > 1e4 { 1.0 } else { farther * -1.3 };
            let mut rows = Rows::default();
            (0..1000).for_each(|series| rows.add(series, time, farther * (1.0 + 1e-3 * f64::from(series))));
            detectors::observe_component(&mut guest, &rows, &mut verdicts);
        });
    });
    group.finish();
}

fn splices(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("splice");
    group.throughput(Throughput::Elements(1000));
    let mut out = Vec::new();
    for (name, least) in [("ordinary scores", 0.0), ("anomalies, with their cause", 1.5)] {
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                out.clear();
                for number in 0..1000 {
                    let score = least + f64::from(number) / 1000.0;
                    let cause = (score > 1.0).then_some(&b"usage_idle"[..]);
                    let reason = cause.map(|_| "outside_band");
                    splice::write_verdict(
                        &mut out,
                        &EventVerdict { score, cause, reason, band: Band::UNKNOWN, head: b"cpu" },
                    );
                }
                black_box(out.len())
            });
        });
    }
    group.finish();
}

fn lookups(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("series look-up");
    group.throughput(Throughput::Elements(1));
    for count in [1_000_u64, 1_000_000] {
        // Multiplication by an odd number permutes: as good as a hash, and the order of look-ups another than of entry.
        let identity = |number: u64| number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut table = SeriesTable::new(Limits::default());
        for number in 0..count {
            table.number(identity(number));
        }
        let mut at = 0;
        group.bench_function(format!("{count} series"), |bencher| {
            bencher.iter(|| {
                at = (at + 611_953) % count;
                black_box(table.number(identity(at)))
            });
        });
    }
    group.finish();
}

criterion_group! {
    name = pieces;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(3))
        .sample_size(30)
        .without_plots();
    targets = pipelines, streaming, splices, lookups
}
criterion_main!(pieces);
