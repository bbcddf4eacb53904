//! The environment's variables in the configuration: `${NAME}` in a text stands for the variable's value.
//!
//! They are put in once the file is parsed, so that whatever a value has in it (quotes, backslashes, lines) is part of the
//! text and never of the file's structure.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// What stands for a variable.
#[derive(Debug)]
pub(super) struct Variable {
    name: String,
    value: String,
}

/// A text that cannot be used: where in the file, and why.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) at: usize,
    pub(super) what: String,
}

/// A variable that the environment does not have, or not as text.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoVariable {
    /// It is not set.
    #[error("the environment has no variable `{0}`; set it")]
    Missing(String),
    /// It is not UTF-8.
    #[error("the environment's variable `{0}` is not UTF-8; set it anew")]
    NotUtf8(String),
}

/// Puts values in place of `${NAME}`, and `$` in place of `$$`, in all texts of a file. Returns the variables that it used.
pub(super) fn expand(
    document: &mut DeTable<'_>,
    text: &str,
    get: &impl Fn(&str) -> Result<String, NoVariable>,
) -> Result<Vec<Variable>, Fault> {
    let mut expansion = Expansion { text, get, used: Vec::new() };
    for (_, value) in document.iter_mut() {
        expansion.value(value)?;
    }
    Ok(expansion.used)
}

/// A message without the values that have been put in: any of them may be a secret.
pub(super) fn hide(used: &[Variable], message: String) -> String {
    let hidden = used.iter().filter(|variable| !variable.value.is_empty());
    hidden.fold(message, |message, Variable { name, value }| {
        let as_written = value.escape_debug().to_string();
        let name = format!("${{{name}}}");
        message.replace(value, &name).replace(&as_written, &name)
    })
}

struct Expansion<'a, Get> {
    text: &'a str,
    get: &'a Get,
    used: Vec<Variable>,
}

impl<Get: Fn(&str) -> Result<String, NoVariable>> Expansion<'_, Get> {
    fn value(&mut self, value: &mut Spanned<DeValue<'_>>) -> Result<(), Fault> {
        let span = value.span();
        match value.get_mut() {
            DeValue::String(text) if text.contains('$') => {
                let expanded = self.expanded(text).map_err(|(name, what)| {
                    // In a text of several lines, the line of the variable itself.
                    let within = self.text.get(span.clone()).and_then(|written| written.find(&format!("${{{name}")));
                    Fault { at: span.start + within.unwrap_or_default(), what }
                })?;
                *text = expanded.into();
                Ok(())
            }
            DeValue::Array(values) => values.iter_mut().try_for_each(|value| self.value(value)),
            DeValue::Table(values) => values.iter_mut().try_for_each(|(_, value)| self.value(value)),
            _ => Ok(()),
        }
    }

    /// A text with its variables' values; or the name that is wrong, and why.
    fn expanded(&mut self, text: &str) -> Result<String, (String, String)> {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            out.push_str(&rest[..at]);
            let behind = &rest[at + 1..];
            rest = if let Some(behind) = behind.strip_prefix('$') {
                out.push('$');
                behind
            } else if let Some(behind) = behind.strip_prefix('{') {
                let Some((name, behind)) = behind.split_once('}') else {
                    return Err((String::new(), "`${` lacks its `}`; write `$${` to mean the text".to_owned()));
                };
                let value = (self.get)(name)
                    .map_err(|what| (name.to_owned(), format!("{what}, or write `$${{{name}}}` to mean the text")))?;
                out.push_str(&value);
                self.used.push(Variable { name: name.to_owned(), value });
                behind
            } else {
                out.push('$');
                behind
            };
        }
        out.push_str(rest);
        Ok(out)
    }
}

/// The environment's variable of this name.
pub(super) fn of_environment(name: &str) -> Result<String, NoVariable> {
    // A name that cannot be one is asked for as well: the answer is the same.
    std::env::var(name).map_err(|error| match error {
        std::env::VarError::NotPresent => NoVariable::Missing(name.to_owned()),
        std::env::VarError::NotUnicode(_) => NoVariable::NotUtf8(name.to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use serde::Deserialize as _;

    use super::*;

    fn expanded(text: &str) -> Result<toml::Table, Fault> {
        let mut document = DeTable::parse(text).unwrap();
        let get = |name: &str| match name {
            "DIR" => Ok("/state".to_owned()),
            "WILD" => Ok("a\"b\\c'''\"\"\"\n[http]\n${DIR} $$ # {".to_owned()),
            "EMPTY" => Ok(String::new()),
            _ => Err(NoVariable::Missing(name.to_owned())),
        };
        expand(document.get_mut(), text, &get)?;
        Ok(toml::Table::deserialize(toml::de::Deserializer::from(document)).unwrap())
    }

    #[test]
    fn a_value_is_a_value_whatever_is_in_it() {
        let wild = "a\"b\\c'''\"\"\"\n[http]\n${DIR} $$ # {";
        for quotes in ["\"", "'", "\"\"\"", "'''"] {
            let table = expanded(&format!("a = {quotes}<${{WILD}}>{quotes}\nb = [{{ c = {quotes}${{DIR}}{quotes} }}]"))
                .unwrap();
            assert_eq!(table["a"].as_str().unwrap(), format!("<{wild}>"));
            assert_eq!(table["b"][0]["c"].as_str(), Some("/state"));
        }
    }

    #[test]
    fn two_dollars_are_one_and_one_alone_is_itself() {
        let table =
            expanded("a = 'x$$y$${DIR}$$$${DIR}$ $1$'\nb = '$$$DIR${EMPTY}'\n# ${NO}\n'${NO}' = '$$${DIR}'").unwrap();
        assert_eq!(table["a"].as_str(), Some("x$y${DIR}$${DIR}$ $1$"));
        assert_eq!(table["b"].as_str(), Some("$$DIR"));
        assert_eq!(table["${NO}"].as_str(), Some("$/state"), "comments and keys are left as they are");
    }

    #[test]
    fn what_is_not_set_is_named_where_it_stands() {
        for (text, at, what) in [
            ("a = 1\nb = '${NO}'", "${NO}", "no variable `NO`"),
            ("b = '''\n\n${NO}'''", "${NO}", "no variable `NO`"),
            ("[[c]]\nd = [{ e = '${}' }]", "${}", "no variable ``"),
            ("b = '${NO'", "${NO'", "lacks its `}`"),
        ] {
            let fault = expanded(text).unwrap_err();
            assert_eq!(fault.at, text.find(at).unwrap(), "{text}");
            assert!(fault.what.contains(what), "{}", fault.what);
        }
    }
}
