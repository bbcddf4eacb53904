#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| qualm_fuzz::check("rows", bytes));
