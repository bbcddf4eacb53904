//! Collecting from `InfluxDB` 2.x and 3.x, whose answers are in `fixtures/collect`. (1.x is in the end-to-end tests,
//! with the real one.)

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;

use qualm_bundle::secret::Secret;
use qualm_offline::collect::{self, Error, Options, Query, Remote, prometheus};
use qualm_offline::history::feed::Source as _;
use serde_json::Value;

/// A request: the method and path, the header `Authorization`, and the body.
#[derive(Debug, Clone)]
struct Request {
    what: String,
    authorization: Option<String>,
    body: String,
}

/// A response: status, headers, body.
type Answer = (u16, &'static str, String);

/// A server whose responses a test defines, for as long as the test.
struct Server {
    url: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    fn start(answer: impl Fn(&Request) -> Answer + Send + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let request = read(&stream);
                let (status, headers, body) = answer(&request);
                seen.lock().unwrap().push(request);
                let length = body.len();
                let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {length}\r\nConnection: close\r\n");
                stream.write_all(format!("{head}{headers}\r\n{body}").as_bytes()).unwrap();
            }
        });
        Self { url, requests }
    }

    /// The queries that it received, in the field `name` of their JSON.
    fn queries(&self, name: &str) -> Vec<String> {
        let requests = self.requests.lock().unwrap();
        let bodies = requests.iter().filter_map(|request| serde_json::from_str::<Value>(&request.body).ok());
        bodies.filter_map(|body| Some(body[name].as_str()?.to_owned())).collect()
    }
}

fn read(stream: &TcpStream) -> Request {
    let mut reader = BufReader::new(stream);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        if line.trim().is_empty() {
            break;
        }
        lines.push(line.trim().to_owned());
    }
    let header = |name: &str| {
        lines.iter().find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then(|| value.to_owned())
        })
    };
    let length = header("Content-Length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    Request {
        what: lines[0].rsplit_once(' ').unwrap().0.to_owned(),
        authorization: header("Authorization"),
        body: String::from_utf8(body).unwrap(),
    }
}

fn fixture(name: &str) -> String {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/collect");
    fs::read_to_string(dir.join(name)).unwrap()
}

fn options(server: &Server, out: PathBuf) -> Options {
    Options {
        url: Secret::address(format!("{}/", server.url)),
        since: "2023-11-14T22:13:20Z".to_owned(),
        until: Some("2023-11-14T22:14:20Z".to_owned()),
        query: Query {
            database: "telegraf".to_owned(),
            org: Some("my org".to_owned()),
            token: Some(Secret::token("secret")),
            ..Query::default()
        },
        out,
    }
}

/// The same, with another query.
fn with(options: &Options, change: impl FnOnce(&mut Query)) -> Options {
    let mut options = options.clone();
    change(&mut options.query);
    options
}

fn collected(options: &Options) -> Result<String, Error> {
    collect::collect(options, &|_| {})?;
    Ok(fs::read_to_string(&options.out).unwrap())
}

/// The history of both versions.
const LINES: &str = "\
cpu,host=c note=\"he \\\"said\\\" \\\\, twice\",up=true,ticks=18446744073709551615u 1700000000000000000
cpu,host=a\\ b usage_idle=1.5,steal=9007199254740993i 1700000000000000000
we\\ ird\"m'\\,x=y,tag\\=k=v\\ x\\,z f\\ k=0.1 1700000005000000000
cpu,host=c usage_idle=2 1700000010000000000
cpu,host=a\\ b usage_idle=1e+21 1700000010000000001
";

/// Lines without their order within a line and a time.
fn normal(lines: &str) -> Vec<String> {
    let mut lines: Vec<_> = lines
        .lines()
        .map(|line| {
            let (rest, time) = line.rsplit_once(' ').unwrap();
            let line = rest.replace(",cpu=cpu-total", "").replace("1e21", "1e+21").replace("idle=2.0", "idle=2");
            let mut characters: Vec<char> = line.chars().collect();
            characters.sort_unstable(); // the fields' order is the server's
            format!("{time} {}", characters.into_iter().collect::<String>())
        })
        .collect();
    lines.sort();
    lines
}

