//! The ledger under hands, crashes and crowds.

mod hangs;
mod spooled;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    thread,
};

use gonogo::{
    domain::{
        Timestamp,
        action::{Order, RolloutAction, RolloutOrder, RolloutSeen},
        id::{BackendId, PlanId, TargetId, TargetKind},
        observation::ActionOutcome,
        permit::Identity,
        text::Clean,
    },
    store::{
        Actor, Admission, Entry, EntryKind, Ledger, Paths, Place, RecordKind, Report, Seal, Writer,
        checkpoint::{self, Kept},
        verify,
    },
};
use proptest::prelude::*;
use tempfile::TempDir;

/// Tells the test binary that it is a child, and which ledger to write to.
const CHILD: &str = "LEDGER_TEST_FILE";

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_timestamp(1_760_000_000 + seconds, 0).unwrap()
}

fn paths(folder: &Path) -> Paths {
    Paths {
        ledger: folder.join("state/ledger.jsonl"),
        spools: vec![
            folder.join("cache/spool.jsonl"),
            folder.join("tmp/spool.jsonl"),
        ],
    }
}

fn ledger(folder: &Path) -> Arc<Ledger> {
    Arc::new(Ledger::new(paths(folder), Writer::this_process()))
}

fn actor() -> Actor {
    Actor {
        os_user: "mara".into(),
        backends: vec![Identity {
            backend: BackendId::new("prod"),
            name: None,
            learnt_by: "SelfSubjectReview: 404".into(),
        }],
    }
}

fn intent(plan: &str, step: u32, action: RolloutAction) -> Entry {
    Entry {
        plan: Some(PlanId::new(plan)),
        step: Some(step),
        steps: Some(2),
        order: Some(Order::Rollout(RolloutOrder {
            target: TargetId {
                backend: BackendId::new("prod"),
                kind: TargetKind::Rollout,
                namespace: "recsys".into(),
                name: "ranker".into(),
            },
            action,
            seen: RolloutSeen {
                uid: "u-1".into(),
                pod_hash: Some("7c9d".into()),
                step: Some(2),
                paused_since: None,
            },
        })),
        ..Entry::new(EntryKind::Intent, "promote", actor())
    }
}

fn brake(plan: &str) -> Entry {
    Entry {
        brake: true,
        ..intent(plan, 0, RolloutAction::Abort)
    }
}

fn outcome(plan: &str, step: Option<u32>) -> Entry {
    Entry {
        plan: Some(PlanId::new(plan)),
        step,
        outcome: Some(ActionOutcome::Confirmed),
        ..Entry::new(EntryKind::Outcome, "promote", actor())
    }
}

fn note(text: &str) -> Entry {
    Entry {
        note: Clean::line(text),
        ..Entry::new(EntryKind::Note, "", actor())
    }
}

/// A folder with a ledger of this many notes in it.
fn filled(lines: usize) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let ledger = ledger(folder.path());
    for line in 0..lines {
        ledger
            .append(&note(&format!("remark {line}")), at(0))
            .unwrap();
    }
    let path = ledger.path().to_owned();
    (folder, path)
}

fn lines_of(path: &Path) -> Vec<String> {
    fs::read_to_string(path)
        .unwrap()
        .lines()
        .map(str::to_owned)
        .collect()
}

fn write_lines(path: &Path, lines: &[String]) {
    fs::write(
        path,
        lines
            .iter()
            .map(|line| format!("{line}\n"))
            .collect::<String>(),
    )
    .unwrap();
}

#[track_caller]
fn check_broken(path: &Path, words: &str) -> Report {
    let report = verify(path, None).unwrap();
    assert_eq!(report.seal(), Seal::Broken, "{report:?}");
    assert!(
        report
            .problems
            .iter()
            .any(|problem| problem.contains(words)),
        "no problem says `{words}`: {:#?}",
        report.problems
    );
    report
}

