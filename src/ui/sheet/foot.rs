//! The foot of a sheet: reason, letter, fields. It is never cut off.

use crate::{
    domain::text::Clean,
    engine::plan::Verb,
    ui::{
        field::Field,
        line::Line,
        screen::{Scene, frame::prompt},
        sheet::{Asks, Sheet, Stage, TYPED_REASON, reasons},
        sign::Sign,
        text,
        theme::Role,
    },
};

/// What to press. Always the last lines of a sheet.
pub fn foot(sheet: &Sheet, scene: &Scene<'_>, width: usize) -> Vec<Line> {
    let mut lines = Vec::new();
    match &sheet.stage {
        Stage::Reason(field) => {
            let (before, after) = field.halves();
            lines.push(prompt("reason", before, after));
            lines.push(Line::dim("Enter keeps it; then there is another letter"));
            return lines;
        }
        Stage::Bend(_) => return bend_foot(sheet, scene, width),
        Stage::Letter | Stage::Enter(_) => lines.extend(reason_line(sheet, width)),
    }
    let verb = sheet.plan.ask.verb;
    if sheet.unread() {
        lines.push(unread(sheet));
        return lines;
    }
    if sheet.off.is_some() {
        lines.push(Line::dim(
            "no letter while it cannot be sent; any key closes this sheet",
        ));
        return lines;
    }
    if matches!(sheet.stage, Stage::Enter(_)) {
        let said = format!(" {} now", does(verb));
        lines.push(
            Line::new()
                .with(Role::Badge, " Enter ")
                .with(Role::Strong, said)
                .with(Role::Dim, "    any other key closes this sheet"),
        );
        return lines;
    }
    let then = match sheet.asks {
        Asks::LetterThenEnter => format!(", then Enter, to {}", does(verb)),
        Asks::Letter | Asks::Bend { .. } => format!(" to {} now", does(verb)),
    };
    let waking = !sheet.awake(scene.now, scene.state.rules);
    let rest = if waking {
        "    keys wake in a moment"
    } else {
        "    any other key closes this sheet"
    };
    lines.push(
        Line::plain("press ")
            .with(Role::Badge, format!(" {} ", sheet.letter))
            .with(Role::Strong, then)
            .with(Role::Dim, rest),
    );
    lines
}

/// The key that turns pages, if one does: in fields `d` is a letter, and where
/// Enter is waited for it closes the sheet.
pub(super) fn turning_key(sheet: &Sheet) -> Option<&'static str> {
    match sheet.stage {
        Stage::Letter => Some("d"),
        Stage::Enter(_) | Stage::Bend(_) => Some("PgDn"),
        Stage::Reason(_) => None,
    }
}

/// In place of the letter while part of the plan was never on screen.
fn unread(sheet: &Sheet) -> Line {
    Line::new()
        .with(
            Role::Badge,
            format!(" {} ", turning_key(sheet).unwrap_or("PgDn")),
        )
        .with(Role::Strong, " reads on")
        .with(Role::Dim, ": what agrees comes with the plan's last page")
}

/// The verb as something one does.
fn does(verb: Verb) -> &'static str {
    match verb {
        Verb::RerunFailed => "rerun the failed jobs",
        Verb::RerunAll => "rerun all jobs",
        _ => verb.word(),
    }
}

fn reason_line(sheet: &Sheet, width: usize) -> Option<Line> {
    let verb = sheet.plan.ask.verb;
    if matches!(verb, Verb::RerunFailed | Verb::RerunAll) {
        let all = verb == Verb::RerunAll;
        let (one, two) = if all {
            (Role::Dim, Role::Strong)
        } else {
            (Role::Strong, Role::Dim)
        };
        return Some(
            Line::dim("which     ")
                .with(one, "1 failed jobs   ")
                .with(two, "2 all jobs"),
        );
    }
    let typed = sheet
        .typed_reason
        .as_deref()
        .map(|typed| text::fit(typed, 24));
    let unsaid = if sheet.reason == TYPED_REASON {
        "none"
    } else {
        "other…"
    };
    let typed = typed.unwrap_or_else(|| unsaid.to_owned());
    let presets = reasons(verb)?.map(str::to_owned);
    let mut line = Line::dim("reason    ");
    for (index, reason) in presets.iter().chain([&typed]).enumerate() {
        let is_chosen = sheet.reason == index;
        line = line.join(choice(index, reason, is_chosen));
        // What goes to the ledger is on screen, if the others are not.
        if is_chosen && width + 2 < line.width() {
            return Some(Line::dim("reason 1–4 ").join(choice(index, reason, true)));
        }
    }
    Some(line)
}

fn choice(index: usize, reason: &str, chosen: bool) -> Line {
    if chosen {
        Line::new().with(Role::Strong, format!("({} {reason})  ", index + 1))
    } else {
        Line::dim(format!("{} {reason}  ", index + 1))
    }
}

fn bend_foot(sheet: &Sheet, scene: &Scene<'_>, width: usize) -> Vec<Line> {
    let Stage::Bend(bend) = &sheet.stage else {
        return Vec::new();
    };
    let rule = match &sheet.asks {
        Asks::Bend { rule } => rule.clone(),
        Asks::Letter | Asks::LetterThenEnter => Clean::default(),
    };
    let field = |label: &str, field: &Field, active: bool| {
        let (before, after) = field.halves();
        if active {
            return prompt(label, before, after);
        }
        Line::dim(format!("{label} ")).text(format!("{before}{after}"))
    };
    let name_fits = bend.name.clean() == sheet.plan.release_label;
    let name = field("name    ", &bend.name, !bend.at_reason);
    let name = if name_fits {
        name.text(" ").sign(Sign::Good)
    } else {
        name
    };
    let mut lines = vec![
        Line::new().sign(Sign::Warn).with(
            Role::Warn,
            text::fit(&format!(" this goes past a rule: {rule}"), width),
        ),
        Line::plain("type the release's name ")
            .with(Role::Strong, sheet.plan.release_label.to_string())
            .text(" and a reason, then Enter"),
        name,
        field("reason  ", &bend.reason, bend.at_reason),
    ];
    if !sheet.awake(scene.now, scene.state.rules) {
        lines.push(Line::dim("keys wake in a moment"));
    } else if sheet.unread() {
        lines.push(unread(sheet));
    } else if sheet.off.is_some() {
        lines.push(Line::dim("cannot be sent now; Esc closes this sheet"));
    } else {
        lines.push(Line::dim(
            "Tab other field   Enter sends it   Esc closes this sheet",
        ));
    }
    lines
}
