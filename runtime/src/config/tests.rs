use qualm_core::streaming::{Parameters, Prior};
use qualm_pipeline::Selector;

use super::*;

fn parse(text: &str) -> Result<Config, String> {
    Config::parse(text, "q.toml").map_err(|error| error.to_string())
}

/// Each of these texts is refused in words that begin with the place, and say this.
fn all_are_refused(cases: &[(&str, &str, &str)]) {
    for (text, place, what) in cases {
        let error = parse(text).unwrap_err();
        assert!(error.starts_with(place) && error.contains(what), "{text:?}: {error}");
    }
}

#[test]
fn no_configuration_scores_everything() {
    let config = parse("").unwrap();
    assert_eq!(config.detector, [Detector::default()]);
    assert_eq!(config.detector[0].select.selector(), Selector::default());
}

#[test]
fn the_sample_says_what_the_defaults_are() {
    let plain: String = SAMPLE
        .lines()
        .map(|line| line.strip_prefix("# ").filter(|rest| rest.contains(" = ")).unwrap_or(line).to_owned() + "\n")
        .collect();
    let plain = plain.replace("${QUALM_TOKEN}", "a long token");
    let written = parse(SAMPLE).unwrap();
    assert_eq!(written.detector, parse("").unwrap().detector);
    let mut spelled_out = parse(&plain).expect("every option in the sample can be uncommented");
    spelled_out.state.dir = None;
    for detector in &mut spelled_out.detector {
        detector.select = Select::default();
        detector.kind = Kind::Streaming(Parameters::default());
        detector.expected_range = None;
        detector.sustained = None;
        detector.cooldown = None;
        detector.anomaly_rate = None;
    }
    spelled_out.bundles.trusted_keys.clear();
    spelled_out.drift.emit = None;
    let Retrain { enabled, rows, after, on_drift, on_alarms, pause, .. } = spelled_out.retrain;
    spelled_out.retrain = Retrain { enabled, rows, after, on_drift, on_alarms, pause, ..Retrain::default() };
    assert_eq!(spelled_out.http.listen, Some(LISTEN));
    let Http { max_body, memory, .. } = spelled_out.http;
    spelled_out.http = Http { max_body, memory, ..Http::default() };
    spelled_out.vector.forward = None;
    spelled_out.influxdb.forward = None;
    spelled_out.control.socket = None;
    assert_eq!(spelled_out, parse("").unwrap(), "what stands in comments is the default");
}

#[test]
fn the_sample_has_every_key() {
    for table in [
        "[[detector]]",
        "[bundles]",
        "[drift]",
        "[retrain]",
        "[state]",
        "[limits]",
        "[http]",
        "[vector]",
        "[influxdb]",
        "[control]",
    ] {
        let error = parse(&format!("{table}\nno_such_key = 1\n")).unwrap_err();
        let known: Vec<&str> = error.split_once("Known here: ").unwrap().1.split(", ").collect();
        let (_, of_table) = SAMPLE.split_once(table).unwrap();
        let of_table = of_table.split("\n[").next().unwrap();
        for key in &known {
            assert!(of_table.contains(&format!("# {key} = ")), "sample.toml lacks `{key}` under {table}");
        }
        assert!(!known.is_empty());
    }
}

#[test]
fn the_samples_for_telegraf_are_right() {
    let config = parse(include_str!("../../../telegraf/host.toml")).unwrap();
    assert_eq!(config.detector.len(), 2);
    assert!(config.detector[0].select.selector().wants_event(b"cpu,cpu=cpu-total,host=a"));
    assert!(config.detector[1].select.selector().wants_field(b"used_percent"));
}

