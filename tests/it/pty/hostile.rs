//! What others write reaches the terminal as text or not at all: the stream of
//! a world in which every string is an attack is taken apart byte by byte.

use std::collections::BTreeSet;

use vte::{Params, Parser, Perform};

use super::terminal::{Served, Terminal};

/// What a stream contains beside text.
#[derive(Default)]
struct Grammar {
    finals: BTreeSet<String>,
    private: BTreeSet<String>,
    foreign: Vec<String>,
    text: String,
}

impl Perform for Grammar {
    fn print(&mut self, character: char) {
        self.text.push(character);
    }

    fn execute(&mut self, byte: u8) {
        if !matches!(byte, b'\r' | b'\n') {
            self.foreign.push(format!("control {byte:#04x}"));
        }
    }

    fn csi_dispatch(&mut self, params: &Params, intermediates: &[u8], _ignore: bool, action: char) {
        let marks = String::from_utf8_lossy(intermediates).into_owned();
        if marks == "?" {
            let first = params
                .iter()
                .next()
                .and_then(|param| param.first().copied())
                .unwrap_or(0);
            self.private.insert(format!("{first}{action}"));
        } else {
            self.finals.insert(format!("{marks}{action}"));
        }
    }

    fn osc_dispatch(&mut self, params: &[&[u8]], _bell: bool) {
        self.foreign
            .push(format!("OSC {}", String::from_utf8_lossy(params[0])));
    }

    fn hook(&mut self, _params: &Params, _intermediates: &[u8], _ignore: bool, action: char) {
        self.foreign.push(format!("DCS {action}"));
    }

    fn esc_dispatch(&mut self, intermediates: &[u8], _ignore: bool, byte: u8) {
        self.foreign
            .push(format!("ESC {intermediates:?} {byte:#04x}"));
    }
}

#[test]
fn every_screen_of_the_hostile_world_writes_only_our_own_sequences() {
    let served = Served::start("hostile", "1");
    let mut terminal = Terminal::cockpit(&served.config());
    terminal.wait_for("ALFXDQSI");
    terminal.wait_for("hostile");
    for (keys, shown) in [
        ("2", "made of"),
        ("3", "JOB"),
        ("l", "log of"),
        ("q4", "decision"),
        ("5", "traffic"),
        ("6", "ledger"),
        ("d", "differs from the champion"),
        ("qy", "as JSON"),
        ("qi", "backends"),
        ("q?", "lower case looks"),
        ("q:mess\r", "limit"),
        ("1o", "browser"),
    ] {
        terminal.press(keys);
        terminal.wait_for(shown);
    }
    // Read together, the two would be one key with Alt.
    terminal.write(b"\x1b");
    terminal.wait_for("⏎ open  ");
    terminal.write(b"\x03");
    terminal.wait_for("again within a second");
    terminal.write(b"\x1c");
    assert_eq!(terminal.exit_code(), 0);

    let mut grammar = Grammar::default();
    Parser::new().advance(&mut grammar, &terminal.raw());
    assert_eq!(grammar.foreign, Vec::<String>::new());
    // Colours, cursor movement, clearing.
    let own = ["m", "H", "J", "K"].map(str::to_owned);
    let others: Vec<&String> = grammar
        .finals
        .iter()
        .filter(|seen| !own.contains(seen))
        .collect();
    assert!(others.is_empty(), "{others:?}");
    // Alternate screen, cursor, paste, focus, synchronized updates.
    let modes = ["1049", "25", "2004", "1004", "2026"];
    let own: Vec<String> = modes
        .iter()
        .flat_map(|mode| [format!("{mode}h"), format!("{mode}l")])
        .collect();
    let others: Vec<&String> = grammar
        .private
        .iter()
        .filter(|seen| !own.contains(seen))
        .collect();
    assert!(others.is_empty(), "{others:?}");
    let hidden = |character: &char| {
        matches!(character, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{80}'..='\u{9f}')
            || matches!(character, '\u{e0000}'..='\u{e007f}')
    };
    let hidden: Vec<char> = grammar
        .text
        .chars()
        .filter(|character| hidden(character))
        .collect();
    assert!(hidden.is_empty(), "{hidden:?}");
}
