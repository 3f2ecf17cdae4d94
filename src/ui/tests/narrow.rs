//! Small windows, and what would get lost in them: hidden rows, cut names,
//! numbers whose meaning stood further right.

use std::collections::BTreeSet;

use crate::{
    app::Book,
    domain::text::Clean,
    engine::lane::Lane,
    ui::{
        fixture::{Cockpit, change_rollout, lane, large_world, looks, records, world},
        state::Event,
    },
};

fn at(service: &str, environment: &str, size: (u16, u16)) -> Cockpit {
    Cockpit::new(world(), size).at(service, environment)
}

/// The line that says `with`.
fn row(picture: &str, with: &str) -> String {
    let row = picture.lines().find(|line| line.contains(with));
    row.unwrap_or_else(|| panic!("no `{with}` in\n{picture}"))
        .to_owned()
}

/// Where `text` begins in a line, in cells.
fn column(line: &str, text: &str) -> usize {
    let (before, _) = line
        .split_once(text)
        .unwrap_or_else(|| panic!("no `{text}` in {line}"));
    before.chars().count()
}

/// The lines of the sheet that lies over the screen.
fn sheet(picture: &str) -> String {
    let lines = picture
        .lines()
        .filter(|line| line.starts_with(['┌', '│', '└']));
    lines.fold(String::new(), |all, line| all + line + "\n")
}

/// A world in which six approvals wait.
fn asked() -> Cockpit {
    let mut world = world();
    let asked = world.lanes[&lane("fraud-score", "prod-us")].clone();
    for index in 0..5 {
        let service = crate::domain::id::ServiceName::new(format!("asked-{index}"));
        let row = Lane {
            service: service.clone(),
            ..asked.clone()
        };
        world.lanes.insert((service, row.environment.clone()), row);
    }
    world.revision += 1;
    Cockpit::new(world, (80, 24))
}

#[test]
fn a_queue_that_does_not_fit_says_how_much_is_hidden() {
    let picture = asked().picture();
    assert!(
        row(&picture, "waits for a person 8").contains("… 4 more"),
        "{picture}"
    );
}

#[test]
fn a_table_that_does_not_fit_says_which_rows_it_shows() {
    let mut cockpit = Cockpit::new(large_world(50), (80, 24));
    let picture = cockpit.picture();
    assert!(picture.contains("rows 1–16 of 50"), "{picture}");
    assert!(picture.contains("\n↓"), "{picture}");
    assert!(!picture.contains("\n↑"), "{picture}");
    cockpit.keys("G");
    let picture = cockpit.picture();
    assert!(picture.contains("rows 35–50 of 50"), "{picture}");
    assert!(picture.contains("\n↑"), "{picture}");
}

#[test]
fn the_legend_of_a_small_window_names_what_does_not_speak_for_itself() {
    let picture = at("recsys-ranker", "prod-eu", (80, 24)).picture();
    for sign in [
        "? missing",
        "~ stale",
        "E error",
        "· later",
        "– n/a",
        "✗ fail",
    ] {
        assert!(row(&picture, "Acc Lat").contains(sign), "{picture}");
    }
}

#[test]
fn ten_stages_keep_their_names_in_eighty_columns() {
    let mut cockpit = at("fraud-score", "prod-us", (80, 24));
    cockpit.keys("2");
    let picture = cockpit.picture();
    let names = "commit  tests   train   eval    gates   build   staging approve rollout live";
    assert!(picture.contains(names), "{picture}");
}

#[test]
fn help_begins_with_what_acts_on_this_release() {
    let mut cockpit = at("recsys-ranker", "prod-eu", (80, 24));
    cockpit.keys("?");
    let picture = cockpit.picture();
    assert!(picture.contains("┌─ on this release"), "{picture}");
    assert!(picture.contains("B  abort"), "{picture}");
    cockpit.keys("⇥");
    assert!(cockpit.picture().contains("next row"));
}

#[test]
fn a_key_of_help_that_is_not_on_screen_cannot_be_run() {
    let mut cockpit = at("recsys-ranker", "prod-eu", (80, 24));
    cockpit.keys("?jjj⏎");
    assert!(cockpit.picture().contains("┌─ on this release"));
    cockpit.keys("⇥Gjj");
    assert!(cockpit.picture().contains("▶"), "{}", cockpit.picture());
}

#[test]
fn numbers_beside_each_other_say_which_is_whose_and_their_unit() {
    let mut cockpit = at("recsys-ranker", "prod-eu", (120, 40));
    let picture = cockpit.picture();
    assert!(picture.contains("canary / stable"), "{picture}");
    assert!(picture.contains("212 / 208 ms"), "{picture}");
    change_rollout(&mut cockpit.world, "recsys-ranker", |rollout| {
        rollout.stable_hash.clone_from(&rollout.current_hash);
    });
    let picture = cockpit.picture();
    assert!(!picture.contains("canary / stable"), "{picture}");
    assert!(!picture.contains("212 / 208"), "{picture}");
}

