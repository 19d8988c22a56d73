#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| kevy_fuzz::targets::inline(data));
