//! Parts that text can play, and the themes that colour them.
//!
//! Screens name parts, never colours. No theme is needed to read a screen:
//! every part that matters also has a sign or a word.

use ratatui::style::{Color, Modifier, Style};

/// The part a piece of text plays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Role {
    /// Ordinary text.
    #[default]
    Plain,
    /// Less important: labels, units, ages.
    Dim,
    /// Headings and names.
    Strong,
    /// Passed, live.
    Good,
    /// Warned, late.
    Warn,
    /// Failed, silent, back.
    Bad,
    /// At work.
    Run,
    /// Held, missing, stale.
    Hold,
    /// Waits for a person.
    Person,
    /// Neutral information.
    Info,
    /// Keys and what they do.
    Key,
    /// Frames.
    Border,
    /// The canary's line in a chart.
    Canary,
    /// The stable revision's line in a chart.
    Stable,
    /// A limit in a chart.
    Limit,
    /// The name of an environment where mistakes hurt users.
    Critical,
    /// A badge (mode, DEMO, STILL).
    Badge,
}

impl Role {
    /// All parts.
    pub const ALL: [Self; 17] = [
        Self::Plain,
        Self::Dim,
        Self::Strong,
        Self::Good,
        Self::Warn,
        Self::Bad,
        Self::Run,
        Self::Hold,
        Self::Person,
        Self::Info,
        Self::Key,
        Self::Border,
        Self::Canary,
        Self::Stable,
        Self::Limit,
        Self::Critical,
        Self::Badge,
    ];
}

/// One of the built-in themes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Theme {
    /// Light text on a dark ground.
    #[default]
    Dark,
    /// Dark text on a light ground.
    Light,
    /// Few, strong colours.
    Contrast,
    /// Blue and orange instead of green and red.
    ColourBlind,
    /// No colour: bold, dim, reverse and underline only.
    Mono,
}

/// How many colours the terminal shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Depth {
    /// The sixteen named ones.
    Sixteen,
    /// 256 or more.
    #[default]
    Many,
}

impl Theme {
    /// All themes, in the order `:theme` walks through them.
    pub const ALL: [Self; 5] = [
        Self::Dark,
        Self::Light,
        Self::Contrast,
        Self::ColourBlind,
        Self::Mono,
    ];

    /// Its name in the configuration and for `:theme`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Dark => "dark",
            Self::Light => "light",
            Self::Contrast => "contrast",
            Self::ColourBlind => "colour-blind",
            Self::Mono => "mono",
        }
    }

    /// The theme of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|theme| theme.name() == name)
    }

    /// How a part looks.
    pub fn style(self, role: Role, depth: Depth) -> Style {
        let marks = Style::new().add_modifier(self.marks(role));
        match self.colour(role, depth) {
            Some(colour) => marks.fg(colour),
            None => marks,
        }
    }

    /// How the line under the cursor looks; laid over the parts' own styles.
    pub fn cursor(self, depth: Depth) -> Style {
        let ground = match (self, depth) {
            (Self::Dark, Depth::Many) => Some(Color::Indexed(236)),
            (Self::Light, Depth::Many) => Some(Color::Indexed(254)),
            (Self::ColourBlind, Depth::Many) => Some(Color::Indexed(237)),
            (Self::Contrast | Self::Mono, _) | (_, Depth::Sixteen) => None,
        };
        match ground {
            Some(colour) => Style::new().bg(colour).add_modifier(Modifier::BOLD),
            None => Style::new().add_modifier(Modifier::REVERSED),
        }
    }

    /// Marks that do not need colour. In mono they carry the difference.
    fn marks(self, role: Role) -> Modifier {
        let strong = match role {
            Role::Strong | Role::Key | Role::Person | Role::Bad => Modifier::BOLD,
            Role::Critical => Modifier::BOLD.union(Modifier::UNDERLINED),
            Role::Badge => Modifier::REVERSED.union(Modifier::BOLD),
            Role::Plain
            | Role::Dim
            | Role::Good
            | Role::Warn
            | Role::Run
            | Role::Hold
            | Role::Info
            | Role::Border
            | Role::Canary
            | Role::Stable
            | Role::Limit => Modifier::empty(),
        };
        if self != Self::Mono {
            return strong;
        }
        match role {
            Role::Dim | Role::Border | Role::Stable | Role::Limit => Modifier::DIM,
            Role::Warn | Role::Hold => Modifier::UNDERLINED,
            Role::Bad => Modifier::BOLD.union(Modifier::REVERSED),
            _ => strong,
        }
    }

    fn colour(self, role: Role, depth: Depth) -> Option<Color> {
        let (many, sixteen) = match self {
            Self::Dark => dark(role)?,
            Self::Light => light(role)?,
            Self::Contrast => contrast(role)?,
            Self::ColourBlind => colour_blind(role)?,
            Self::Mono => return None,
        };
        Some(match depth {
            Depth::Many => Color::Indexed(many),
            Depth::Sixteen => sixteen,
        })
    }
}

