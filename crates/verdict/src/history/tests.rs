use super::*;
use crate::random::Random;

/// A latency over runs: noise in parts of the level, and a step from a run on.
fn latency(random: &mut Random, runs: usize, noise: f64, step: Option<(usize, f64)>) -> Series {
    let values = (0..runs).map(|run| {
        let level = step.filter(|(at, _)| run >= *at).map_or(1.0, |(_, by)| 1.0 + by);
        level * (1.0 + noise * random.normal())
    });
    series(values)
}

fn series(values: impl Iterator<Item = f64>) -> Series {
    Series {
        sla: "s".to_owned(),
        name: "p99".to_owned(),
        unit: "s".to_owned(),
        phase: None,
        labels: Vec::new(),
        comparison: "<".to_owned(),
        limit: Some(5.0),
        points: values.enumerate().map(|(run, value)| Point { run, value }).collect(),
        changes: Vec::new(),
        note: String::new(),
    }
}

fn changes(mut series: Series) -> Vec<ChangePoint> {
    series.find_changes(&[]);
    series.changes
}

#[test]
fn a_step_of_a_tenth_is_found_within_three_runs_and_flat_histories_have_none() {
    let mut random = Random(11);
    let mut near = 0;
    for _ in 0..20 {
        assert_eq!(changes(latency(&mut random, 40, 0.05, None)), [], "a flat history");
        let found = changes(latency(&mut random, 40, 0.05, Some((20, 0.1))));
        let is_near = |c: &ChangePoint| c.run.abs_diff(20) <= 3 && c.direction == Direction::Worse;
        near += usize::from(found.len() == 1 && is_near(&found[0]));
    }
    assert!(near >= 19, "{near} of 20 steps were found within three runs");
}

#[test]
fn a_level_that_comes_back_is_two_changes_and_the_latest_counts() {
    let mut random = Random(3);
    let mut values: Vec<f64> = (0..45).map(|_| 1.0 + 0.02 * random.normal()).collect();
    values[15..30].iter_mut().for_each(|v| *v *= 1.3);
    let mut one = series(values.into_iter());
    one.find_changes(&[]);
    let found: Vec<_> = one.changes.iter().map(|c| (c.run, c.direction)).collect();
    assert_eq!(found, [(15, Direction::Worse), (30, Direction::Better)]);
    assert!(one.worsening().is_none());
    assert!(one.level().is_some_and(|level| (level - 1.0).abs() < 0.02), "{:?}", one.level());
}

#[test]
fn what_is_too_small_to_matter_is_no_change_and_one_odd_run_is_none() {
    let mut random = Random(5);
    let small = latency(&mut random, 40, 0.005, Some((20, 0.03)));
    assert_eq!(changes(small.clone()), []);
    let mut asked = small;
    asked.find_changes(&["2%".parse().expect("an effect")]);
    assert_eq!(asked.changes.len(), 1, "{:?}", asked.changes);
    let mut odd = latency(&mut random, 40, 0.02, None);
    odd.points[17].value = 3.0;
    assert_eq!(changes(odd), []);
    assert_eq!(changes(series([1.0; 40].into_iter())), []);
    assert_eq!(changes(series([1.0, 2.0].into_iter())), []);
    assert_eq!(changes(series(std::iter::empty())), []);
}

#[test]
fn more_of_what_should_be_much_is_better_and_neither_of_what_should_be_equal() {
    let mut random = Random(6);
    let base = latency(&mut random, 40, 0.02, Some((20, 0.5)));
    for (comparison, want) in [("<", Direction::Worse), (">=", Direction::Better), ("==", Direction::Changed)]
    {
        let found = changes(Series { comparison: comparison.to_owned(), ..base.clone() });
        assert_eq!(found.iter().map(|c| c.direction).collect::<Vec<_>>(), [want], "{comparison}");
    }
}

#[test]
fn the_same_history_has_the_same_changes() {
    let one = || changes(latency(&mut Random(9), 60, 0.05, Some((40, 0.15))));
    assert_eq!(one(), one());
    assert!(!one().is_empty());
}

/// Prints the figures of docs/history.md; two minutes in a release build.
#[test]
#[ignore = "a measurement"]
fn error_rates() {
    const HISTORIES: u32 = 1_000;
    let mut random = Random(1);
    let share = |count: u32| format!("{:.1} %", f64::from(count) / f64::from(HISTORIES) * 100.0);
    for runs in [20, 40, 100] {
        let flat = (0..HISTORIES).filter(|_| !changes(latency(&mut random, runs, 0.05, None)).is_empty());
        println!("flat, {runs} runs: {} with a change", share(flat.count() as u32));
    }
    println!("| step at run | found within 3 runs | another change besides |\n|---|---|---|");
    for at in [3, 5, 10, 20, 30, 35, 37] {
        let (mut near, mut besides) = (0, 0);
        for _ in 0..HISTORIES {
            let found = changes(latency(&mut random, 40, 0.05, Some((at, 0.1))));
            let is_near = |c: &&ChangePoint| c.run.abs_diff(at) <= 3;
            near += u32::from(found.iter().any(|c| is_near(&c)));
            besides += u32::from(found.iter().filter(|c| !is_near(c)).count() > 0);
        }
        println!("| {at} of 40 | {} | {} |", share(near), share(besides));
    }
    let mut values = |from: usize, to: usize| {
        let mut one = latency(&mut random, 40, 0.05, None);
        one.points.iter_mut().filter(|p| (from..to).contains(&p.run)).for_each(|p| p.value *= 1.2);
        changes(one)
    };
    for length in [5, 10] {
        let is_found = |found: Vec<ChangePoint>| match found.as_slice() {
            [up, down] => up.run.abs_diff(15) <= 3 && down.run.abs_diff(15 + length) <= 3,
            _ => false,
        };
        let found = (0..HISTORIES).filter(|_| is_found(values(15, 15 + length))).count();
        println!("+20 % for {length} runs of 40 and back: both found in {}", share(found as u32));
    }
    println!("| runs since the step of 10 % (20 before) | seen |\n|---|---|");
    for since in [3, 4, 5, 6, 8, 10] {
        let seen = (0..HISTORIES).filter(|_| {
            let found = changes(latency(&mut random, 20 + since, 0.05, Some((20, 0.1))));
            found.last().is_some_and(|c| c.run >= 17)
        });
        println!("| {since} | {} |", share(seen.count() as u32));
    }
}
