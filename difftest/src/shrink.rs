//! Smaller plans that still fail: delta debugging by lines (Zeller and Hildebrandt 2002), then by arguments.

use kevy_model::generator::{Plan, Step};

/// The smallest plan found that `fails`; the plan given does.
pub fn shrink(plan: &Plan, mut fails: impl FnMut(&Plan) -> bool) -> Plan {
    let mut smallest = plan.clone();
    loop {
        let before = smallest.clone();
        without_steps(&mut smallest, &mut fails);
        without_arguments(&mut smallest, &mut fails);
        if smallest == before {
            return smallest;
        }
    }
}

/// Leaves out runs of steps, long ones first.
fn without_steps(plan: &mut Plan, fails: &mut impl FnMut(&Plan) -> bool) {
    let mut length = plan.steps.len().div_ceil(2);
    loop {
        let mut at = 0;
        while at < plan.steps.len() {
            let mut candidate = plan.clone();
            candidate.steps.drain(at..(at + length).min(plan.steps.len()));
            if fails(&candidate) {
                *plan = candidate;
            } else {
                at += length;
            }
        }
        if length <= 1 {
            return;
        }
        length = length.div_ceil(2);
    }
}

/// Leaves out arguments after the name, one or two at a time: many commands take them in pairs.
fn without_arguments(plan: &mut Plan, fails: &mut impl FnMut(&Plan) -> bool) {
    for width in [2, 1] {
        for step in 0..plan.steps.len() {
            let mut at = 1;
            while let Step::Command { argv, .. } = &plan.steps[step]
                && at + width <= argv.len()
            {
                let mut candidate = plan.clone();
                if let Step::Command { argv, .. } = &mut candidate.steps[step] {
                    argv.drain(at..at + width);
                }
                if fails(&candidate) {
                    *plan = candidate;
                } else {
                    at += 1;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_needed_remains() {
        let lines: String = (0..100).map(|n| format!("0> SET k{n} v NX EX 5\n")).collect();
        let plan = Plan::parse(&lines).unwrap();
        let needs = |plan: &Plan, line: &str| plan.to_string().lines().any(|has| has.starts_with(line));
        let mut tries = 0;
        let shrunk = shrink(&plan, |plan| {
            tries += 1;
            needs(plan, "0> SET k17") && needs(plan, "0> SET k90")
        });
        assert_eq!(shrunk.to_string(), "0> SET k17\n0> SET k90\n");
        assert!(tries < 200, "{tries}");
    }
}
