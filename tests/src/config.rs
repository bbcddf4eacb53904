//! Parts of telegraf.conf.

use std::path::Path;

/// A path as a string in TOML.
#[must_use]
pub fn quoted(path: &Path) -> String {
    format!("{:?}", path.to_string_lossy())
}

/// `processors.execd` with this command.
#[must_use]
pub fn execd(command: &[&str]) -> String {
    format!("[[processors.execd]]\norder = 1\ncommand = {command:?}\nrestart_delay = \"1s\"\n")
}

/// `processors.execd` with qualm and its configuration.
#[must_use]
pub fn qualm(program: &Path, toml: &Path) -> String {
    execd(&[&program.to_string_lossy(), "execd", "--config", &toml.to_string_lossy()])
}

/// `outputs.file`; fields sorted, because Telegraf keeps no order among them and tests compare files.
#[must_use]
pub fn to_file(path: &Path) -> String {
    format!(
        "[[outputs.file]]\nfiles = [{}]\ndata_format = \"influx\"\n\
         influx_sort_fields = true\ninflux_uint_support = true\n",
        quoted(path)
    )
}

/// `outputs.influxdb`, into the database `qualm`.
#[must_use]
pub fn to_influx(url: &str) -> String {
    format!("[[outputs.influxdb]]\nurls = [{url:?}]\ndatabase = \"qualm\"\n")
}

/// `inputs.file`: the whole file at each interval.
#[must_use]
pub fn from_file(path: &Path) -> String {
    format!("[[inputs.file]]\nfiles = [{}]\ndata_format = \"influx\"\n", quoted(path))
}

/// `inputs.tail`: a file's lines as they are appended, resumed after a reload.
#[must_use]
pub fn from_tail(path: &Path) -> String {
    format!(
        "[[inputs.tail]]\nfiles = [{}]\ndata_format = \"influx\"\n\
         initial_read_offset = \"saved-or-beginning\"\npath_tag = \"\"\n",
        quoted(path)
    )
}
