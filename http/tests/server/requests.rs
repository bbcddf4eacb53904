//! Requests and what they are answered.

use qualm_bundle::secret::Secret;

use crate::harness::{Running, get, post};

#[test]
fn a_health_check_by_head_is_exactly_200() {
    let server = Running::start(|_| {});
    let mut client = server.connect();
    let answer = client.send("HEAD /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").head_answer();
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-length"), Some("3"));
    // Had there been a body, the next answer would not begin where it is looked for.
    assert_eq!(client.ask(get("/healthz")).text(), "ok\n");
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let server = Running::start(|_| {});
    let mut client = server.connect();
    let requests: Vec<u8> = (0..20)
        .flat_map(|n| if n % 2 == 0 { get(&format!("/items/{n}")).into_bytes() } else { post("/echo", "", b"odd") })
        .collect();
    client.send(requests);
    for n in 0..20 {
        let answer = client.answer();
        assert_eq!(answer.status, 200);
        let id = format!("\"id\":\"{n}\"");
        let expected = if n % 2 == 0 { id.as_str() } else { "odd" };
        assert!(answer.text().contains(expected), "{n}: {}", answer.text());
    }
}

#[test]
fn a_request_split_at_every_byte_is_one() {
    let server = Running::start(|_| {});
    let mut client = server.connect();
    for byte in post("/echo", "", b"bit by bit") {
        client.send([byte]);
    }
    assert_eq!(client.answer().text(), "bit by bit");
}

#[test]
fn a_client_that_has_no_more_to_say_is_still_answered() {
    let server = Running::start(|_| {});
    let mut client = server.connect();
    client.send(get("/slow?ms=200"));
    client.stream.get_ref().shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(client.answer().text(), "slow");
    assert!(client.closed());
}

#[test]
fn parameters_and_queries_are_decoded() {
    let server = Running::start(|_| {});
    let answer = server.ask(get("/items/a%2Fb%20c?x=1&bucket=my+bucket%21"));
    let value: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(value["id"], "a/b c");
    assert_eq!(value["bucket"], "my bucket!");
    assert_eq!(answer.header("content-type"), Some("application/json"));
}

#[test]
fn unknown_paths_and_methods_say_what_is_known() {
    let server = Running::start(|_| {});
    let answer = server.ask(get("/heathz\"{}"));
    assert_eq!(answer.status, 404);
    let value: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(value["error"], "there is nothing at /heathz\"{}");
    assert_eq!(value["hint"], "the nearest path is /healthz");
    let answer = server.ask(post("/healthz", "", b""));
    assert_eq!((answer.status, answer.header("allow")), (405, Some("GET, HEAD, OPTIONS")));
    let answer = server.ask("OPTIONS /echo HTTP/1.1\r\nhost: localhost\r\n\r\n");
    assert_eq!((answer.status, answer.header("allow")), (204, Some("OPTIONS, POST")));
}

#[test]
fn every_answer_is_for_this_site_only() {
    let server = Running::start(|_| {});
    for request in [get("/healthz"), get("/nothing"), get("/panic")] {
        let answer = server.ask(request);
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(answer.header("x-frame-options"), Some("DENY"));
        assert!(answer.header("content-security-policy").is_some());
    }
}

#[test]
fn a_handler_that_panics_ends_its_own_request_only() {
    let server = Running::start(|_| {});
    let mut client = server.connect();
    let answer = client.ask(get("/panic"));
    assert_eq!(answer.status, 500);
    assert!(serde_json::from_slice::<serde_json::Value>(&answer.body).unwrap()["error"].is_string());
    assert_eq!(client.ask(get("/healthz")).status, 200);
    assert_eq!(server.counts.snapshot().panics, 1);
}

#[test]
fn foreign_pages_are_kept_out_of_an_open_service() {
    let server = Running::start(|_| {});
    assert_eq!(server.ask("GET /items/1 HTTP/1.1\r\nhost: evil.example\r\n\r\n").status, 421);
    assert_eq!(server.ask("GET http://evil.example/items/1 HTTP/1.1\r\nhost: localhost\r\n\r\n").status, 421);
    assert_eq!(server.ask(post("/echo", "origin: https://evil.example\r\n", b"x")).status, 403);
    assert_eq!(server.ask(post("/echo", "origin: http://localhost\r\n", b"x")).status, 200);
}

#[test]
fn only_those_with_a_token_come_in() {
    let server = Running::start(|options| options.tokens = ["one", "two"].map(Secret::token).to_vec());
    assert_eq!(server.ask(get("/healthz")).status, 200);
    for field in
        ["", "authorization: Bearer three\r\n", "authorization: Bearer\r\n", "authorization: Bearer \u{e9}\r\n"]
    {
        // The body is announced and never sent: were it read first, there would be no answer.
        let head = format!("POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n{field}\r\n");
        let answer = server.ask(head);
        assert_eq!(answer.status, 401, "{field}");
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
    }
    // A caller without a token does not learn which paths exist.
    assert_eq!(server.ask(get("/nothing")).status, 401);
    for field in ["Bearer two", "Token two", "Token user:two", "Basic dXNlcjp0d28="] {
        let answer = server.ask(format!("GET /items/1 HTTP/1.1\r\nauthorization: {field}\r\nhost: x\r\n\r\n"));
        assert_eq!(answer.status, 200, "{field}");
        assert!(answer.text().contains("\"token\":true"), "{}", answer.text());
    }
    assert_eq!(server.ask(get("/items/1?u=user&p=one")).status, 200);
    assert_eq!(server.counts.snapshot().unauthorized, 5);
    // A page of another site, in a browser that knows the token as a password.
    let of_page = "origin: https://evil.example\r\nauthorization: Basic dXNlcjp0d28=\r\n";
    assert_eq!(server.ask(post("/echo", of_page, b"x")).status, 403);
}

#[test]
fn heads_that_are_too_large_or_wrong_are_refused() {
    let server = Running::start(|_| {});
    let long = "x".repeat(20_000);
    assert_eq!(server.ask(format!("GET /healthz HTTP/1.1\r\nhost: localhost\r\nx: {long}\r\n\r\n")).status, 431);
    let many = "x: y\r\n".repeat(200);
    assert_eq!(server.ask(format!("GET /healthz HTTP/1.1\r\nhost: localhost\r\n{many}\r\n")).status, 431);
    assert_eq!(server.ask("what is this\r\n\r\n").status, 400);
    let both = "POST /echo HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nxx";
    assert_eq!(server.ask(both).status, 400);
    assert_eq!(server.ask(get("/healthz")).status, 200);
}
