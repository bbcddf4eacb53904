//! `save` and `restore`.

use qualm_pipeline::Rows;
use qualm_sandbox::{Failure, Guest};

use super::report::{Failed, Outcome, Passed};
use super::source::{Random, part};
use super::subject::{BATCH, Subject, check_same, score_rows};

/// Series that are saved and restored.
const SERIES: u32 = 40;

/// How often, at random rows.
const RESTORES: usize = 5;

/// State that must be refused: its description, its bytes, and the numbers that its series are restored under.
type BadState<'a> = (&'static str, Vec<u8>, &'a [Option<u32>]);

/// A guest restored from slices under other numbers scores as the one that was saved.
pub(super) fn continues(subject: &Subject) -> Outcome {
    let rows = subject.ordinary(SERIES, 2, 31);
    let mut random = Random::new(32);
    let mut points: Vec<usize> = (0..RESTORES).map(|_| random.below(rows.len())).collect();
    points.sort_unstable();
    points.push(rows.len());

    // The number of each series in the second guest; `None` once it is forgotten.
    let mut numbers: Vec<Option<u32>> = (0..SERIES).map(Some).collect();
    let (mut guest, mut other) = (subject.start()?, subject.start()?);
    let (mut start, mut bytes) = (0, 0);
    for end in points {
        let these = renumbered(&part(&rows, start..end), &numbers, |_, series| series);
        let those = renumbered(&part(&rows, start..end), &numbers, |number, _| number);
        let what = format!("a guest that went on, and one that was restored {start} rows into {}", rows.len());
        check_same(&score_rows(&mut guest, &these, BATCH)?, &score_rows(&mut other, &those, BATCH)?, &what)?;
        start = end;
        // One series is forgotten each time, by both.
        let gone = random.below(SERIES as usize);
        if let Some(number) = numbers[gone].take() {
            guest.forget_series(&[gone as u32])?;
            let mut next = subject.start()?;
            bytes = restore_into(&mut other, &mut next, &mut numbers, number, &mut random)?;
            other = next;
        }
    }
    Ok(Passed::ok(format!("{RESTORES} times within {} rows, the same to the last bit; last {bytes} bytes", rows.len())))
}

/// The rows of series that are not forgotten, under other numbers.
fn renumbered(rows: &Rows, numbers: &[Option<u32>], name: impl Fn(u32, u32) -> u32) -> Rows {
    let mut renumbered = Rows::new(rows.features());
    for (row, series) in rows.series.iter().enumerate() {
        if let Some(number) = numbers[*series as usize] {
            let values = row * rows.features()..(row + 1) * rows.features();
            renumbered.add_vector(name(number, *series), rows.times[row], &rows.values[values]);
        }
    }
    renumbered
}

/// Saves in slices, and restores them under new numbers into another guest, all but `gone`. Returns the bytes saved.
fn restore_into(
    from: &mut Guest,
    to: &mut Guest,
    numbers: &mut [Option<u32>],
    gone: u32,
    random: &mut Random,
) -> Result<usize, Failure> {
    let mut saved: Vec<u32> = numbers.iter().copied().flatten().chain([gone]).collect();
    saved.sort_unstable();
    let mut fresh: Vec<u32> = (0..saved.len() as u32).map(|number| 3 * number + 1).collect();
    for last in (1..fresh.len()).rev() {
        fresh.swap(last, random.below(last + 1));
    }
    let renamed = |number: u32| fresh[saved.binary_search(&number).unwrap_or_default()];
    let mut bytes = 0;
    let mut rest = saved.as_slice();
    while !rest.is_empty() {
        let (slice, after) = rest.split_at(rest.len().min(1 + random.below(20)));
        let state = from.save_series(slice)?;
        bytes += state.len();
        let new: Vec<_> = slice.iter().map(|number| (*number != gone).then(|| renamed(*number))).collect();
        to.restore_series(&state, &new)?;
        rest = after;
    }
    for number in numbers.iter_mut() {
        *number = number.map(renamed);
    }
    Ok(bytes)
}

/// Foreign or damaged state is refused, and changes nothing.
pub(super) fn refuses(subject: &Subject) -> Outcome {
    let rows = subject.ordinary(5, 3, 33);
    let (mut guest, mut reference) = (subject.start()?, subject.start()?);
    let half = rows.len() / 2;
    for guest in [&mut guest, &mut reference] {
        score_rows(guest, &part(&rows, 0..half), BATCH)?;
    }
    let all = [0, 1, 2, 3, 4];
    let state = guest.save_series(&all)?;
    let other: Vec<u8> = state.iter().enumerate().map(|(at, byte)| if at == 0 { byte ^ 0x80 } else { *byte }).collect();
    let numbers: Vec<_> = all.iter().copied().map(Some).collect();
    let mut bad: Vec<BadState<'_>> = vec![
        ("no bytes", Vec::new(), &numbers),
        ("noise", Random::new(34).bytes(200), &numbers),
        ("state of something else", br#"{"format":"of-nobody","series":[]}"#.to_vec(), &numbers),
        ("half of its state", state[..state.len() / 2].to_vec(), &numbers),
        ("its state but for the last byte", state[..state.len().saturating_sub(1)].to_vec(), &numbers),
        ("its state and a byte more", [&state[..], &[0xff]].concat(), &numbers),
        ("its state with another first byte", other, &numbers),
    ];
    // A detector without state cannot know the number of series.
    if state.len() != guest.save_series(&all[..4])?.len() {
        bad.push(("the state of 5 series and 4 numbers", state.clone(), &numbers[..4]));
    }
    for (what, state, numbers) in &bad {
        match guest.restore_series(state, numbers) {
            Err(Failure::Refused(why)) if why.starts_with("bad state") => {}
            Err(failure) => return Err(Failed::new(format!("given {what}, {failure}; it must answer bad-state"))),
            Ok(()) => return Err(Failed::new(format!("given {what}, it took that; it must answer bad-state"))),
        }
    }
    let rest = part(&rows, half..rows.len());
    check_same(
        &score_rows(&mut guest, &rest, BATCH)?,
        &score_rows(&mut reference, &rest, BATCH)?,
        "after bad state was refused, and without",
    )?;
    Ok(Passed::ok(format!("{} kinds of bad state are refused, and nothing changed", bad.len())))
}