#[test]
fn lines_follow_each_other_and_say_who_what_and_how_it_is_known() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = ledger(folder.path());
    ledger
        .append(&intent("p1", 0, RolloutAction::PromoteFull), at(1))
        .unwrap();
    ledger.append(&outcome("p1", None), at(2)).unwrap();
    let records = ledger.reader().read_new().unwrap();
    assert_eq!(
        records.iter().map(|record| record.seq).collect::<Vec<_>>(),
        [1, 2]
    );
    let raw = &records[0].raw;
    assert_eq!(raw["v"], 1);
    assert_eq!(raw["type"], "intent");
    assert_eq!(raw["time"], "2025-10-09T08:53:21.000Z");
    assert_eq!(raw["action"], "promote-full");
    assert_eq!(raw["actor"]["os_user"], "mara");
    assert_eq!(raw["actor"]["backends"][0]["name"], serde_json::Value::Null);
    assert_eq!(
        raw["actor"]["backends"][0]["learnt_by"],
        "SelfSubjectReview: 404"
    );
    assert_eq!(raw["seen"]["uid"], "u-1");
    assert_eq!(records[1].raw["prev"], raw["hash"]);
    let report = verify(ledger.path(), None).unwrap();
    assert_eq!((report.seal(), report.lines), (Seal::Intact, 2));
}

#[test]
fn a_line_written_by_a_stranger_of_a_later_version_stays_in_the_chain() {
    let (_folder, path) = filled(1);
    let first: serde_json::Value = serde_json::from_str(&lines_of(&path)[0]).unwrap();
    let mut later = serde_json::json!({
        "v": 9, "seq": 2, "time": "2031-01-01T00:00:00.000Z", "type": "blessing",
        "prev": first["hash"], "colour": "blue",
    });
    later["hash"] = gonogo::store::chain::hash_of(&later).unwrap().into();
    let text = gonogo::store::chain::canonical(&later).unwrap();
    write_lines(&path, &[lines_of(&path)[0].clone(), text]);
    let folder = path.parent().unwrap().parent().unwrap();
    ledger(folder).append(&note("after"), at(0)).unwrap();
    let report = verify(&path, None).unwrap();
    assert_eq!(
        (report.seal(), report.lines),
        (Seal::Intact, 3),
        "{report:?}"
    );
}

#[test]
fn a_flipped_line_is_named() {
    let (_folder, path) = filled(4);
    let text = fs::read_to_string(&path)
        .unwrap()
        .replace("remark 2", "remark 7");
    fs::write(&path, text).unwrap();
    let report = check_broken(&path, "line 3 (number 3) was changed");
    assert_eq!(report.problems.len(), 1, "{:#?}", report.problems);
}

#[test]
fn a_dropped_line_is_named() {
    let (_folder, path) = filled(5);
    let mut lines = lines_of(&path);
    lines.remove(2);
    write_lines(&path, &lines);
    let report = check_broken(&path, "before line 3: number 3 is missing");
    assert_eq!(report.problems.len(), 1, "{:#?}", report.problems);
}

#[test]
fn reordered_and_repeated_lines_are_named() {
    let (_folder, path) = filled(5);
    let mut lines = lines_of(&path);
    lines.swap(1, 2);
    write_lines(&path, &lines);
    check_broken(
        &path,
        "line 3 is out of order: number 2 stands after number 3",
    );
    lines.swap(1, 2);
    lines.insert(3, lines[1].clone());
    write_lines(&path, &lines);
    check_broken(&path, "line 4 repeats number 2 of line 2");
}

#[test]
fn a_cut_end_is_named_against_the_checkpoint() {
    let (_folder, path) = filled(5);
    let lines = lines_of(&path);
    write_lines(&path, &lines[..3]);
    check_broken(
        &path,
        "the last line is number 3, the checkpoint beside the ledger knows number 5",
    );
    fs::remove_file(&path).unwrap();
    check_broken(&path, "the last line is number 0");
}