#[test]
fn what_is_in_force_can_be_read_again() {
    let text = r#"
        [[detector]]
        name = "a \"quoted\" name"
        select = { measurement = ["cpu", "mem*"], tags = { cpu = "cpu-total" }, include_fields = "usage_*" }
        false_alarm_rate = 1e-6
        half_life = "1h30m"
        timezone = "Europe/Berlin"
        prior = "siblings"
        direction = "below"
        min_deviation = 2.5
        expected_range = [-inf, 80]
        sustained = "3 of 5"
        cooldown = "10m"
        anomaly_rate = { by = "host" }
        band = true
        [[detector]]
        name = "vitals"
        model = "https://models/vitals.qualm"
        prior = "siblings"
        rollout = "shadow"
        promote_after = "1d"
        watch_for = "90m"
        bounds = { alarms = 2, correlation = 0.25 }
        explain = false
        expected_range = [0, 1]
        [[detector]]
        name = "both"
        kind = "ensemble"
        expected_range = [0, 1]
        anomaly_rate = { by = ["host", "rack"], interval = "30s" }
        combine = "vote"
        members = [{ min_samples = 10, timezone = "asia/kolkata", prior = "siblings" }, { model = "/models/leak/", prior = "siblings", weight = 0.5 }, { name = "b", model = "/b/leak", rollout = "shadow", bounds = { rows = 7 } }]
        [bundles]
        trusted_keys = ["RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3"]
        poll = "5s"
        [state]
        dir = "/var/lib/qualm"
        interval = "5m"
        [limits]
        memory = "768MiB"
        series_ttl = "7d"
        [http]
        listen = "[::1]:8080"
        tls_cert = "/c.pem"
        tls_key = "/k.pem"
        models = "/models"
        max_body = "1MiB"
        [vector]
        forward = "http://127.0.0.1:18002"
        verdicts = "tags"
        timeout = "3s"
        [influxdb]
        forward = "https://influx:8086"
        [control]
        socket = "/run/qualm.sock"
    "#;
    let config = parse(text).unwrap();
    assert_eq!(config.limits.memory, 768 << 20);
    assert_eq!(config.control_socket().unwrap(), Path::new("/run/qualm.sock"));
    let rollout = config.detector[1].rollout().unwrap();
    assert_eq!((rollout.promote_after, rollout.watch_for), (Some(Duration::from_hours(24)), Duration::from_mins(90)));
    assert_eq!(rollout.bounds, Bounds { alarms: 2.0, correlation: Some(0.25), ..Bounds::default() });
    let rows = config.detector[2].members().map(|(member, _)| member.rollout().map(|rollout| rollout.bounds.rows));
    assert!(rows.eq([None, None, Some(7)]));
    let members: Vec<_> = config.detector[2].members().map(|(one, weight)| (one.name.clone(), weight)).collect();
    assert_eq!(members, [("both/streaming".into(), 1.0), ("both/leak".into(), 0.5), ("both/b".into(), 1.0)]);
    assert_eq!(config.limits.series_ttl, Duration::from_hours(168));
    assert_eq!(config.detector[0].parameters().unwrap().zone.name(), "Europe/Berlin");
    assert_eq!(config.detector[2].members().next().unwrap().0.parameters().unwrap().zone.name(), "Asia/Kolkata");
    assert_eq!(config.detector[0].prior(), Prior::Siblings);
    let priors = config.detector[2].members().map(|(member, _)| member.prior());
    assert!(priors.eq([Prior::Siblings, Prior::Siblings, Prior::None]));
    let odd = parse("[[detector]]\nname = 'a$$b$${HOME}'\n[state]\ndir = '/s$${NO}'").unwrap();
    assert_eq!(parse(&odd.effective()).unwrap(), odd, "a dollar is no variable");
    let again = parse(&config.effective()).unwrap();
    assert_eq!(again.effective(), config.effective());
    assert_eq!(again, config);
    let secret = parse("[http]\ntokens = [\"correct horse\"]").unwrap().effective();
    assert!(secret.contains("# tokens: 1, not shown") && !secret.contains("horse"));
    assert_eq!(parse(&parse("").unwrap().effective()).unwrap(), parse("").unwrap());
}

