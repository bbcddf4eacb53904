//! Bytes in = bytes out, but for the spliced fields, on every oddity of line protocol.

use qualm_tests::{Site, fixtures, run_in_pieces, tools, unsplice};

/// Enough rounds for every series in the fixtures to warm up.
const ROUNDS: u64 = 60;

const EVERYTHING: &str = "{ measurement = \"*\" }";

/// Lines up to the place of their verdict, one for each kind of oddity. Each must get one: a program that scores nothing would
/// keep all bytes, too.
const SCORED: &[&str] = &[
    "cpu,cpu=cpu-total,host=web-1 usage_idle=91.5,usage_user=5.25,usage_iowait=0",
    "weather\\,\\ outside,loc\\=ation=north\\ side,tag\\,two=a\\,b temp\\ c=21.5,rel\\,hum\\ idity=40i",
    "backslash,path=C:\\temp\\logs value=1.5",
    "backslash,path=a\\\\,b value=2.5",
    "duplicates,host=a value=1,value=2,other=3",
    "duplicates,host=a,host=b value=4",
    "numbers a=1e5,b=1.,c=.5,d=007,e=-0,f=1E-3,g=-12.5",
    "numbers h=42i,i=-7i,j=9223372036854775807i,k=1.7976931348623157e308,l=5e-324",
    "unsigned a=42u,b=18446744073709551615u",
    "strings message=\"two\nlines\",value=1.5",
    "strings message=\"one that quotes line protocol:\n\
     cpu,cpu=cpu-total,host=web-1 usage_idle=1 @\n\
     # and ends here\",value=2.5",
    "strings message=\"a \\\"quoted\\\" word, then a backslash \\\\\",value=3.5",
    "strings message=\"\\\\\",value=4.5",
    "strings message=\"\",value=5.5",
    "strings value=6.5,message=\"last of all\"",
    "strings message=\"a line that ends as on Windows\r\n\",value=8.5",
    "quotes,said=\"a,b=\"c value=1.5",
    "quotes,said=\" \"key\"=2.5",
    "windows value=2.5,message=\"text\"",
    "nul,tag=a\0b value=1.5,message=\"c\0d\"",
    "température,città=Forlì μ=1.5",
    "hash#mark,a=#b c#=1.5",
    "says_scored message=\",anomaly_score=1,is_anomaly=1i\",value=2.5",
    "says_scored,anomaly_score=1 value=3.5",
    "  indented value=1.5",
    "spaced,host=a  value=1.5",
    "no_timestamp,host=a value=1.5",
    "resync value=1.5",
    "resync value=5.5",
];

#[test]
fn output_is_input_but_for_the_spliced_fields() {
    let Some(qualm) = tools::qualm() else { return };
    let site = Site::new();
    let config = site.quick_config(EVERYTHING);
    let input = all_fixtures();
    let arguments = ["execd", "--config", config.to_str().expect("a path in UTF-8")];

    // Reads that end within lines, reads of a page, and reads of a whole pipe.
    for piece in [7, 4_096, input.len()] {
        let done = run_in_pieces(&qualm, &arguments, &input, piece);
        assert!(done.status.success(), "{}\n{}", done.status, done.stderr);

        let splices = unsplice(&input, &done.stdout).unwrap_or_else(|parting| panic!("{parting}"));
        for splice in &splices {
            assert!(splice.score.is_finite() && splice.score >= 0.0, "{splice:?}");
            assert_eq!(splice.cause.is_some(), splice.is_anomaly, "{splice:?}");
            assert!(matches!(input[splice.at..], [b' ' | b'\n' | b'\r', ..]), "a verdict within a word: {splice:?}");
        }
        let last_round = fixtures::time_of_round(ROUNDS - 1);
        for line in SCORED {
            let line = format!("\n{}", line.replace('@', &last_round));
            let scored = splices.iter().any(|splice| input[..splice.at].ends_with(line.as_bytes()));
            assert!(scored, "no score after {line:?}");
        }

        // Telegraf logs a line without a level as an error, and stops reading at one over 64 KiB.
        for line in done.stderr.lines() {
            assert!(["E! ", "W! ", "I! ", "D! ", "T! "].iter().any(|level| line.starts_with(level)), "{line}");
            assert!(line.len() < 64 * 1024, "a line of {} bytes on stderr", line.len());
        }
    }
}

#[test]
fn lines_scored_upstream_are_not_changed() {
    let Some(qualm) = tools::qualm() else { return };
    let site = Site::new();
    let config = site.quick_config(EVERYTHING);
    let line = b"cpu,host=a usage=3.5,anomaly_score=0.5,is_anomaly=0i 1700000000000000000\n";
    let input = fixtures::rounds(line, ROUNDS);
    let done = run_in_pieces(&qualm, &["execd", "--config", config.to_str().expect("UTF-8")], &input, input.len());
    assert!(done.stdout == input, "scored twice:\n{}", String::from_utf8_lossy(&done.stdout));
}

fn all_fixtures() -> Vec<u8> {
    let short = [fixtures::ODDITIES, fixtures::NO_TIMESTAMP, fixtures::MALFORMED].concat();
    [fixtures::rounds(&short, ROUNDS), fixtures::long_lines(), fixtures::UNTERMINATED.to_vec()].concat()
}