#[test]
fn a_cut_end_with_its_checkpoint_gone_too_needs_one_kept_elsewhere() {
    let (_folder, path) = filled(5);
    let kept = verify(&path, None).unwrap().last.unwrap();
    let lines = lines_of(&path);
    write_lines(&path, &lines[..3]);
    fs::remove_file(checkpoint::path_of(&path)).unwrap();
    assert_eq!(verify(&path, None).unwrap().seal(), Seal::CannotTell);
    let report = verify(&path, Some(&kept)).unwrap();
    assert_eq!(report.seal(), Seal::Broken);
    assert!(
        report.problems[0].contains("the checkpoint given knows number 5"),
        "{report:?}"
    );
}

#[test]
fn a_ledger_written_anew_is_not_the_one_the_checkpoint_knows() {
    let (_folder, path) = filled(3);
    let kept = verify(&path, None).unwrap().last.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let other = ledger(folder.path());
    for text in ["remark 0", "another past", "remark 2"] {
        other.append(&note(text), at(0)).unwrap();
    }
    let report = verify(other.path(), Some(&kept)).unwrap();
    assert!(
        report.problems[0].contains("the ledger was rewritten"),
        "{report:?}"
    );
}

#[test]
fn lines_cut_off_before_the_next_append_stay_missed_for_ever() {
    let (folder, path) = filled(5);
    let lines = lines_of(&path);
    write_lines(&path, &lines[..3]);
    let written = ledger(folder.path())
        .append(&note("business as usual"), at(0))
        .unwrap();
    assert_eq!(written.seq, 7, "numbers are not used twice");
    check_broken(
        &path,
        "before line 4: numbers 4 to 5 are missing; the next writer noticed and said so",
    );
}

#[test]
fn a_torn_tail_is_set_aside_and_named_and_the_numbers_go_on() {
    for fresh in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let first = ledger(folder.path());
        first.append(&note("whole"), at(0)).unwrap();
        let path = first.path().to_owned();
        let torn = br#"{"v":1,"seq":2,"type":"inte"#;
        let mut text = fs::read(&path).unwrap();
        text.extend_from_slice(torn);
        fs::write(&path, text).unwrap();
        assert!(
            verify(&path, None).unwrap().remarks[0].contains("torn tail: 27 bytes after line 1")
        );
        let next = if fresh { ledger(folder.path()) } else { first };
        next.append(&note("after the crash"), at(0)).unwrap();
        let records = next.reader().read_new().unwrap();
        assert_eq!(
            records.iter().map(|record| record.seq).collect::<Vec<_>>(),
            [1, 2, 3]
        );
        assert_eq!(records[1].kind, RecordKind::Torn);
        assert_eq!(records[1].raw["lost"]["bytes"], 27);
        let aside = path.with_file_name(records[1].raw["lost"]["file"].as_str().unwrap());
        assert_eq!(fs::read(aside).unwrap(), torn);
        let report = verify(&path, None).unwrap();
        assert_eq!(report.seal(), Seal::Intact, "{report:?}");
        assert!(
            report.remarks[0].contains("a torn tail was set aside here as `ledger.jsonl.torn-2`")
        );
    }
}

#[test]
fn a_tail_set_aside_by_a_process_that_died_next_is_named_by_the_one_after() {
    let (folder, path) = filled(1);
    fs::write(path.with_file_name("ledger.jsonl.torn-2"), "{\"v\":1").unwrap();
    ledger(folder.path()).append(&note("next"), at(0)).unwrap();
    let records = ledger(folder.path()).reader().read_new().unwrap();
    assert_eq!(records[1].kind, RecordKind::Torn);
}

#[test]
fn nothing_follows_a_last_line_that_cannot_be_read() {
    let (folder, path) = filled(2);
    fs::write(&path, format!("{}\ngarbage\n", lines_of(&path)[0])).unwrap();
    let error = ledger(folder.path()).append(&note("x"), at(0)).unwrap_err();
    assert!(
        error.to_string().contains("line 2 of the ledger"),
        "{error}"
    );
    assert_eq!(lines_of(&path)[1], "garbage", "nothing is overwritten");
}