#[test]
fn errors_name_the_place_and_what_would_be_right() {
    all_are_refused(&[
        ("[[detector]]\nfalse_alarm_rat = 1", "q.toml:2", "did you mean `false_alarm_rate`?"),
        ("[detektor]\n", "q.toml:1", "did you mean `detector`?"),
        ("[limits]\n\nmemroy = \"1MiB\"", "q.toml:3", "did you mean `memory`?"),
        ("[[detector]]\nselect = { mesurement = \"cpu\" }", "q.toml:2", "did you mean `measurement`?"),
        ("[[detector]]\nkind = \"ensemble\"", "q.toml", "has two or more `members`"),
        ("[[detector]]\nmembers = [{}, {}]", "q.toml", "write `kind = \"ensemble\"` too"),
        ("[[detector]]\ncombine = \"vote\"", "q.toml", "write `kind = \"ensemble\"` too"),
        ("[[detector]]\nkind = \"ensemble\"\nmembers = [{}, {}]", "q.toml", "two members are called `streaming`"),
        ("[[detector]]\nkind = \"ensemble\"\nmembers = [{}, { name = \"a/b\" }]", "q.toml", "no name of a member"),
        (
            "[[detector]]\nkind = \"ensemble\"\nmembers = [{}, { name = \"b\", weight = 0 }]",
            "q.toml",
            "member `b`: `weight` is 0",
        ),
        (
            "[[detector]]\nkind = \"ensemble\"\nmembers = [{}, { kind = \"ensemble\" }]",
            "q.toml",
            "member `ensemble` is an ensemble itself",
        ),
        (
            "[[detector]]\nkind = \"ensemble\"\nhalf_life = \"1h\"\nmembers = [{}, { name = \"b\" }]",
            "q.toml",
            "leave it out",
        ),
        (
            "[[detector]]\nname = \"a/streaming\"\n[[detector]]\nname = \"a\"\nkind = \"ensemble\"\nmembers = [{}, { name = \"b\" }]",
            "q.toml",
            "two detectors are called `a/streaming`",
        ),
        (
            "[limits]\ndeadline = \"9ms\"\n[[detector]]\nkind = \"ensemble\"\nmembers = [{}, { name = \"b\" }]",
            "q.toml",
            "its 2 members share [limits] `deadline`, which must be 10ms",
        ),
        ("[[detector]]\nkind = \"steaming\"", "q.toml:2", "`streaming`"),
        ("[[detector]]\nhalf_life = \"soon\"", "q.toml:2", "`soon` is no duration"),
        ("[[detector]]\nhalf_life = \"-1s\"", "q.toml:2", "`-1s` is no duration"),
        ("[[detector]]\nhalf_life = \"0s\"", "q.toml", "`half_life` must be"),
        ("[[detector]]\nfalse_alarm_rate = 2.0", "q.toml", "detector `all`: `false_alarm_rate` must lie"),
        ("[[detector]]\nfalse_alarm_rate = nan", "q.toml", "detector `all`: `false_alarm_rate` must lie"),
        ("[[detector]]\nmin_samples = -1", "q.toml:2", "-1"),
        ("[[detector]]\nmin_samples = \"10\"", "q.toml:2", "`\"10\"` must be a number, without quotes"),
        ("[[detector]]\nhalf_life = 72", "q.toml:2", "`72` must be in quotes, with its unit"),
        ("[[detector]]\nmodel = \"m\"\nmin_samples = 7", "q.toml", "`min_samples` is of no use beside `model`"),
        ("[[detector]]\nmodel = \"ftp://m\"", "q.toml", "`ftp` is not known"),
        ("[[detector]]\nsustained = \"5\"", "q.toml", "like \"3 of 5\""),
        ("[[detector]]\ndirection = \"up\"", "q.toml:2", "unknown value `up`. Known here: both, above, below"),
        ("[[detector]]\nmin_deviation = -1", "q.toml", "`min_deviation` is -1; it must be 0 or more"),
        ("[[detector]]\nexpected_range = [80, 0]", "q.toml", "the lower value first"),
        ("[[detector]]\nexpected_range = [nan, 0]", "q.toml", "must be like [0.0, 80.0]"),
        ("[[detector]]\nexpected_range = [80]", "q.toml:2", "two numbers, from which to which"),
        ("[[detector]]\nmodel = \"m\"\ndirection = \"above\"", "q.toml", "set it in the model's own [suppression]"),
        ("[[detector]]\nmodel = \"m\"\nmin_deviation = 1", "q.toml", "`min_deviation` is of no use beside `model`"),
        (
            "[[detector]]\nkind = \"ensemble\"\ndirection = \"above\"\nmembers = [{}, { name = \"b\" }]",
            "q.toml",
            "`direction` is of no use beside an ensemble",
        ),
        ("[[detector]]\nanomaly_rate = true", "q.toml:2", "a table like { by = [\"host\"], interval = \"1m\" }"),
        ("[[detector]]\nanomaly_rate = { by = 3 }", "q.toml:2", "`by` must be a tag or a list of tags"),
        ("[[detector]]\nanomaly_rate = { every = \"1m\" }", "q.toml:2", "Known here: by, interval"),
        ("[[detector]]\nanomaly_rate = { interval = \"0s\" }", "q.toml", "its `interval` must be a second at least"),
        ("[[detector]]\nanomaly_rate = { by = [\"a\", \"a\"] }", "q.toml", "it must name tags, each once"),
        ("[[detector]]\ncooldown = \"long\"", "q.toml:2", "`long` is no duration"),
        ("[bundles]\npoll = \"0s\"", "q.toml", "`poll` must be a second at least"),
        ("[bundles]\ntrusted_keys = [\"x\"]", "q.toml", "[bundles] `trusted_keys`: "),
        ("[detector]\nname = \"a\"", "q.toml:1", "two brackets"),
        ("[processors]", "q.toml:1", "belongs into Telegraf's configuration"),
        (
            "zzzzz = 1",
            "q.toml:1",
            "unknown key `zzzzz`. Known here: detector, state, bundles, drift, retrain, limits, http, vector, influxdb, control",
        ),
        ("[limits]\nmemory = \"256MB\"", "q.toml:2", "`256MB` is no size"),
        ("[[detector]]\n[[detector]]", "q.toml", "two detectors are called `all`"),
        ("[[detector]]\nselect = { measurement = \"[a\" }", "q.toml:2", "`[a`"),
        ("[[detector]]\nselect = { measurement = 3 }", "q.toml:2", "a glob or a list of globs"),
        ("[limits]\nmemory = \"64\"", "q.toml:2", "`64` is no size"),
        ("[limits]\nmemory = \"99999999999999GiB\"", "q.toml:2", "is no size"),
        ("[limits]\nmemory = \"8MiB\"", "q.toml", "lower that, or raise `memory` to 315MiB"),
        ("[limits]\ndeadline = \"1ms\"", "q.toml", "`deadline` must be 5ms at least"),
        ("[http]\nlisten = \"localhost\"", "q.toml:2", "invalid socket address"),
        ("[http]\ntls_cert = \"c\"", "q.toml", "go together"),
        ("[http]\ntokens = [\"short\"]", "q.toml", "8 characters"),
        ("[http]\nmemory = \"1MiB\"", "q.toml", "one `max_body`"),
        ("[vector]\nforward = \"127.0.0.1:1\"", "q.toml", "is no http(s) URL"),
        ("[vector]\nforward = \"http://a:99999\"", "q.toml", "is no http(s) URL"),
        ("[vector]\nforward = \"http://:80\"", "q.toml", "is no http(s) URL"),
        ("[vector]\nforward = \"http://a/#b\"", "q.toml", "`forward`: \"http://a/#***\" has a query or a fragment"),
        ("[vector]\nforward = \"http://a/b?c=d&e\"", "q.toml", "`forward`: \"http://a/b?c=***&***\" has a query"),
        ("[influxdb]\nforward = \"http://a:8086?\"", "q.toml", "has a query"),
        ("[vector]\nverdicts = \"gauge\"", "q.toml:2", "did you mean `gauges`?"),
        ("[influxdb]\ntimeout = \"1ms\"", "q.toml", "`timeout` must be between"),
        ("a = \"${QUALM_NO_SUCH_VARIABLE}\"", "q.toml:1", "no variable `QUALM_NO_SUCH_VARIABLE`"),
        ("[[detector]\n", "q.toml:1", ""),
    ]);
    let error = Config::read(Path::new("/no/such/file.toml")).unwrap_err().to_string();
    assert!(error.starts_with("/no/such/file.toml: ") && error.contains("--sample-config"), "{error}");
}

