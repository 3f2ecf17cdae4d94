//! Canary against stable over time, with limits, in braille or ASCII.
//!
//! Gaps are gaps: two points further apart than usual are not joined, and a
//! limit is drawn where it is. The title carries the numbers, so nothing is
//! lost to a reader without braille or colour.

use std::time::Duration;

use ratatui::layout::Rect;

use crate::{
    domain::Timestamp,
    ui::{
        line::Line,
        paint::Painter,
        text::{self, Charset, between},
        theme::Role,
    },
};

/// Cells left of the plot for the scale.
const SCALE: u16 = 7;
/// From this height on there is a line of times below.
const WITH_TIMES: u16 = 6;

/// What a chart shows.
#[derive(Clone, Debug)]
pub struct Chart<'a> {
    /// The revision being tried.
    pub canary: &'a [(Timestamp, f64)],
    /// The revision users are on.
    pub stable: &'a [(Timestamp, f64)],
    /// Limits, worst first.
    pub limits: Vec<f64>,
    /// The time shown.
    pub span: (Timestamp, Timestamp),
}

/// Draws a chart inside an area that already has its frame.
pub fn draw(painter: &mut Painter<'_>, area: Rect, chart: &Chart<'_>) {
    if area.width <= SCALE + 4 || area.height < 2 {
        return;
    }
    let Some(scale) = Scale::of(chart) else {
        let middle = area.y + area.height / 2;
        painter.text(
            area.x + 1,
            middle,
            area.width - 1,
            "no data in this time",
            Role::Dim,
        );
        return;
    };
    let times = WITH_TIMES <= area.height;
    let plot = Rect {
        x: area.x + SCALE,
        y: area.y,
        width: area.width - SCALE,
        height: if times { area.height - 1 } else { area.height },
    };
    limits(painter, area, plot, chart, &scale);
    let canary = Dots::of(chart.canary, chart.span, &scale, plot, Stroke::Solid);
    let stable = Dots::of(chart.stable, chart.span, &scale, plot, Stroke::Dotted);
    for row in 0..plot.height {
        for column in 0..plot.width {
            let (mine, theirs) = (canary.at(column, row), stable.at(column, row));
            let Some((symbol, role)) = symbol(mine, theirs, painter.look.charset) else {
                continue;
            };
            let mut encoded = [0; 4];
            let style = painter.look.style(role);
            painter.raw(
                plot.x + column,
                plot.y + row,
                symbol.encode_utf8(&mut encoded),
                style,
            );
        }
    }
    let label = |value: f64| text::right(&text::number(value), usize::from(SCALE) - 2);
    painter.text(area.x, plot.y, SCALE, &label(scale.top), Role::Dim);
    painter.text(
        area.x,
        plot.bottom() - 1,
        SCALE,
        &label(scale.bottom),
        Role::Dim,
    );
    if times {
        let y = area.bottom() - 1;
        painter.text(
            plot.x,
            y,
            5,
            &chart.span.0.format("%H:%M").to_string(),
            Role::Dim,
        );
        let to = Line::dim(chart.span.1.format("%H:%M").to_string());
        painter.line_right(area, y, &to);
    }
}

fn limits(painter: &mut Painter<'_>, area: Rect, plot: Rect, chart: &Chart<'_>, scale: &Scale) {
    for limit in &chart.limits {
        let Some(row) = scale.row(*limit, plot.height) else {
            continue;
        };
        let dashes = "┄".repeat(usize::from(plot.width));
        painter.text(plot.x, plot.y + row, plot.width, &dashes, Role::Limit);
        let label = text::right(&text::number(*limit), usize::from(SCALE) - 2);
        painter.text(area.x, plot.y + row, SCALE, &label, Role::Limit);
    }
}

fn symbol(canary: u8, stable: u8, charset: Charset) -> Option<(char, Role)> {
    let role = if canary != 0 {
        Role::Canary
    } else {
        Role::Stable
    };
    match (charset, canary | stable) {
        (_, 0) => None,
        (Charset::Unicode, bits) => {
            char::from_u32(0x2800 + u32::from(bits)).map(|symbol| (symbol, role))
        }
        (Charset::Ascii, _) => Some((if canary != 0 { '*' } else { '.' }, role)),
    }
}

/// The values at the top and bottom of a chart.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Scale {
    bottom: f64,
    top: f64,
}

