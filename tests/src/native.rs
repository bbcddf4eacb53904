//! Events as Vector's `native_json` codec writes them.

/// A gauge of one host at a second within the hour.
#[must_use]
pub fn gauge(name: &str, host: &str, value: f64, second: u64) -> String {
    let (hour, minute, second) = (second / 3600 % 24, second / 60 % 60, second % 60);
    format!(
        "{{\"metric\":{{\"name\":\"{name}\",\"namespace\":\"host\",\"tags\":{{\"host\":\"{host}\"}},\
         \"timestamp\":\"2026-03-01T{hour:02}:{minute:02}:{second:02}Z\",\"kind\":\"absolute\",\
         \"gauge\":{{\"value\":{value:?}}}}}}}\n"
    )
}

/// A log, which is not scored.
#[must_use]
pub fn log(message: &str) -> String {
    format!("{{\"log\":{{\"message\":{message:?}}}}}\n")
}
