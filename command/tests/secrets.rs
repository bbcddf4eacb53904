//! No command and no error prints a secret.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};

/// A part of every secret here, and of nothing else.
const MARK: &str = "hush";

/// A URL with secrets; no server listens on port 1.
const URL: &str = "http://hush-me:hush-pass@127.0.0.1:1/m.qualm?X-Signature=hush-sig&key=hush-key";

/// The same without a path.
const BASE: &str = "http://hush-me:hush-pass@127.0.0.1:1";

fn qualm() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_qualm"));
    command.env("QUALM_TEST_TOKEN", "hush-\"variable\\").stdin(Stdio::null());
    command
}

/// A command's stdout and stderr.
fn printed(arguments: &[&str]) -> String {
    let output = qualm().args(arguments).output().unwrap();
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// A configuration with a secret wherever one is allowed.
fn configuration(dir: &std::path::Path) -> String {
    let text = format!(
        "[[detector]]\nname = \"far\"\nmodel = \"{URL}\"\n\
         [[detector]]\nname = \"both\"\nkind = \"ensemble\"\nmembers = [{{ model = \"{URL}\", name = \"a\" }}, {{ model = \"{URL}\", name = \"b\" }}]\n\
         [state]\ndir = \"{}\"\n\
         [http]\nlisten = \"127.0.0.1:0\"\ntokens = [\"hush-token\", \"${{QUALM_TEST_TOKEN}}\"]\n\
         [vector]\nforward = \"{BASE}\"\n[influxdb]\nforward = \"{BASE}\"\n",
        dir.join("state").display()
    );
    let path = dir.join("qualm.toml");
    fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn no_command_prints_a_secret() {
    let dir = tempfile::tempdir().unwrap();
    let config = configuration(dir.path());
    let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    fs::write(at("rows.lp"), "m v=1 1\nm v=2 2\n").unwrap();
    fs::write(at("labels.csv"), "start,end\n1970-01-01T00:00:00Z,1970-01-01T00:00:01Z\n").unwrap();
    let (rows, out, labels, html) = (at("rows.lp"), at("out.lp"), at("labels.csv"), at("why.html"));
    let database = "influx://hush-me:hush-pass@127.0.0.1:1";
    for arguments in [
        &["execd", "--check", "--config", &config][..],
        &["execd", "--debug", "--config", &config],
        &["serve", "--check", "--config", &config],
        &["replay", "--input", &rows, "--config", &config],
        &["replay", "--input", &rows, "--model", URL],
        &["replay", "--input", &rows, "--model", "https:///hush-me:hush-pass@x"],
        &["replay", "--input", &rows, "--labels", &labels, "--html", &html, "--model", URL],
        &["warm", "--config", &config, "--for", "vector", "--influx", URL, "--since", "1h"],
        &["warm", "--config", &config, "--for", "vector", "--influx", BASE, "--since", "1h"],
        &["warm", "--config", &config, "--for", "vector", "--influx", database, "--since", "1h"],
        &["warm", "--config", &config, "--for", "vector", "--prometheus", URL, "--since", "1h", "--step", "10s"],
        &["warm", "--config", &config, "--for", "vector", "--prometheus", BASE, "--since", "1h", "--step", "10s"],
        &["warm", "--config", &config, "--for", "vector", "--prometheus", database, "--since", "1h", "--step", "10s"],
        &["collect", "--url", URL, "--since", "1h", "--out", &out, "--token", "hush-token"],
        &["collect", "--url", BASE, "--since", "1h", "--out", &out, "--token", "hush-token"],
        &["collect", "--url", database, "--since", "1h", "--out", &out],
        &["collect", "--url", "hush-me:hush-pass@127.0.0.1", "--since", "1h", "--out", &out],
        &["bundle", "inspect", URL],
        &["bundle", "verify", URL],
        &["bundle", "diff", URL, URL],
        &["evaluate", "--input", &rows, "--bundle", URL],
        &["explain", "--input", &rows, "--bundle", URL],
    ] {
        let printed = printed(arguments);
        assert!(!printed.is_empty() && !printed.contains(MARK), "{arguments:?}: {printed}");
    }
}

#[test]
fn no_error_of_the_configuration_prints_a_secret() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("qualm.toml");
    for text in [
        "http = 'hush-hush'",
        "vector = 'http://hush-me:hush-pass@127.0.0.1'",
        "[http]\ntokens = 'hush-hush'",
        "[http]\ntokens = { a = 'hush-hush' }",
        "[http]\ntokens = [['hush-hush']]",
        "[http]\ntokens = ['hush']",
        "[http]\ntokens = [hush-hush]",
        "[http]\ntokens = ['hush-hush]",
        "[http]\ntoken = 'hush-hush'",
        "[http]\nlisten = 'hush-hush'",
        "[http]\nlisten = '${QUALM_TEST_TOKEN}'",
        "[http]\nmax_body = '${QUALM_TEST_TOKEN}'",
        "[[detector]]\nhalf_life = '${QUALM_TEST_TOKEN}'",
        "[[detector]]\nkind = '${QUALM_TEST_TOKEN}'",
        "[[detector]]\nmin_samples = '${QUALM_TEST_TOKEN}'",
        "[[detector]]\nmodel = ['http://hush-me:hush-pass@127.0.0.1']",
        "[[detector]]\nmodel = 'https:///hush-me:hush-pass@127.0.0.1'",
        "[[detector]]\nmodel = 'http://hush-me:hush-pass@127.0.0.1'\nmin_samples = 3",
        "[vector]\nforward = 'hush-me:hush-pass@127.0.0.1:18002'",
        "[vector]\nforward = 'influx://hush-me:hush-pass@127.0.0.1:18002'",
        "[influxdb]\nforward = 'http://hush-me:hush/pass@127.0.0.1:18002'",
        "[influxdb]\nforward = 'http://127.0.0.1:8086?u=hush-me&p=hush-pass'",
        "[influxdb]\nforward = 'http://127.0.0.1:8086/#hush-hush'",
        "[vector]\nforward = 'http://hush-me:hush-pass@127.0.0.1:18002/?hush-hush'",
        "[influxdb]\nforward = { url = 'http://hush-me:hush-pass@127.0.0.1:18002' }",
    ] {
        fs::write(&path, text).unwrap();
        for command in ["execd", "serve"] {
            let printed = printed(&[command, "--check", "--config", path.to_str().unwrap()]);
            assert!(printed.contains("E! ") && !printed.contains(MARK), "{text}: {printed}");
        }
    }
}

#[test]
fn no_answer_of_a_failing_service_has_a_secret() {
    let dir = tempfile::tempdir().unwrap();
    let config = configuration(dir.path());
    let mut child = qualm().args(["serve", "--debug", "--config", &config]).stderr(Stdio::piped()).spawn().unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap());
    let mut logged = String::new();
    let address = loop {
        let begin = logged.len();
        assert!(log.read_line(&mut logged).unwrap() > 0, "{logged}");
        if let Some((_, url)) = logged[begin..].split_once("listening on http://") {
            break url.trim_end().trim_end_matches('/').to_owned();
        }
    };
    let ask = |request: &str, body: &str| {
        let mut stream = TcpStream::connect(&address).unwrap();
        let head = "host: 127.0.0.1\r\nconnection: close\r\nauthorization: Bearer hush-token";
        write!(stream, "{request} HTTP/1.1\r\n{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    let event = "{\"metric\":{\"name\":\"m\",\"kind\":\"absolute\",\"gauge\":{\"value\":1}}}\n";
    let mut answers = ask("POST /vector", event);
    assert!(answers.contains(" 503 "), "{answers}");
    answers += &ask("POST /write?db=x&u=hush-me&p=hush-token", "m v=1 1\n");
    let ready = ask("GET /readyz", "");
    assert!(ready.contains("http://***@127.0.0.1:1: "), "the problem is shown: {ready}");
    answers += &ready;
    for path in ["/metrics", "/api/v1/live", "/vector", "/healthz"] {
        answers += &ask(&format!("GET {path}"), "");
    }
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    log.read_to_string(&mut logged).unwrap();
    child.wait().unwrap();
    assert!(logged.contains("asked to stop"), "{logged}");
    for text in [answers, logged] {
        assert!(!text.contains(MARK), "{text}");
    }
}
