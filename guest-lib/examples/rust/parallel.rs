//! A parallel loop: heat flows through a rod, step by step. The runtime divides the indices; each call
//! works on its part of two windows, without copying. It pulls what it reads and pushes what it wrote,
//! so that calls may run on several hosts. The first of two searches to end is taken with `wait_any`.
// compile: mobula rustc -o parallel.wasm parallel.rs
// run: mobula run parallel.wasm
// expect: 200 steps over 4000 points
// expect: nothing is lost: 1000000
// expect: in order of place: true
// expect: both ends of the heat are found
// exit: 0

use mobula::{CallError, Window, chain, parallel_for};

const POINTS: usize = 4000;
const STEPS: usize = 200;
const GRAIN: usize = 500;
const HEAT: f64 = 1e6;

/// The rod before and after a step; which is which changes from step to step.
fn rod(step: usize) -> Window<f64> {
    Window::open(if step % 2 == 0 { "even" } else { "odd" }, POINTS)
}

/// The same, with what others have pushed.
fn pulled(step: usize) -> Window<f64> {
    let window = rod(step);
    window.pull();
    window
}

#[mobula::func]
fn flow(step: usize) {
    let part = mobula::range();
    let (from, mut to) = (pulled(step), rod(step + 1));
    // The points of the part and one on each side; the ends are closed: what would flow out stays.
    let around = part.start.saturating_sub(1)..POINTS.min(part.end + 1);
    let before = from.shared(around.clone());
    let mut after = to.exclusive(part.clone());
    for (to, i) in after.iter_mut().zip(part.clone()) {
        let at = i - around.start;
        let here = before[at];
        let left = if i > 0 { before[at - 1] } else { here };
        let right = if i < POINTS - 1 { before[at + 1] } else { here };
        *to = here + 0.25 * (left - 2.0 * here + right);
    }
    drop(after);
    to.push();
}

/// From one end to the first point that is warm.
#[mobula::func]
fn search(upwards: bool) -> usize {
    let now = pulled(STEPS);
    let now = now.shared(0..POINTS);
    let warm = |at: &usize| now[*at] != 0.0;
    let mut points = 0..POINTS;
    if upwards { points.find(warm) } else { points.rev().find(warm) }.expect("heat is not lost")
}

#[mobula::main]
fn main() -> Result<(), CallError> {
    let mut start = rod(0);
    start.exclusive(POINTS / 2..POINTS / 2 + 1)[0] = HEAT;
    start.push();
    drop(start);
    for step in 0..STEPS {
        parallel_for(flow, 0..POINTS, GRAIN, &step).wait()?;
    }
    let now = pulled(STEPS);
    let total: f64 = now.iter().sum();
    let ordered = now.shared(0..POINTS / 2 + 1).is_sorted();
    println!("{STEPS} steps over {POINTS} points");
    println!("nothing is lost: {total:.0}\nin order of place: {ordered}");

    let mut calls = vec![chain(search, &true), chain(search, &false)];
    let mut found = Vec::new();
    while let Some((_, end)) = mobula::wait_any(&mut calls) {
        found.push(end?);
    }
    found.sort_unstable();
    // Heat moves one point a step in both directions.
    assert_eq!(found, [POINTS / 2 - STEPS, POINTS / 2 + STEPS]);
    println!("both ends of the heat are found");
    Ok(())
}