#[test]
fn a_chart_of_ascii_has_three_signs_in_its_legend() {
    let [.., (_, ascii)] = looks();
    let mut cockpit = at("recsys-ranker", "prod-eu", (120, 40)).looking(ascii);
    cockpit.keys("5");
    let picture = cockpit.picture();
    let legend = row(&picture, "limit   last");
    assert!(
        legend.contains("* canary") && legend.contains(". stable") && legend.contains("- limit"),
        "{legend}"
    );
}

#[test]
fn whether_it_waits_for_you_is_said_only_where_it_is_known() {
    let mut cockpit = at("recsys-ranker", "prod-eu", (120, 40));
    let picture = cockpit.picture();
    assert!(row(&picture, "held 30 %").contains("person"), "{picture}");
    cockpit.keys("/waits:you⏎");
    let shown: Vec<&str> = cockpit
        .state
        .fleet
        .order
        .iter()
        .map(|id| id.0.as_str())
        .collect();
    assert_eq!(shown, ["fraud-score"]);
}

#[test]
fn columns_of_the_timeline_stand_under_each_other() {
    let mut cockpit = at("recsys-ranker", "prod-eu", (120, 60));
    cockpit.keys("2");
    let picture = cockpit.picture();
    let long = row(&picture, "evaluate vs champion");
    let short = row(&picture, "build image  ");
    assert_eq!(
        column(&long, "succeeded"),
        column(&short, "succeeded"),
        "{picture}"
    );
}

#[test]
fn the_audit_of_a_small_window_keeps_environment_and_reason() {
    let mut cockpit = at("recsys-ranker", "prod-eu", (80, 24));
    cockpit.keys("6");
    let mut lines = records();
    lines[1].step = Some(1);
    lines[1].steps = Some(3);
    cockpit.tell(Event::Ledger(Ok(Book {
        records: lines,
        problems: Vec::new(),
    })));
    let picture = cockpit.picture();
    assert!(picture.contains("recsys-ranker prod-eu"), "{picture}");
    assert!(picture.contains("REASON"), "{picture}");
    assert!(picture.contains("2/3 hold"), "a step is no plan: {picture}");
}

#[test]
fn the_audit_names_lines_that_are_not_as_they_were_written() {
    let problem = |line: u32| -> Clean {
        Clean::from(format!(
            "line {line} was changed: it is no line of a ledger"
        ))
    };
    for (size, damaged) in [((80, 24), 1), ((80, 24), 9), ((120, 40), 9)] {
        let mut cockpit = at("recsys-ranker", "prod-eu", size);
        cockpit.keys("6");
        cockpit.tell(Event::Ledger(Ok(Book {
            records: records(),
            problems: (1..=damaged).map(problem).collect(),
        })));
        let picture = cockpit.picture();
        assert!(row(&picture, "ledger  ").contains("broken"), "{picture}");
        assert!(picture.contains("✗ line 1 was changed"), "{picture}");
        assert_eq!(picture.contains("… 7 more"), damaged == 9, "{picture}");
        assert!(picture.contains("audit verify"), "{picture}");
        // What can be read is still there.
        assert!(picture.contains("REASON"), "{picture}");
        assert!(picture.contains("recsys-ranker prod-eu"), "{picture}");
    }
}

#[test]
fn while_a_filter_is_typed_no_key_is_promised_that_is_text() {
    let mut cockpit = at("recsys-ranker", "prod-eu", (80, 24));
    cockpit.keys("/rec");
    let picture = cockpit.picture();
    assert!(!row(&picture, "as before").contains("help"), "{picture}");
}

#[test]
fn a_wide_but_low_window_says_why_and_what_acts() {
    let picture = at("recsys-ranker", "prod-eu", (200, 12)).picture();
    assert!(picture.contains("fairness 0.071 > 0.05"), "{picture}");
    assert!(picture.contains("B R from 44×14 on"), "{picture}");
    let picture = at("ads-ctr", "prod-us", (200, 16)).picture();
    assert!(picture.contains("H hold"), "{picture}");
    assert!(picture.contains("B abort"), "{picture}");
}

#[test]
fn every_page_of_a_sheet_says_whose_release_it_is_and_where() {
    for verb in ['B', 'R'] {
        let mut cockpit = at("recsys-ranker", "prod-eu", (44, 14));
        cockpit.press(verb);
        cockpit.flush();
        let pages = cockpit.state.sheet().unwrap().pages;
        assert!(1 < pages, "{}", cockpit.picture());
        for _ in 0..pages {
            let sheet = sheet(&cockpit.picture());
            assert!(sheet.contains("recsys-ranker"), "{sheet}");
            assert!(sheet.contains("prod-eu critical  2026.08.21-3"), "{sheet}");
            assert!(sheet.contains("press  "), "{sheet}");
            cockpit.keys("d");
        }
    }
}

#[test]
fn names_that_do_not_fit_the_frame_stand_below_it() {
    let mut cockpit = at("recsys-ranker", "prod-eu", (44, 50));
    cockpit.keys("B");
    let picture = sheet(&cockpit.picture());
    assert_eq!(cockpit.state.sheet().unwrap().pages, 1, "{picture}");
    assert!(
        picture.contains("prod-eu critical  2026.08.21-3"),
        "{picture}"
    );
}