#[test]
fn of_two_throttles_exactly_one_goes_ahead_and_the_other_learns_who_was_first() {
    let folder = tempfile::tempdir().unwrap();
    let (one, other) = (ledger(folder.path()), ledger(folder.path()));
    let admitted = one
        .append_unless_busy(&intent("p1", 0, RolloutAction::Continue), at(1))
        .unwrap();
    assert!(matches!(admitted, Admission::Written(_)));
    let refused = other
        .append_unless_busy(&intent("p2", 0, RolloutAction::Continue), at(2))
        .unwrap();
    let Admission::Busy(first) = refused else {
        panic!("two throttles at once: {refused:?}")
    };
    let text = first.to_string();
    assert!(
        text.starts_with("mara was first: `promote` on rollout prod:recsys/ranker since 08:53:21Z"),
        "{text}"
    );
    assert!(first.alive);
    one.append(&outcome("p1", Some(0)), at(3)).unwrap();
    let next = other
        .append_unless_busy(&intent("p2", 0, RolloutAction::Continue), at(4))
        .unwrap();
    assert!(matches!(next, Admission::Written(_)), "{next:?}");
}

#[test]
fn a_plan_is_not_in_its_own_way() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = ledger(folder.path());
    for step in 0..2 {
        let admitted = ledger
            .append_unless_busy(&intent("p1", step, RolloutAction::Continue), at(1))
            .unwrap();
        assert!(matches!(admitted, Admission::Written(_)), "{admitted:?}");
    }
}

#[test]
fn a_brake_is_written_despite_another_plan_which_then_stops_before_its_next_step() {
    let folder = tempfile::tempdir().unwrap();
    let (one, other) = (ledger(folder.path()), ledger(folder.path()));
    one.append_unless_busy(&intent("promote", 0, RolloutAction::PromoteFull), at(1))
        .unwrap();
    assert_eq!(one.overtaken(&PlanId::new("promote"), at(9)).unwrap(), None);
    other.append_or_spool(&brake("abort"), at(2)).unwrap();
    other.append(&outcome("abort", None), at(3)).unwrap();
    one.append(&outcome("promote", Some(0)), at(4)).unwrap();
    assert!(
        one.overtaken(&PlanId::new("promote"), at(9))
            .unwrap()
            .is_some()
    );
    let next = one
        .append_unless_busy(&intent("promote", 1, RolloutAction::Continue), at(5))
        .unwrap();
    assert!(matches!(next, Admission::Overtaken(_)), "{next:?}");
    let later = one
        .append_unless_busy(&intent("again", 0, RolloutAction::Continue), at(6))
        .unwrap();
    assert!(
        matches!(later, Admission::Written(_)),
        "a brake of the past stops nothing new"
    );
}

/// A process that wrote and has ended.
fn dead_writer() -> Writer {
    let mut child = Command::new("true").spawn().unwrap();
    let writer = Writer {
        pid: child.id(),
        start: Some("then".into()),
        ..Writer::this_process()
    };
    child.wait().unwrap();
    writer
}

#[test]
fn only_what_a_dead_process_left_open_is_to_be_settled() {
    let folder = tempfile::tempdir().unwrap();
    let dead = Ledger::new(paths(folder.path()), dead_writer());
    dead.append(&intent("left", 0, RolloutAction::Hold), at(1))
        .unwrap();
    let living = ledger(folder.path());
    living
        .append(&intent("mine", 0, RolloutAction::Hold), at(2))
        .unwrap();
    let open = living.unsettled(at(3)).unwrap();
    assert_eq!(open.len(), 1);
    assert_eq!(open[0].plan, Some(PlanId::new("left")));
    assert!(open[0].order.is_some(), "it can be looked for");
    living.append(&outcome("left", Some(0)), at(4)).unwrap();
    assert_eq!(living.unsettled(at(5)).unwrap(), []);
}

