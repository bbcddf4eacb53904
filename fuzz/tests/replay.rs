//! Runs the corpus of the fuzzer.

use std::fs;
use std::path::Path;

use qualm_fuzz::TARGETS;

#[test]
fn what_the_fuzzer_found_holds() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    for (name, holds) in TARGETS {
        let inputs = fs::read_dir(corpus.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        let mut inputs: Vec<_> = inputs.map(|input| input.expect("the corpus can be read").path()).collect();
        inputs.sort();
        assert!(!inputs.is_empty(), "{name} has a corpus");
        for input in inputs {
            eprintln!("{}", input.display()); // a failed test shows the last one
            holds(&fs::read(&input).expect("an input can be read"));
        }
    }
}