#[test]
fn a_sheet_says_the_chosen_reason_in_any_window() {
    let mut cockpit = at("recsys-ranker", "prod-eu", (44, 14));
    cockpit.keys("B");
    for (key, reason) in [
        ("1", "(1 metric regression)"),
        ("2", "(2 user report)"),
        ("3", "(3 bad data)"),
    ] {
        cockpit.keys(key);
        let picture = sheet(&cockpit.picture());
        assert!(picture.contains(reason), "{picture}");
    }
}

#[test]
fn a_sheet_says_how_old_the_word_of_every_backend_is() {
    let mut cockpit = at("recsys-ranker", "prod-eu", (44, 50));
    cockpit.keys("B");
    let picture = sheet(&cockpit.picture());
    for backend in ["k8s ✓ 1s", "mlflow ✓ 9s", "prom ✓ 4s", "gh ✓ 2s"] {
        assert!(picture.contains(backend), "{picture}");
    }
}

/// Sizes from the smallest usual one on, breakpoints and their neighbours among them.
fn larger() -> impl Iterator<Item = (u16, u16)> {
    let widths = [80, 99, 100, 114, 115, 119, 120, 140, 160, 169, 170, 200];
    let heights = [24, 29, 30, 34, 35, 36, 40, 41, 60];
    widths
        .into_iter()
        .flat_map(move |width| heights.map(move |height| (width, height)))
}

/// Words of a line: what is cut, drawn or counts the rest (`… 3 more`) is none.
fn words(line: &str) -> BTreeSet<&str> {
    let mut words = BTreeSet::new();
    let mut all = line.split_whitespace();
    while let Some(word) = all.next() {
        if word == "…" {
            all.nth(1);
        } else if !word.contains(['…', '│', '█', '░', '┌']) {
            words.insert(word);
        }
    }
    words
}

#[test]
fn no_larger_window_shows_less_of_the_fleet_than_the_smallest() {
    for (service, environment) in [("recsys-ranker", "prod-eu"), ("fraud-score", "prod-us")] {
        let mut cockpit = at(service, environment, (80, 24));
        let small = cockpit.picture();
        for size in larger() {
            cockpit.tell(Event::Resize(size.0, size.1));
            let picture = cockpit.picture();
            for begins in [
                "RELEASE",
                "recsys-ranker",
                "fraud-score",
                "med-imaging",
                "ads-ctr",
            ] {
                // The last one: the queue names some of them before the table does.
                let of = |picture: &str| {
                    let row = picture.lines().rfind(|line| line.contains(begins));
                    row.unwrap_or_default().to_owned()
                };
                let (less, more) = (of(&small), of(&picture));
                assert!(
                    words(&less).is_subset(&words(&more)),
                    "{size:?}: {less}\n{more}\n{picture}"
                );
            }
        }
    }
}

/// What a release's gates and first metric say, and which keys its hint line names.
fn gates_and_keys(picture: &str) -> String {
    let gates = picture
        .lines()
        .skip_while(|line| !line.contains("┌─ gates"));
    let gates = gates.skip(1).take_while(|line| !line.starts_with('└'));
    let keys = picture.lines().last().unwrap_or_default();
    // The first metric is among what the smallest window has room for.
    let metric = picture
        .lines()
        .find_map(|line| line.split_once("latency_p95"))
        .map(|(_, values)| values);
    let lines: Vec<&str> = gates.chain(metric).chain([keys]).collect();
    lines.join("\n")
}

#[test]
fn no_larger_window_shows_less_of_a_release_than_the_smallest() {
    for (service, environment) in [
        ("recsys-ranker", "prod-eu"),
        ("med-imaging", "prod-eu"),
        ("fraud-score", "prod-us"),
    ] {
        let mut cockpit = at(service, environment, (80, 24));
        cockpit.keys("2");
        let small = gates_and_keys(&cockpit.picture());
        assert!(3 < small.lines().count(), "{small}");
        for size in larger() {
            cockpit.tell(Event::Resize(size.0, size.1));
            let picture = cockpit.picture();
            let large = gates_and_keys(&picture);
            assert!(
                words(&small).is_subset(&words(&large)),
                "{size:?} shows less than\n{small}\n{picture}"
            );
        }
    }
}

#[test]
fn no_larger_window_shows_less_of_an_analysis_than_the_smallest() {
    let analyses = |picture: &str| -> String {
        let lines = picture
            .lines()
            .skip_while(|line| !line.contains("┌─ analyses"));
        let lines: Vec<&str> = lines.skip(1).take_while(|l| !l.starts_with('└')).collect();
        lines.join("\n")
    };
    let mut cockpit = at("recsys-ranker", "prod-eu", (80, 24));
    cockpit.keys("5");
    let small = analyses(&cockpit.picture());
    assert!(small.contains("result[0] <= 250"), "{small}");
    for size in larger() {
        cockpit.tell(Event::Resize(size.0, size.1));
        let picture = cockpit.picture();
        assert!(
            words(&small).is_subset(&words(&analyses(&picture))),
            "{size:?} shows less than\n{small}\n{picture}"
        );
    }
}
