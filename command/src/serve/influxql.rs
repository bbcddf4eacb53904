//! The one statement of `InfluxQL` that clients send before they write: `CREATE DATABASE`.

/// Whether a query is one `CREATE DATABASE` alone: a name, quoted or not, and any clauses. False where it may have a second
/// statement, or a comment that hides one.
#[must_use]
pub(super) fn creates_database(query: &str) -> bool {
    let query = query.trim().trim_end_matches(';').trim_end();
    let words = ["CREATE", "DATABASE"].into_iter().try_fold(query, |rest, word| {
        let (first, rest) = rest.split_once(|c: char| c.is_ascii_whitespace())?;
        first.eq_ignore_ascii_case(word).then_some(rest.trim_start())
    });
    words.is_some_and(|rest| !rest.is_empty() && is_one_statement(rest))
}

/// Whether no semicolon or comment is outside of quotes, every quote is closed, and there is no control character.
fn is_one_statement(text: &str) -> bool {
    let (mut quote, mut chars) = (None, text.chars().peekable());
    while let Some(c) = chars.next() {
        let next = chars.peek().copied();
        match (quote, c) {
            (_, c) if c.is_control() && !matches!(c, '\t' | '\r' | '\n') => return false,
            // No string spans lines.
            (Some(_), '\r' | '\n') => return false,
            (Some(_), '\\') if chars.next().is_some() => {}
            (Some(open), c) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(c),
            (None, ';') => return false,
            (None, '-') if next == Some('-') => return false,
            (None, '/') if next == Some('*') => return false,
            (None, _) => {}
        }
    }
    quote.is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_single_create_database_is_accepted() {
        for query in [
            "CREATE DATABASE \"telegraf\"",
            "create  database\ttelegraf",
            " CREATE DATABASE telegraf ; ",
            r#"CREATE DATABASE "a\"b; DROP DATABASE x --""#,
            "CREATE DATABASE \"a'b\" WITH DURATION 3d REPLICATION 1 NAME \"x;y\"",
        ] {
            assert!(creates_database(query), "{query}");
        }
        for query in [
            "",
            "CREATE DATABASE",
            "CREATE DATABASE ",
            "CREATEDATABASE x",
            "DROP DATABASE x",
            "SHOW DATABASES",
            "SELECT * FROM cpu",
            "CREATE USER x WITH PASSWORD 'y'",
            "CREATE DATABASE x; DROP DATABASE y",
            "CREATE DATABASE \"x\";DROP DATABASE y",
            r#"CREATE DATABASE "x\\";DROP DATABASE y --""#,
            "CREATE DATABASE \"x\n\";DROP DATABASE y",
            "CREATE DATABASE \"x",
            "CREATE DATABASE x -- y",
            "CREATE DATABASE x /* y",
            "CREATE DATABASE x\0; DROP DATABASE y",
            "-- \nCREATE DATABASE x",
        ] {
            assert!(!creates_database(query), "{query}");
        }
    }
}
