use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use qualm_bundle::bundle::Draft;
use qualm_bundle::rows::{Ring, Rows};
use qualm_core::BuiltIn;
use tempfile::TempDir;

use super::*;
use crate::evaluate::testing::servers;

/// A directory with a bundle that was trained on some rows, and a ring with later ones, whose values are `by` larger.
fn prepared(kind: &str, by: f64) -> (TempDir, Options) {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let csv = |table: &Table| {
        let row = |row: usize| {
            let cells = table.values[row * 3..][..3].iter().map(f64::to_string).collect::<Vec<_>>();
            format!("{},{}\n", 1_700_000_000 + row * 60, cells.join(","))
        };
        format!("time,a,b,c\n{}", (0..table.len()).map(row).collect::<String>())
    };
    fs::write(path("history.csv"), csv(&servers(1, 4000, 3, 1))).unwrap();
    let train = train::Options {
        input: path("history.csv"),
        out: path("model"),
        detector: Some(kind.to_owned()),
        ..train::Options::default()
    };
    train::from_file(&train, &BuiltIn, &|_| {}).unwrap();
    let live = servers(1, 4000, 3, 2);
    let mut ring = Ring::open(&path("rows"), ["a", "b", "c"].map(str::to_owned).to_vec(), 1 << 20).unwrap();
    let rows = Rows {
        times: (0..4000).map(|row| (1_800_000_000 + row * 60) * 1_000_000_000).collect(),
        series: vec![0; 4000],
        entities: vec![String::new()],
        values: live.values.iter().map(|value| value + by).collect(),
        scores: (0..4000)
            .map(|row| {
                if row == 1000 {
                    2.0
                } else if (1000..1100).contains(&row) {
                    0.9
                } else {
                    0.1
                }
            })
            .collect(),
    };
    ring.write(&rows).unwrap();
    let options = Options {
        bundle: path("model"),
        rows: path("rows"),
        out: path("next.qualm"),
        version: None,
        maintenance: vec!["2027-01-15T08:00:00Z/2027-01-15T08:10:00Z".parse().unwrap()],
        command: Vec::new(),
        limits: Limits::default(),
        key: None,
    };
    (dir, options)
}

fn run(options: &Options) -> Result<Retrained, Error> {
    retrain(options, &BuiltIn, &|_| {})
}

#[test]
fn a_successor_learns_what_has_become_ordinary() {
    for kind in ["zscore", "pca-mahalanobis"] {
        let (_dir, options) = prepared(kind, 30.0);
        let retrained = run(&options).unwrap();
        assert_eq!((retrained.version, retrained.rows), (2, 4000 - 110), "{kind}");
        assert_eq!(retrained.excluded, Excluded { earlier: 0, anomalous: 100, maintenance: 10 });
        let Comparison { incumbent, successor, .. } = retrained.comparison;
        assert!(successor.alarms <= incumbent.alarms && successor.alarms < 5, "{kind}: {incumbent:?} {successor:?}");
        let (old, new) = (Bundle::read(&options.bundle).unwrap(), Bundle::read(&options.out).unwrap());
        assert_eq!((&new.manifest.name, new.manifest.version), (&old.manifest.name, 2));
        assert_eq!(new.manifest.provenance.parameters, old.manifest.provenance.parameters);
        assert_eq!(new.manifest.threshold.rule, old.manifest.threshold.rule);
        let means = [&old, &new].map(|bundle| bundle.reference.as_ref().unwrap().reference.features[0].mean);
        assert!((means[1] - means[0] - 30.0).abs() < 2.0, "{means:?}");
    }
}

#[test]
fn a_successor_that_does_worse_is_not_written() {
    let (dir, mut options) = prepared("zscore", 0.0);
    // A program that passes on a model of other metrics.
    let worse = dir.path().join("worse.qualm");
    let mut draft_of = Bundle::read(&options.bundle).unwrap();
    let mut table = servers(1, 4000, 3, 1);
    for row in 0..table.len() {
        table.values[row * 3 + 1] *= 1000.0;
        table.values[row * 3 + 2] *= 1000.0;
    }
    draft_of.model = crate::evaluate::testing::zscore(&table);
    draft_of.manifest.version = 7;
    let mut detector = qualm_core::open(&draft_of.model).unwrap();
    let golden = qualm_bundle::golden::Golden::of(&mut *detector, table.batch(0..20)).unwrap();
    let Bundle { manifest, model, reference, component, .. } = draft_of;
    Draft { manifest, model, golden, reference, component }.finish(&BuiltIn).unwrap().write_packed(&worse).unwrap();
    options.command = ["/bin/cp", &worse.to_string_lossy(), "{out}"].map(str::to_owned).to_vec();
    let error = run(&options).unwrap_err();
    assert!(matches!(error, Error::Unfit(Unfit::Alarms { .. })), "{error}");
    assert!(!options.out.exists());
}

#[test]
fn a_command_gets_the_rows_and_the_incumbent() {
    let (dir, mut options) = prepared("zscore", 1.0);
    let script = dir.path().join("train.sh");
    let seen = dir.path().join("seen");
    fs::write(&script, format!("#!/bin/sh\nset -e\ncp \"$1\" {seen:?}\ntest -d \"$2\"\ncp -r \"$2\" \"$3\"\n"))
        .unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    let program = script.to_string_lossy().into_owned();
    options.command = [&*program, "{rows}", "{bundle}", "{out}"].map(str::to_owned).to_vec();
    // It copies the incumbent, whose version is no higher.
    let error = run(&options).unwrap_err().to_string();
    assert!(error.contains("made no bundle") || error.contains("no higher version"), "{error}");
    let csv = fs::read_to_string(&seen).unwrap();
    assert!(csv.starts_with("time,entity,a,b,c\n2027-01-15T08:10:00Z,,"), "{}", &csv[..80]);
    assert_eq!(csv.lines().count(), 1 + (3890_f64 * 0.85).round() as usize, "the test part is kept back");
    options.command = vec!["/bin/false".to_owned()];
    assert!(run(&options).unwrap_err().to_string().contains("/bin/false ended with 1"));
    options.command = vec!["/no/such/program".to_owned()];
    assert!(run(&options).unwrap_err().to_string().contains("/no/such/program failed"));
}

#[test]
fn unusable_input_is_explained() {
    let (dir, options) = prepared("zscore", 0.0);
    let refused = |change: &dyn Fn(&mut Options)| {
        let mut changed = Options {
            bundle: options.bundle.clone(),
            rows: options.rows.clone(),
            out: options.out.clone(),
            version: None,
            maintenance: Vec::new(),
            command: Vec::new(),
            limits: options.limits,
            key: None,
        };
        change(&mut changed);
        run(&changed).unwrap_err().to_string()
    };
    let nowhere = dir.path().join("nowhere");
    assert!(refused(&|options| options.rows = nowhere.clone()).contains("nowhere"));
    assert!(refused(&|options| options.bundle = nowhere.clone()).contains("nowhere"));
    let all = Window { from: i64::MIN, until: i64::MAX };
    assert!(refused(&|options| options.maintenance = vec![all]).contains("there are 0 rows"));
    assert!(!Path::exists(&options.out));
}