#[test]
fn a_time_zone_that_cannot_be_is_an_error_that_says_what_would_be_right() {
    all_are_refused(&[
        ("[[detector]]\ntimezone = \"Europe/Belin\"", "q.toml:2", "no time zone; did you mean `Europe/Berlin`"),
        (
            "[[detector]]\ntimezone = \"nowhere at all\"",
            "q.toml:2",
            "wikipedia.org/wiki/List_of_tz_database_time_zones",
        ),
        ("[http]\ntokens = \"x\"", "q.toml:2", "must be a list of texts in quotes, such as"),
        ("[[detector]]\nexpected_range = [80.0]", "q.toml:2", "two numbers, from which to which: [0.0, 80.0]"),
        ("[[detector]]\nsustained = 3", "q.toml:2", "`sustained` is like \"3 of 5\""),
        ("[[detector]]\nkind = \"mine\"", "q.toml:2", "`model = \"BUNDLE\"`"),
        ("[[detector]]\ntimezone = 2", "q.toml:2", "`2` must be in quotes"),
        ("[[detector]]\ntime_zone = \"UTC\"", "q.toml:2", "did you mean `timezone`?"),
        ("[[detector]]\nmodel = \"m\"\ntimezone = \"Asia/Tokyo\"", "q.toml", "`timezone` is of no use beside `model`"),
        (
            "[[detector]]\nkind = \"ensemble\"\ntimezone = \"Asia/Tokyo\"\nmembers = [{}, { name = \"b\" }]",
            "q.toml",
            "`timezone` is of no use beside an ensemble",
        ),
    ]);
}

