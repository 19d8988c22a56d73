//! All plans of a few steps of each small theme, on the shard in this process, judged by the model.

use std::process::ExitCode;
use std::sync::Mutex;

use kevy_model::generator::small::{THEMES, Theme};
use kevy_model::generator::{Exhaustive, Generated, Plan};

use crate::inprocess::{Done, Setting, check, shrunk};

/// Plans that one of the two threads takes at a time.
const BATCH: usize = 64;

/// Checks all plans of so many steps. Returns how many there were, what they did, and what the first that fails does.
pub fn check_all(theme: &Theme, steps: usize) -> (u64, Done, Option<String>) {
    let setting = Setting::small(theme.tiny);
    let plans = Mutex::new(Exhaustive::default());
    let total = Mutex::new((0, Done::default(), None));
    let next = || {
        let mut all = plans.lock().expect("nobody panics");
        let one = |_| all.next_round().then(|| theme.plan(&mut *all, steps));
        (0..BATCH).map_while(one).collect::<Vec<Plan>>()
    };
    let work = || {
        let mut done = Done::default();
        let mut checked = 0;
        let mut failure = None;
        while failure.is_none() && total.lock().expect("nobody panics").2.is_none() {
            let batch = next();
            if batch.is_empty() {
                break;
            }
            for plan in batch {
                let generated = Generated { plan, notes: Vec::new() };
                checked += 1;
                if let Err(found) = check(&generated, &setting, &mut done) {
                    failure = Some(format!("{}\n{}", theme.name, shrunk(&generated, &setting, &found)));
                    break;
                }
            }
        }
        let mut total = total.lock().expect("nobody panics");
        total.0 += checked;
        total.1.add(&done);
        total.2 = total.2.take().or(failure);
    };
    std::thread::scope(|threads| (0..2).for_each(|_| _ = threads.spawn(work)));
    total.into_inner().expect("nobody panics")
}

/// `kevy-difftest exhaustive [STEPS [THEME]]`
pub fn main(args: &[String]) -> ExitCode {
    let steps = match args.first().map_or(Ok(4), |steps| steps.parse()) {
        Ok(steps) => steps,
        Err(_) => {
            eprintln!("kevy-difftest exhaustive takes a number of steps");
            return ExitCode::from(2);
        }
    };
    let named = |theme: &&Theme| args.get(1).is_none_or(|name| name == theme.name);
    let (mut plans, mut commands, mut good) = (0, 0, true);
    for theme in THEMES.iter().filter(named) {
        let (checked, done, failure) = check_all(theme, steps);
        println!("{}: plans {checked} {}", theme.name, done.summary());
        plans += checked;
        commands += done.commands;
        if let Some(failure) = failure {
            println!("{failure}");
            good = false;
        } else {
            good &= checked == theme.plans(steps);
        }
    }
    println!("all plans of {steps} steps: plans {plans} commands {commands}");
    if good && plans > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