impl Scale {
    fn of(chart: &Chart<'_>) -> Option<Self> {
        let (from, to) = chart.span;
        let inside =
            |(at, value): &&(Timestamp, f64)| from <= *at && *at <= to && value.is_finite();
        let values = || {
            chart
                .canary
                .iter()
                .chain(chart.stable)
                .filter(inside)
                .map(|(_, value)| *value)
        };
        values().next()?;
        let limits = chart
            .limits
            .iter()
            .copied()
            .filter(|limit| limit.is_finite());
        let all = || values().chain(limits.clone());
        let low = all().fold(f64::INFINITY, f64::min);
        let high = all().fold(f64::NEG_INFINITY, f64::max);
        let spread = if high - low > f64::EPSILON * high.abs().max(1.0) {
            high - low
        } else {
            (high.abs() * 0.2).max(1e-6)
        };
        let step = nice(spread / 4.0);
        let mut bottom = ((low - spread * 0.05) / step).floor() * step;
        if 0.0 <= low && bottom < 0.0 {
            bottom = 0.0;
        }
        let top = ((high + spread * 0.05) / step).ceil() * step;
        let usable = bottom.is_finite() && top.is_finite() && bottom < top;
        usable.then_some(Self { bottom, top })
    }

    /// 0 at the bottom, 1 at the top.
    fn share(&self, value: f64) -> f64 {
        (value - self.bottom) / (self.top - self.bottom)
    }

    fn row(&self, value: f64, height: u16) -> Option<u16> {
        let share = self.share(value);
        (0.0..=1.0)
            .contains(&share)
            .then(|| whole((1.0 - share) * f64::from(height.saturating_sub(1))))
    }
}

/// The next of 1, 2, 5, 10 … at or above `raw`.
fn nice(raw: f64) -> f64 {
    let power = 10f64.powf(raw.log10().floor());
    let lead = raw / power;
    let rounded = if lead <= 1.0 {
        1.0
    } else if lead <= 2.0 {
        2.0
    } else if lead <= 5.0 {
        5.0
    } else {
        10.0
    };
    rounded * power
}