#[test]
fn without_a_ledger_a_throttle_is_refused_and_a_brake_goes_to_a_spool() {
    let folder = tempfile::tempdir().unwrap();
    // A file where the folder should be: true also for the superuser.
    fs::write(folder.path().join("state"), "").unwrap();
    let ledger = ledger(folder.path());
    let error = ledger
        .append_unless_busy(&intent("p", 0, RolloutAction::Continue), at(1))
        .unwrap_err();
    assert!(error.to_string().contains("state"), "{error}");
    let place = ledger.append_or_spool(&brake("b"), at(2)).unwrap();
    let Place::Spool { path, .. } = place else {
        panic!("{place:?}")
    };
    assert_eq!(path, folder.path().join("cache/spool.jsonl"));

    fs::remove_file(folder.path().join("state")).unwrap();
    assert_eq!(ledger.absorb_spools(at(3)).unwrap(), 1);
    assert_eq!(ledger.absorb_spools(at(3)).unwrap(), 0);
    let records = ledger.reader().read_new().unwrap();
    assert_eq!(records[0].plan, Some(PlanId::new("b")));
    assert_eq!(records[0].at, Some(at(2)), "the stamp is that of the deed");
    assert!(
        records[0].raw["spooled"]
            .as_str()
            .unwrap()
            .starts_with("sha256:")
    );
    assert_eq!(verify(ledger.path(), None).unwrap().seal(), Seal::Intact);
}

#[test]
fn a_spool_that_was_taken_over_but_not_emptied_is_not_taken_over_twice() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("state"), "").unwrap();
    let ledger = ledger(folder.path());
    ledger.append_or_spool(&brake("b"), at(2)).unwrap();
    let spool = folder.path().join("cache/spool.jsonl");
    let text = fs::read(&spool).unwrap();
    fs::remove_file(folder.path().join("state")).unwrap();
    ledger.absorb_spools(at(3)).unwrap();
    fs::write(&spool, text).unwrap();
    assert_eq!(ledger.absorb_spools(at(4)).unwrap(), 0);
    assert_eq!(ledger.reader().read_new().unwrap().len(), 1);
}

#[test]
fn when_nothing_can_be_written_every_reason_is_told() {
    let folder = tempfile::tempdir().unwrap();
    for blocked in ["state", "cache", "tmp"] {
        fs::write(folder.path().join(blocked), "").unwrap();
    }
    let stranded = ledger(folder.path())
        .append_or_spool(&brake("b"), at(1))
        .unwrap_err();
    let text = stranded.to_string();
    for blocked in ["state", "cache", "tmp"] {
        assert!(text.contains(blocked), "{text}");
    }
}

#[test]
fn many_threads_write_one_chain() {
    let folder = tempfile::tempdir().unwrap();
    thread::scope(|scope| {
        for writer in 0..4 {
            let ledger = ledger(folder.path());
            scope.spawn(move || {
                for line in 0..10 {
                    ledger
                        .append(&note(&format!("{writer}/{line}")), at(0))
                        .unwrap();
                }
            });
        }
    });
    let report = verify(ledger(folder.path()).path(), None).unwrap();
    assert_eq!(
        (report.seal(), report.lines),
        (Seal::Intact, 40),
        "{report:?}"
    );
}

#[test]
fn of_many_processes_exactly_one_acts_on_a_target() {
    let folder = tempfile::tempdir().unwrap();
    let children: Vec<_> = (0..4)
        .map(|_| {
            Command::new(std::env::current_exe().unwrap())
                .args([
                    "--exact",
                    "ledger::one_process_of_many",
                    "--ignored",
                    "--nocapture",
                ])
                .env(CHILD, folder.path())
                .stdout(std::process::Stdio::piped())
                .spawn()
                .unwrap()
        })
        .collect();
    let told: String = children
        .into_iter()
        .map(|child| String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap())
        .collect();
    assert_eq!(told.matches("ADMITTED").count(), 1, "{told}");
    assert_eq!(told.matches("REFUSED").count(), 3, "{told}");
    assert_eq!(verify(ledger(folder.path()).path(), None).unwrap().lines, 1);
}

