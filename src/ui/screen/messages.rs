//! Everything that was said, newest first, beneath how the backends are.

use ratatui::layout::{Constraint, Layout, Rect};

use crate::{
    domain::{Timestamp, text::Clean},
    engine::world::MessageWeight,
    ui::{
        line::Line,
        paint::Painter,
        screen::{Scene, frame::outcome_sign, page, panel},
        sign::Sign,
        text,
        theme::Role,
        widget::table,
    },
};

/// Something that was said, by the engine or by the cockpit itself.
struct Said {
    at: Timestamp,
    sign: Sign,
    about: String,
    text: String,
}

impl Said {
    fn id(&self) -> String {
        format!("{} {} {}", self.at.to_rfc3339(), self.about, self.text)
    }
}

/// Everything, newest first: what a toast said stays readable here.
fn messages(scene: &Scene<'_>) -> Vec<Said> {
    let told = scene.world.messages.iter().map(|message| Said {
        at: message.at,
        sign: match message.weight {
            MessageWeight::Note => Sign::Off,
            MessageWeight::Warning => Sign::Warn,
            MessageWeight::Trouble => Sign::Bad,
        },
        about: message.about.to_string(),
        text: message.text.to_string(),
    });
    let own = scene.state.said.iter().map(|toast| Said {
        at: toast.at,
        sign: toast.sign,
        about: "cockpit".to_owned(),
        text: toast.text.clone(),
    });
    let done = scene.world.plans.values().filter_map(|plan| {
        let (at, outcome, note) = plan.ended.as_ref()?;
        let environment = plan.start.environment.as_ref();
        let place = environment.map_or_else(String::new, |name| format!(" in {name}"));
        let note = if note.is_empty() {
            String::new()
        } else {
            format!("; {note}")
        };
        Some(Said {
            at: *at,
            sign: outcome_sign(*outcome),
            about: plan.start.service.to_string(),
            text: format!("{}{place} {}{note}", plan.start.verb, outcome.word()),
        })
    });
    let mut all: Vec<Said> = told.chain(own).chain(done).collect();
    all.sort_by_key(|said| std::cmp::Reverse(said.at));
    all
}

/// Messages by what they say.
pub fn ids(scene: &Scene<'_>) -> Vec<String> {
    messages(scene).iter().map(Said::id).collect()
}

/// The marked message.
pub fn copied(scene: &Scene<'_>) -> Option<Clean> {
    let messages = messages(scene);
    let marked = messages
        .iter()
        .find(|message| scene.state.mark_of(0) == Some(message.id().as_str()));
    marked
        .or_else(|| messages.first())
        .map(|message| Clean::from(format!("{}: {}", message.about, message.text)))
}

/// Draws the screen.
pub fn draw(painter: &mut Painter<'_>, area: Rect, scene: &Scene<'_>) {
    let backends = page::backends(scene);
    let height = text::cells(backends.len() + 2).min(area.height / 2);
    let [top, rest] =
        Layout::vertical([Constraint::Length(height), Constraint::Min(3)]).areas(area);
    panel::lines(
        painter,
        top,
        "backends",
        &Line::dim("i says what trouble takes with it"),
        &backends,
    );
    let messages = messages(scene);
    if messages.is_empty() {
        painter.line(
            rest.x + 1,
            rest.y + 1,
            rest.width - 1,
            &Line::dim("nothing was said yet"),
        );
        return;
    }
    let marked = messages
        .iter()
        .position(|message| scene.state.mark_of(0) == Some(message.id().as_str()));
    let [rest, whole] = Layout::vertical([
        Constraint::Min(3),
        Constraint::Length(5.min(rest.height / 2)),
    ])
    .areas(rest);
    if let Some(message) = messages.get(marked.unwrap_or_default()) {
        let room = usize::from(whole.width.saturating_sub(4));
        let said: Vec<Line> = text::wrap(&message.text, room)
            .into_iter()
            .map(Line::plain)
            .collect();
        panel::lines(painter, whole, &message.about, &Line::dim("c copy"), &said);
    }
    let window = table::window(messages.len(), marked, usize::from(rest.height));
    for (index, y) in window.zip(rest.top()..) {
        let Some(message) = messages.get(index) else {
            continue;
        };
        let line = Line::plain(if marked == Some(index) { "▶" } else { " " })
            .with(
                Role::Dim,
                format!("{:<11} ", text::stamp(message.at, scene.now)),
            )
            .sign(message.sign)
            .with(
                Role::Strong,
                format!(" {:<14}", text::fit(&message.about, 14)),
            )
            .text(format!(" {}", message.text));
        painter.line(rest.x, y, rest.width, &line);
    }
}