#[test]
fn a_prior_that_cannot_be_is_an_error_that_says_what_can() {
    all_are_refused(&[
        ("[[detector]]\nprior = \"cousins\"", "q.toml:2", "`prior` is `cousins`; it can be `none` or `siblings`"),
        ("[[detector]]\npriors = \"none\"", "q.toml:2", "did you mean `prior`?"),
        (
            "[[detector]]\nkind = \"ensemble\"\nprior = \"siblings\"\nmembers = [{}, { name = \"b\" }]",
            "q.toml",
            "`prior` is of no use beside an ensemble",
        ),
    ]);
}

#[test]
fn a_rollout_that_cannot_be_is_an_error_that_says_what_can() {
    all_are_refused(&[
        ("[[detector]]\nmodel = \"m\"\nrollout = \"slow\"", "q.toml:3", "Known here: immediate, shadow"),
        ("[[detector]]\nrollout = \"shadow\"", "q.toml", "`rollout` is of no use beside `streaming`"),
        (
            "[[detector]]\nmodel = \"m\"\nwatch_for = \"1h\"",
            "q.toml",
            "`watch_for` is of no use beside `rollout = \"immediate",
        ),
        (
            "[[detector]]\nkind = \"ensemble\"\nrollout = \"shadow\"\nmembers = [{}, { name = \"b\" }]",
            "q.toml",
            "`rollout` is of no use beside an ensemble",
        ),
        (
            "[[detector]]\nkind = \"ensemble\"\nmembers = [{}, { name = \"b\", promote_after = \"1d\" }]",
            "q.toml",
            "member `b`: `promote_after` is of no use",
        ),
    ]);
    for (wrong, what) in [
        ("promote_after = \"0s\"", "`promote_after` must be a second at least"),
        ("promote_after = 1", "must be in quotes, with its unit"),
        ("watch_for = \"1ms\"", "`watch_for` must be a second at least"),
        ("bounds = { rows = 0 }", "its `rows` must be 1 at least"),
        ("bounds = { alarms = 0.5 }", "its `alarms` must be 1.0 at least"),
        ("bounds = { alarms = nan }", "its `alarms` must be 1.0 at least"),
        ("bounds = { correlation = 2 }", "must lie between -1 and 1"),
        ("bounds = { alarm = 2 }", "did you mean `alarms`?"),
        ("bounds = 3", "expected a table like"),
    ] {
        let error = parse(&format!("[[detector]]\nmodel = \"m\"\nrollout = \"shadow\"\n{wrong}")).unwrap_err();
        assert!(error.contains(what), "{wrong}: {error}");
    }
}