/// Palette index and its nearest of the sixteen; `None` = the terminal's own.
type Colours = Option<(u8, Color)>;

fn dark(role: Role) -> Colours {
    Some(match role {
        Role::Plain => return None,
        Role::Dim => (245, Color::DarkGray),
        Role::Strong => (255, Color::White),
        Role::Good | Role::Stable => (114, Color::Green),
        Role::Warn => (221, Color::Yellow),
        Role::Bad => (203, Color::LightRed),
        Role::Run => (117, Color::Cyan),
        Role::Hold => (216, Color::LightYellow),
        Role::Person => (213, Color::LightMagenta),
        Role::Info => (147, Color::LightBlue),
        Role::Key => (229, Color::White),
        Role::Border => (240, Color::DarkGray),
        Role::Canary => (215, Color::LightYellow),
        Role::Limit => (203, Color::Red),
        Role::Critical => (209, Color::LightRed),
        Role::Badge => (117, Color::Cyan),
    })
}

fn light(role: Role) -> Colours {
    Some(match role {
        Role::Plain => return None,
        Role::Dim => (243, Color::DarkGray),
        Role::Strong => (16, Color::Black),
        Role::Good | Role::Stable => (28, Color::Green),
        Role::Warn => (130, Color::Yellow),
        Role::Bad | Role::Limit => (160, Color::Red),
        Role::Run => (25, Color::Blue),
        Role::Hold => (94, Color::Yellow),
        Role::Person => (90, Color::Magenta),
        Role::Info => (61, Color::Blue),
        Role::Key => (18, Color::Blue),
        Role::Border => (249, Color::Gray),
        Role::Canary => (166, Color::Red),
        Role::Critical => (124, Color::Red),
        Role::Badge => (25, Color::Blue),
    })
}

fn contrast(role: Role) -> Colours {
    Some(match role {
        Role::Plain | Role::Dim | Role::Border => return None,
        Role::Strong | Role::Key => (231, Color::White),
        Role::Good | Role::Stable => (46, Color::LightGreen),
        Role::Warn | Role::Hold | Role::Canary => (226, Color::LightYellow),
        Role::Bad | Role::Critical | Role::Limit => (196, Color::LightRed),
        Role::Run | Role::Info | Role::Badge => (51, Color::LightCyan),
        Role::Person => (201, Color::LightMagenta),
    })
}

/// Blue for good, orange for bad: apart also with red-green blindness, and in
/// lightness for the rest.
fn colour_blind(role: Role) -> Colours {
    Some(match role {
        Role::Plain => return None,
        Role::Dim => (246, Color::DarkGray),
        Role::Strong | Role::Key => (255, Color::White),
        Role::Good | Role::Stable => (75, Color::LightBlue),
        Role::Warn => (229, Color::LightYellow),
        Role::Bad | Role::Critical | Role::Limit => (208, Color::Yellow),
        Role::Run => (153, Color::Cyan),
        Role::Hold => (223, Color::White),
        Role::Person => (219, Color::LightMagenta),
        Role::Info => (189, Color::Gray),
        Role::Border => (241, Color::DarkGray),
        Role::Canary => (215, Color::Yellow),
        Role::Badge => (75, Color::LightBlue),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mono_has_no_colour_and_still_tells_the_verdicts_apart() {
        for role in Role::ALL {
            assert_eq!(Theme::Mono.style(role, Depth::Many).fg, None, "{role:?}");
        }
        let look = |role| Theme::Mono.style(role, Depth::Many);
        assert_ne!(look(Role::Bad), look(Role::Good));
        assert_ne!(look(Role::Warn), look(Role::Good));
        assert_ne!(look(Role::Warn), look(Role::Bad));
    }

    #[test]
    fn good_warn_and_bad_differ_in_every_theme_and_depth() {
        for theme in Theme::ALL {
            for depth in [Depth::Sixteen, Depth::Many] {
                let looks =
                    [Role::Good, Role::Warn, Role::Bad].map(|role| theme.style(role, depth));
                assert_ne!(looks[0], looks[1], "{theme:?} {depth:?}");
                assert_ne!(looks[1], looks[2], "{theme:?} {depth:?}");
                assert_ne!(looks[0], looks[2], "{theme:?} {depth:?}");
            }
        }
    }

    #[test]
    fn the_colour_blind_theme_uses_neither_red_nor_green() {
        for role in Role::ALL {
            for depth in [Depth::Sixteen, Depth::Many] {
                let colour = Theme::ColourBlind.style(role, depth).fg;
                let banned = [Color::Red, Color::LightRed, Color::Green, Color::LightGreen];
                assert!(
                    !colour.is_some_and(|colour| banned.contains(&colour)),
                    "{role:?}"
                );
            }
        }
    }

    #[test]
    fn themes_are_found_by_their_names() {
        for theme in Theme::ALL {
            assert_eq!(Theme::named(theme.name()), Some(theme));
        }
        assert_eq!(Theme::named("plaid"), None);
    }
}