#[test]
#[ignore = "the body of the processes started by the test above"]
fn one_process_of_many() {
    let folder = PathBuf::from(std::env::var_os(CHILD).expect("run by the test above"));
    let plan = format!("p{}", std::process::id());
    let entry = intent(&plan, 0, RolloutAction::Continue);
    match ledger(&folder).append_unless_busy(&entry, at(1)).unwrap() {
        Admission::Written(_) => println!("ADMITTED"),
        Admission::Busy(first) | Admission::Overtaken(first) => println!("REFUSED {first}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    /// Any byte changed into any other is noticed, and so is any line left out,
    /// moved or doubled.
    #[test]
    fn no_change_goes_unnoticed(place in 0_usize..10_000, other in any::<u8>(), kind in 0_u8..4) {
        let (_folder, path) = SIX.with(copy);
        let mut bytes = fs::read(&path).unwrap();
        let mut lines = lines_of(&path);
        let line = place % lines.len();
        match kind {
            0 => {
                let at = place % bytes.len();
                prop_assume!(bytes[at] != other);
                bytes[at] = other;
                fs::write(&path, bytes).unwrap();
            }
            1 => {
                lines.remove(line);
                write_lines(&path, &lines);
            }
            2 => {
                let to = usize::from(other) % lines.len();
                prop_assume!(to != line);
                lines.swap(line, to);
                write_lines(&path, &lines);
            }
            _ => {
                lines.insert(usize::from(other) % (lines.len() + 1), lines[line].clone());
                write_lines(&path, &lines);
            }
        }
        let report = verify(&path, None).unwrap();
        prop_assert_eq!(report.seal(), Seal::Broken, "{:?}", report);
    }

    /// However a write was cut short, the next append goes on with an intact chain.
    #[test]
    fn a_tail_torn_anywhere_is_mended(cut in 1_usize..400) {
        let (folder, path) = SIX.with(copy);
        let before = fs::read(&path).unwrap();
        let last = lines_of(&path).last().unwrap().len();
        prop_assume!(cut <= last);
        let whole = before.len() - last - 1;
        fs::write(&path, &before[..before.len() - cut]).unwrap();
        // What was torn never came back from its append, so no checkpoint knows it.
        let kept = checkpoint_of_line(&path, 5);
        fs::write(checkpoint::path_of(&path), kept).unwrap();
        ledger(folder.path()).append(&note("next"), at(0)).unwrap();
        let report = verify(&path, None).unwrap();
        prop_assert_eq!(report.seal(), Seal::Intact, "{:?}", report);
        let lines = if cut == last + 1 { 6 } else { 7 };
        prop_assert_eq!(report.lines, lines);
        let after = fs::read(&path).unwrap();
        prop_assert_eq!(&after[..whole], &before[..whole]);
    }
}

thread_local! {
    /// A ledger of six lines, made once: appending waits for the disk.
    static SIX: (TempDir, PathBuf) = filled(6);
}

fn copy((_, from): &(TempDir, PathBuf)) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = paths(folder.path()).ledger;
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::copy(from, &path).unwrap();
    fs::copy(checkpoint::path_of(from), checkpoint::path_of(&path)).unwrap();
    assert!(matches!(
        checkpoint::read(&checkpoint::path_of(&path)),
        Kept::Here(_)
    ));
    (folder, path)
}

fn checkpoint_of_line(path: &Path, seq: usize) -> String {
    let line: serde_json::Value = serde_json::from_str(&lines_of(path)[seq - 1]).unwrap();
    serde_json::json!({"seq": seq, "hash": line["hash"]}).to_string()
}

#[test]
fn a_checkpoint_that_cannot_be_written_does_not_unwrite_the_line() {
    let folder = tempfile::tempdir().unwrap();
    let one = ledger(folder.path());
    std::fs::create_dir_all(checkpoint::path_of(one.path())).unwrap();
    let written = one.append(&brake("hold"), at(1)).unwrap();
    assert!(written.unmarked.is_some());
    assert_eq!(one.reader().read_new().unwrap().len(), 1);
}
