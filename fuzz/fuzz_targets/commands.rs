#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| kevy_difftest::fuzzed::target(data));