fn second(request: &Request) -> Answer {
    let csv = "Content-Type: text/csv; charset=utf-8\r\n";
    if request.what == "GET /ping" {
        return (204, "X-Influxdb-Build: OSS\r\nX-Influxdb-Version: v2.7.1\r\n", String::new());
    }
    if request.what.starts_with("GET /api/v2/buckets?") {
        return (200, "", fixture("v2-buckets.json"));
    }
    assert_eq!(request.what, "POST /api/v2/query?org=my%20org");
    if request.authorization.as_deref() != Some("Token secret") {
        return (401, "", r#"{"code":"unauthorized","message":"unauthorized access"}"#.to_owned());
    }
    let query = serde_json::from_str::<Value>(&request.body).unwrap()["query"].as_str().unwrap().to_owned();
    let name = match query.as_str() {
        query if query.contains("bucket: \"nowhere\"") => {
            let message = "failed to initialize execute state: could not find bucket \\\"nowhere\\\"";
            return (404, "", format!("{{\"code\":\"not found\",\"message\":\"{message}\"}}"));
        }
        query if query.contains("r[\"host\"] == \"broken\"") => "v2-error.csv",
        query if query.contains("schema.tagValues") => "v2-measurements.csv",
        query if query.contains("== \"cpu\"") => "v2-cpu.csv",
        query if query.contains(r#"== "we ird\"m',x=y""#) => "v2-weird.csv",
        query => panic!("{query}"),
    };
    (200, csv, fixture(name))
}

fn third(request: &Request) -> Answer {
    if request.authorization.as_deref().is_some_and(|authorization| authorization != "Bearer secret") {
        return (401, "", r#"{"error":"the request was not authenticated"}"#.to_owned());
    }
    match request.what.as_str() {
        "GET /ping" => return (200, "", r#"{"version":"3.0.1","revision":"d7c071e0c4"}"#.to_owned()),
        "GET /api/v3/configure/database?format=jsonl" => return (200, "", fixture("v3-databases.jsonl")),
        "POST /api/v3/query_sql" => {}
        what => panic!("{what}"),
    }
    let body: Value = serde_json::from_str(&request.body).unwrap();
    assert_eq!(body["format"], "jsonl");
    if body["db"] == "nowhere" {
        return (404, "", r#"{"error":"database not found: nowhere"}"#.to_owned());
    }
    let name = match body["q"].as_str().unwrap() {
        query if query.contains("information_schema.columns") => "v3-columns.jsonl",
        query if query.contains("\"iox\".\"cpu\"") => "v3-cpu.jsonl",
        query if query.contains(r#""iox"."we ird""m',x=y""#) => "v3-weird.jsonl",
        query => panic!("{query}"),
    };
    (200, "Content-Type: application/jsonl\r\n", fixture(name))
}

/// Collects everything, which must be [`LINES`], then means of series with a tag; returns the last query, which is in the field
/// `name` of its JSON.
fn last_query(server: &Server, name: &str, tag: &str, measurements: &[&str]) -> String {
    let dir = tempfile::tempdir().unwrap();
    let options = options(server, dir.path().join("a.lp"));
    let lines = collected(&options).unwrap();
    assert_eq!(normal(&lines), normal(LINES), "{lines}");
    let means = with(&options, |query| {
        query.every = Some("10s".to_owned());
        query.tags = vec![tag.to_owned()];
        query.measurement = measurements.iter().map(|&measurement| measurement.to_owned()).collect();
    });
    collected(&means).unwrap();
    server.queries(name).pop().unwrap()
}

#[test]
fn annotated_csv_becomes_lines() {
    let server = Server::start(second);
    assert_eq!(
        last_query(&server, "query", "host=${1}\"", &["cpu"]),
        "import \"types\"\nfrom(bucket: \"telegraf\")\n  \
         |> range(start: 2023-11-14T22:13:20Z, stop: 2023-11-14T22:14:20Z)\n  \
         |> filter(fn: (r) => r[\"_measurement\"] == \"cpu\" and r[\"host\"] == \"\\${1}\\\"\")\n  \
         |> filter(fn: (r) => types.isNumeric(v: r._value))\n  \
         |> aggregateWindow(every: 10s, fn: mean, createEmpty: false, timeSrc: \"_start\")"
    );
}

#[test]
fn json_lines_become_lines() {
    let server = Server::start(third);
    assert_eq!(
        last_query(&server, "q", "host=it's", &[]),
        "SELECT date_bin(INTERVAL '10 seconds', time) AS time, \"host\", avg(\"steal\") AS \"steal\", \
         avg(\"ticks\") AS \"ticks\", avg(\"usage_idle\") AS \"usage_idle\" FROM \"iox\".\"cpu\" \
         WHERE time >= '2023-11-14T22:13:20Z' AND time < '2023-11-14T22:14:20Z' AND \"host\" = 'it''s' \
         GROUP BY 1, \"host\""
    );
}

#[test]
fn errors_say_what_to_do() {
    let (second, third) = (Server::start(second), Server::start(third));
    let other = Server::start(|_| (200, "", "<html>".to_owned()));
    let cut = Server::start(|request| match request.what.as_str() {
        "GET /ping" => (204, "X-Influxdb-Version: 1.8.10\r\n", String::new()),
        _ => (200, "", "{\"results\":[{\"statement_id\":0,\"ser".to_owned()),
    });
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("a.lp");
    let v2 = options(&second, out.clone());
    let v3 = options(&third, out.clone());
    for (options, what) in [
        (with(&v2, |query| query.token = Some(Secret::token("x"))), "unauthorized access); check INFLUX_TOKEN"),
        (with(&v2, |query| query.database = "nowhere".to_owned()), "no `nowhere`; there is `telegraf`, `_monitoring`"),
        (with(&v2, |query| query.tags = vec!["host=broken".to_owned()]), "cannot query an empty range"),
        (with(&v2, |query| query.measurement = vec!["mem".to_owned()]), "they are `cpu`, `we ird\"m',x=y`"),
        (with(&v3, |query| query.token = Some(Secret::token("x"))), "not authenticated); check INFLUX_TOKEN"),
        (with(&v3, |query| query.database = "nowhere".to_owned()), "no `nowhere`; there is `_internal`, `telegraf`"),
        (with(&v3, |query| query.tags = vec!["region=x".to_owned()]), "there is nothing in `telegraf` from 2023-11-14"),
        (options(&other, out.clone()), "is this InfluxDB?"),
        (options(&cut, out.clone()), "not what InfluxDB 1.x says"),
        (Options { url: Secret::address("http://127.0.0.1:1"), ..v2.clone() }, "is InfluxDB there"),
        (Options { url: Secret::address("localhost"), ..v2.clone() }, "must start with http"),
        (Options { url: Secret::address("http://localhost/?db=x"), ..v2.clone() }, "must have no query"),
        (Options { out: "a.csv".into(), ..v2.clone() }, "must end in .lp"),
        (with(&v2, |query| query.api = Some(4)), "must be 1, 2 or 3"),
        (Options { since: "never".to_owned(), ..v2.clone() }, "`never`"),
        (Options { until: Some("9h".to_owned()), since: "1h".to_owned(), ..v2.clone() }, "not before the end"),
        (with(&v2, |query| query.tags = vec!["host".to_owned()]), "KEY=VALUE"),
        (with(&v2, |query| query.every = Some("1ms".to_owned())), "whole seconds"),
    ] {
        let error = collected(&options).unwrap_err().to_string();
        assert!(error.contains(what), "{error}");
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "nothing is left behind");
}

/// A Prometheus with a row every ten seconds, which refuses large queries.
fn prometheus(request: &Request) -> Answer {
    if request.authorization.as_deref() != Some("Bearer secret") {
        return (401, "", "Unauthorized".to_owned());
    }
    if request.what == "GET /api/v1/metadata" {
        let metadata = r#"{"status":"success","data":{"hits":[{"type":"counter","help":"","unit":""}]}}"#;
        return (200, "", metadata.to_owned());
    }
    assert_eq!(request.what, "POST /api/v1/query_range");
    let value = |name: &str| {
        let values = request.body.split('&').filter_map(|pair| pair.split_once('='));
        values.clone().find(|(key, _)| *key == name).unwrap().1.to_owned()
    };
    let number = |name: &str| value(name).parse::<u64>().unwrap();
    let (start, end, step) = (number("start"), number("end"), number("step"));
    assert_eq!((value("query").as_str(), step, start % 10), ("%7Ba%3D%22b%22%7D", 10, 0));
    if (end - start) / step >= 100 {
        let error = "query processing would load too many samples into memory in query execution";
        return (422, "", format!(r#"{{"status":"error","errorType":"execution","error":"{error}"}}"#));
    }
    let values = |odd: bool| {
        let row = |time: u64| {
            let value = if odd && time.is_multiple_of(100) { "NaN".to_owned() } else { format!("{}.5", time % 1000) };
            format!("[{time},\"{value}\"]")
        };
        (start..=end).step_by(10).map(row).collect::<Vec<_>>().join(",")
    };
    let body = format!(
        r#"{{"status":"success","data":{{"resultType":"matrix","result":[
            {{"metric":{{"__name__":"hits","job":"x"}},"values":[{}]}},
            {{"metric":{{"__name__":"odd","job":"x"}},"values":[{}]}},
            {{"metric":{{"job":"nameless"}},"values":[[{start},"1"]]}}]}}}}"#,
        values(false),
        values(true)
    );
    (200, "Content-Type: application/json\r\n", body)
}

#[test]
fn prometheus_is_queried_in_windows_that_it_accepts() {
    let server = Server::start(prometheus);
    let query = prometheus::Query {
        matches: vec![r#"{a="b"}"#.to_owned()],
        step: Some("10s".to_owned()),
        metric_version: 1,
        token: Some(Secret::token("secret")),
        user: None,
    };
    let open = |query: &prometheus::Query| {
        Remote::prometheus(&Secret::address(&*server.url), "1700000003", Some("1700006000"), query, "p")
    };
    let mut remote = open(&query).unwrap();
    let mut lines = Vec::new();
    while remote.next(&mut lines).unwrap().is_some() {}
    let expected: String = (1_700_000_000..1_700_006_000_u64)
        .step_by(10)
        .flat_map(|time| {
            let value = format!("{}.5 {time}000000000", time % 1000);
            let odd = (!time.is_multiple_of(100)).then(|| format!("odd,job=x gauge={value}\n"));
            [Some(format!("hits,job=x counter={value}\n")), odd]
        })
        .flatten()
        .collect();
    assert_eq!(String::from_utf8(lines).unwrap(), expected);
    assert!(remote.left_out >= 6, "what has no name: {}", remote.left_out);

    let requests = server.requests.lock().unwrap().len();
    let refused = open(&prometheus::Query { token: Some(Secret::token("hush")), ..query.clone() }).unwrap_err();
    assert!(
        refused.to_string().contains("check PROMETHEUS_TOKEN") && !refused.to_string().contains("hush"),
        "{refused}"
    );
    assert!(!format!("{query:?}").contains("secret") && requests > 7);
    let odd = open(&prometheus::Query { metric_version: 3, ..query }).unwrap_err().to_string();
    assert!(odd.starts_with("--metric-version: `3`"), "{odd}");
}
