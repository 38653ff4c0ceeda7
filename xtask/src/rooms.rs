//! Whether the modules of loadgen depend on each other in one direction.
//!
//! A room is a module at the top of `loadgen/src`, with all that is below it; an arrow is a use of another room by
//! `crate::`. Invariant: where there is no circle the rooms can be put in an order in which no arrow points up.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use anyhow::{Context, Result, bail};

use crate::shell;

/// What each room uses.
type Arrows = BTreeMap<String, BTreeSet<String>>;

/// Prints the rooms from the ground up; fails, and prints the circles, if there are any.
pub(crate) fn run() -> Result<()> {
    let arrows = arrows(&shell::root().join("loadgen/src"))?;
    let circles = circles(&arrows);
    if circles.is_empty() {
        println!("loadgen, from the ground up: {}", floors(&arrows).join(" · "));
        return Ok(());
    }
    for circle in &circles {
        println!("a circle: {}", circle.join(" ↔ "));
    }
    bail!("{} circles between the modules of loadgen", circles.len())
}

fn arrows(source: &Path) -> Result<Arrows> {
    let mut arrows = Arrows::new();
    read(source, source, &mut arrows)?;
    let rooms: BTreeSet<String> = arrows.keys().cloned().collect();
    for (room, uses) in &mut arrows {
        // What is left out are names that the root exports, and a room's own.
        uses.retain(|name| name != room && rooms.contains(name));
    }
    Ok(arrows)
}

fn read(source: &Path, folder: &Path, arrows: &mut Arrows) -> Result<()> {
    let shown = folder.display().to_string();
    for entry in fs::read_dir(folder).with_context(|| shown.clone())? {
        let path = entry.with_context(|| shown.clone())?.path();
        if path.is_dir() {
            read(source, &path, arrows)?;
            continue;
        }
        let below = path.strip_prefix(source).unwrap_or(&path);
        let room = below.iter().next().map(|name| name.to_string_lossy().replace(".rs", ""));
        // The root and the command line are above all rooms.
        let Some(room) = room.filter(|room| !["lib", "main", "cli"].contains(&room.as_str())) else {
            continue;
        };
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        arrows.entry(room).or_default().extend(uses(&text));
    }
    Ok(())
}

/// The names that come right after `crate::` in a source text, those in braces among them; documentation uses
/// nothing.
fn uses(text: &str) -> BTreeSet<String> {
    let code: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    let code = code.join("\n");
    let mut names = BTreeSet::new();
    for after in code.split("crate::").skip(1) {
        match after.strip_prefix('{') {
            None => drop(names.insert(first_name(after))),
            Some(list) => names.extend(top_names(list)),
        }
    }
    names
}

fn first_name(text: &str) -> String {
    text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// The first name of each item of a list, up to the brace that ends it.
fn top_names(list: &str) -> Vec<String> {
    let (mut depth, mut names, mut item) = (0u32, Vec::new(), 0);
    for (at, c) in list.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => {
                names.push(first_name(&list[item..at]));
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                names.push(first_name(&list[item..at]));
                item = at + 1;
            }
            _ => {}
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

/// What a room reaches over any number of arrows.
fn reach<'a>(arrows: &'a Arrows, room: &'a str) -> BTreeSet<&'a str> {
    let (mut found, mut next) = (BTreeSet::new(), vec![room]);
    while let Some(room) = next.pop() {
        for used in arrows.get(room).into_iter().flatten() {
            if found.insert(used.as_str()) {
                next.push(used);
            }
        }
    }
    found
}

/// The groups of rooms of which each reaches each.
fn circles(arrows: &Arrows) -> Vec<Vec<&str>> {
    let reached: BTreeMap<&str, BTreeSet<&str>> =
        arrows.keys().map(|room| (room.as_str(), reach(arrows, room))).collect();
    let mut circles: Vec<Vec<&str>> = Vec::new();
    for (room, rooms) in &reached {
        if !rooms.contains(room) || circles.iter().any(|circle| circle.contains(room)) {
            continue;
        }
        let together =
            rooms.iter().copied().filter(|other| reached.get(other).is_some_and(|r| r.contains(room)));
        circles.push(together.collect());
    }
    circles
}

/// The rooms in an order in which each uses only those before it; there are no circles.
fn floors(arrows: &Arrows) -> Vec<&str> {
    let mut rooms: Vec<&str> = arrows.keys().map(String::as_str).collect();
    rooms.sort_by_key(|room| (reach(arrows, room).len(), *room));
    rooms
}

#[cfg(test)]
mod tests {
    use super::*;

    fn house(rooms: &[(&str, &str)]) -> Arrows {
        let list = |text: &str| text.split_whitespace().map(str::to_owned).collect();
        rooms.iter().map(|(room, uses)| ((*room).to_owned(), list(uses))).collect()
    }

    #[test]
    fn uses_are_found_in_lists_and_paths_and_not_in_documentation() {
        let text = "\
            //! See [`crate::nowhere`].\n\
            use crate::{\n    a::{self, inner::{X, Y}},\n    b, c::Z,\n};\n\
            use crate::d;\n\
            fn f(x: crate::e::T) {} // a remark after code counts as code\n";
        assert_eq!(uses(text).into_iter().collect::<Vec<_>>(), ["a", "b", "c", "d", "e"]);
    }

    #[test]
    fn circles_are_found_however_long() {
        let straight = house(&[("a", ""), ("b", "a"), ("c", "a b"), ("d", "c")]);
        assert_eq!(circles(&straight), Vec::<Vec<&str>>::new());
        assert_eq!(floors(&straight), ["a", "b", "c", "d"]);
        let bent = house(&[("a", "c"), ("b", "a"), ("c", "b"), ("d", "e c"), ("e", "d")]);
        assert_eq!(circles(&bent), [vec!["a", "b", "c"], vec!["d", "e"]]);
    }

    #[test]
    fn loadgen_has_no_circle() -> Result<()> {
        let arrows = arrows(&shell::root().join("loadgen/src"))?;
        assert!(arrows.len() > 10, "{arrows:?}");
        assert_eq!(circles(&arrows), Vec::<Vec<&str>>::new());
        Ok(())
    }
}
