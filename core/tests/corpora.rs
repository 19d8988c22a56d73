//! The kept corpora of the fuzz targets, and a fixed stream of random inputs, run through every target.

#[path = "../../fuzz/src/targets.rs"]
mod targets;

use kevy::rng::Rng;

#[test]
fn every_corpus_passes_its_target() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/corpus");
    for (name, target) in targets::TARGETS {
        let files: Vec<_> =
            std::fs::read_dir(format!("{root}/{name}")).expect("each target has a corpus").collect();
        assert!(!files.is_empty(), "the corpus of {name} is empty");
        for file in files {
            let path = file.expect("readable").path();
            println!("{}", path.display());
            #[allow(clippy::disallowed_methods, reason = "a test may read its data")]
            target(&std::fs::read(path).expect("readable"));
        }
    }
}

#[test]
fn random_inputs_pass_every_target() {
    let mut rng = Rng::new(20261121);
    for (name, target) in targets::TARGETS {
        println!("{name}");
        for round in 0..2000 {
            let len = rng.index(if round % 10 == 0 { 2000 } else { 60 });
            // Half of the inputs look like what the target reads.
            let alphabet: &[u8] = match (round % 2, *name) {
                (0, "resp_decode") => b"*$123\r\n\r\n\r\nGETaset \"'\\x",
                (0, "inline") => b"ab\"'\\xn4f \t\r\x0b\x0c",
                (0, "frame_decode") => b"*$:+-%~_,#123\r\n\r\nab",
                (0, "glob") => b"ab*?[]^-\\",
                (0, "number_formats") => b"0123456789.-+eEinfxa",
                _ => &[],
            };
            let data: Vec<u8> = (0..len)
                .map(|_| {
                    if alphabet.is_empty() {
                        rng.next_u64() as u8
                    } else {
                        alphabet[rng.index(alphabet.len())]
                    }
                })
                .collect();
            target(&data);
        }
    }
}