/// A coordinate that is known to be small and not negative.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to the range of u16 just before"
)]
fn whole(value: f64) -> u16 {
    value.round().clamp(0.0, f64::from(u16::MAX)) as u16
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stroke {
    Solid,
    Dotted,
}

/// Braille dots, two by four in a cell.
struct Dots {
    width: u16,
    cells: Vec<u8>,
}

impl Dots {
    fn of(
        points: &[(Timestamp, f64)],
        span: (Timestamp, Timestamp),
        scale: &Scale,
        plot: Rect,
        stroke: Stroke,
    ) -> Self {
        let cells = vec![0; usize::from(plot.width) * usize::from(plot.height)];
        let mut dots = Self {
            width: plot.width,
            cells,
        };
        let total = between(span.0, span.1).as_secs_f64();
        if total <= 0.0 {
            return dots;
        }
        let (right, down) = (
            f64::from(plot.width) * 2.0 - 1.0,
            f64::from(plot.height) * 4.0 - 1.0,
        );
        let gap = usual_gap(points).map(|usual| usual.mul_f64(2.5));
        let mut before: Option<(Timestamp, u16, u16)> = None;
        for (at, value) in points {
            if *at < span.0 || span.1 < *at || !value.is_finite() {
                before = None;
                continue;
            }
            let x = whole(between(span.0, *at).as_secs_f64() / total * right);
            let y = whole((1.0 - scale.share(*value).clamp(0.0, 1.0)) * down);
            let joined =
                before.filter(|(then, ..)| gap.is_none_or(|gap| between(*then, *at) <= gap));
            match joined {
                Some((_, x0, y0)) => dots.stroke((x0, y0), (x, y), stroke),
                None => dots.set(x, y),
            }
            before = Some((*at, x, y));
        }
        dots
    }

    fn stroke(&mut self, from: (u16, u16), to: (u16, u16), stroke: Stroke) {
        let (dx, dy) = (
            i32::from(to.0) - i32::from(from.0),
            i32::from(to.1) - i32::from(from.1),
        );
        let steps = dx.abs().max(dy.abs()).max(1);
        for step in 0..=steps {
            let part = f64::from(step) / f64::from(steps);
            let x = whole(f64::from(from.0) + f64::from(dx) * part);
            let y = whole(f64::from(from.1) + f64::from(dy) * part);
            if stroke == Stroke::Solid || x.is_multiple_of(3) {
                self.set(x, y);
            }
        }
    }

    fn set(&mut self, x: u16, y: u16) {
        const LEFT: [u8; 4] = [0x01, 0x02, 0x04, 0x40];
        const RIGHT: [u8; 4] = [0x08, 0x10, 0x20, 0x80];
        let column = if x.is_multiple_of(2) { LEFT } else { RIGHT };
        let bit = column.get(usize::from(y % 4)).copied().unwrap_or(0);
        let index = usize::from(y / 4) * usize::from(self.width) + usize::from(x / 2);
        if let Some(cell) = self.cells.get_mut(index) {
            *cell |= bit;
        }
    }

    fn at(&self, column: u16, row: u16) -> u8 {
        let index = usize::from(row) * usize::from(self.width) + usize::from(column);
        self.cells.get(index).copied().unwrap_or(0)
    }
}

/// The middle of the distances between neighbours; `None` for fewer than three points.
fn usual_gap(points: &[(Timestamp, f64)]) -> Option<Duration> {
    if points.len() < 3 {
        return None;
    }
    let mut gaps: Vec<Duration> = points
        .windows(2)
        .filter_map(|pair| Some(between(pair.first()?.0, pair.get(1)?.0)))
        .collect();
    gaps.sort_unstable();
    gaps.get(gaps.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta};
    use ratatui::buffer::Buffer;

    use super::*;
    use crate::ui::paint::Look;

    fn at(seconds: i64) -> Timestamp {
        DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
    }

    fn chart(canary: &[(Timestamp, f64)], seconds: i64) -> Chart<'_> {
        Chart {
            canary,
            stable: &[],
            limits: Vec::new(),
            span: (at(0), at(seconds)),
        }
    }

    fn drawn(chart: &Chart<'_>, charset: Charset, width: u16, height: u16) -> Vec<String> {
        let area = Rect::new(0, 0, width, height);
        let mut buffer = Buffer::empty(area);
        draw(
            &mut Painter::new(
                &mut buffer,
                Look {
                    charset,
                    ..Look::default()
                },
            ),
            area,
            chart,
        );
        (0..height)
            .map(|y| {
                (0..width)
                    .map(|x| buffer[(x, y)].symbol().to_owned())
                    .collect::<String>()
            })
            .collect()
    }

    #[test]
    fn a_rising_line_goes_from_bottom_left_to_top_right() {
        let points: Vec<_> = (0..=10u8)
            .map(|step| (at(i64::from(step) * 10), f64::from(step)))
            .collect();
        let rows = drawn(&chart(&points, 100), Charset::Ascii, 19, 5);
        let first = rows
            .iter()
            .position(|row| row.chars().nth(7) == Some('*'))
            .unwrap();
        let last = rows.iter().position(|row| row.ends_with('*')).unwrap();
        assert!(last < first, "{rows:#?}");
    }

    #[test]
    fn a_gap_stays_a_gap() {
        let points: Vec<_> = (0..=20)
            .filter(|step| !(8..=12).contains(step))
            .map(|step| (at(step * 10), 5.0))
            .collect();
        let rows = drawn(&chart(&points, 200), Charset::Ascii, 29, 3);
        let line = rows.iter().find(|row| row.contains('*')).unwrap();
        let middle: String = line.chars().skip(17).take(3).collect();
        assert_eq!(middle, "   ", "{rows:#?}");
    }

    #[test]
    fn limits_are_on_the_scale_even_when_far_from_the_data() {
        let points: Vec<_> = (0..10).map(|step| (at(step * 10), 1.0)).collect();
        let chart = Chart {
            limits: vec![250.0],
            ..chart(&points, 90)
        };
        let rows = drawn(&chart, Charset::Unicode, 30, 8);
        assert!(
            rows.iter()
                .any(|row| row.contains("250") && row.contains('┄')),
            "{rows:#?}"
        );
    }

    #[test]
    fn no_data_says_so() {
        assert!(
            drawn(&chart(&[], 90), Charset::Unicode, 30, 4)
                .concat()
                .contains("no data")
        );
    }

    #[test]
    fn odd_numbers_and_sizes_never_panic() {
        let points = [
            (at(0), f64::NAN),
            (at(1), f64::INFINITY),
            (at(2), 1e300),
            (at(3), -1e300),
            (at(3), 0.0),
        ];
        for width in 0..40 {
            for height in 0..12 {
                let chart = Chart {
                    canary: &points,
                    stable: &points,
                    limits: vec![f64::NAN, 0.0, f64::MAX, f64::MIN],
                    span: (at(0), at(3)),
                };
                drawn(&chart, Charset::Unicode, width, height);
                let backwards = Chart {
                    span: (at(3), at(0)),
                    ..chart
                };
                drawn(&backwards, Charset::Ascii, width, height);
            }
        }
    }
}