#[test]
fn there_is_a_socket_where_there_is_something_to_command() {
    let socket = |text: &str| parse(text).unwrap().control_socket();
    assert_eq!(socket("[state]\ndir = \"/s\""), None);
    assert_eq!(socket("[[detector]]\nmodel = \"m\""), None);
    let expected = Some(PathBuf::from("/s/control.sock"));
    assert_eq!(socket("[[detector]]\nmodel = \"m\"\n[state]\ndir = \"/s\""), expected);
    let member = "[[detector]]\nkind = \"ensemble\"\nmembers = [{}, { model = \"m\" }]\n[state]\ndir = \"/s\"";
    assert_eq!(socket(member), expected);
    assert_eq!(socket("[control]\nsocket = \"/c\""), Some(PathBuf::from("/c")));
}

#[test]
fn what_needs_single_values_is_refused_of_vectors_once_a_model_is_there() {
    use qualm_pipeline::vector::{Feature, Shape, Transform};
    let feature = |name: &str| Feature {
        name: name.to_owned(),
        measurement: "m".to_owned(),
        field: name.to_owned(),
        tags: Vec::new(),
        transform: Transform::None,
    };
    let shape = |names: &[&str]| Shape {
        features: names.iter().map(|name| feature(name)).collect(),
        entity: Vec::new(),
        interval: 0,
    };
    for (key, what) in [("expected_range = [0, 1]", "scores 2 at once"), ("anomaly_rate = {}", "leave it out")] {
        let config = parse(&format!("[[detector]]\nmodel = \"m\"\n{key}")).unwrap();
        let check = |shape: Option<&Shape>| config.detector[0].check_shape(shape);
        assert!(check(Some(&shape(&["a", "b"]))).unwrap_err().to_string().contains(what), "{key}");
        assert!(check(None).is_ok() && check(Some(&shape(&[]))).is_ok(), "{key}");
    }
}

#[test]
fn drift_and_retraining_are_checked() {
    for (wrong, what) in [
        ("[drift]\nconsensus = 6", "between 1 and 5"),
        ("[drift]\nemit = \"5ms\"", "a second at least"),
        ("[drift]\nsustained = 0", "between 1 and 1000"),
        ("[drift]\nsignificance = 0.9", "between 1e-12 and 0.5"),
        ("[retrain]\nenabled = true", "[retrain] needs `dir` in [state]"),
        ("[retrain]\nrows = \"1KiB\"", "1MiB at least"),
        ("[retrain]\npause = \"0s\"", "a second at least"),
        ("[retrain]\ncommand = [\"train.sh\"]", "the whole path of a program"),
        (
            "[[detector]]\nmodel = \"m\"\nrollout = \"shadow\"\n[state]\ndir = \"s\"\n[bundles]\ntrusted_keys = [\"RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3\"]\n\
             [retrain]\nenabled = true",
            "[retrain] needs `key`",
        ),
    ] {
        let error = parse(wrong).unwrap_err();
        assert!(error.contains(what), "{wrong}: {error}");
    }
    let error = parse("[state]\ndir = \"/s\"\n[retrain]\nenabled = true\n").unwrap_err();
    assert!(error.contains("needs a detector with `rollout = \"shadow\"`"), "{error}");
    let config = parse("[[detector]]\nmodel = \"m\"\nrollout = \"shadow\"\n[state]\ndir = \"/s\"\n[retrain]\nenabled = true\nrows = \"1GiB\"\n").unwrap();
    assert!(config.effective().contains("[retrain]\nenabled = true\nrows = \"1024MiB\""), "{}", config.effective());
}
