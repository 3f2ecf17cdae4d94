//! What others write reaches the terminal as text or not at all: the stream of
//! a world in which every string is an attack is taken apart byte by byte.

use std::{collections::BTreeSet, thread, time::Duration};

use k8s_openapi::ByteString;
use vte::{Params, Parser, Perform};

use super::terminal::{Served, Terminal};

/// Keys in one breath are not taken for meant.
const BREATH: Duration = Duration::from_millis(150);

/// What a stream contains beside text.
#[derive(Default)]
struct Grammar {
    finals: BTreeSet<String>,
    private: BTreeSet<String>,
    foreign: Vec<String>,
    /// What was sent to the clipboard.
    copied: Vec<String>,
    /// Ends of such strings; each belongs to one of them.
    ends: usize,
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
        // Ours when a person pressed `c`; what is in it is looked at below.
        if let [b"52", b"c", encoded] = params {
            let encoded = String::from_utf8_lossy(encoded).into_owned();
            let bytes: ByteString = serde_json::from_value(encoded.into()).unwrap();
            self.copied.push(String::from_utf8(bytes.0).unwrap());
        } else {
            self.foreign
                .push(format!("OSC {}", String::from_utf8_lossy(params[0])));
        }
    }

    fn hook(&mut self, _params: &Params, _intermediates: &[u8], _ignore: bool, action: char) {
        self.foreign.push(format!("DCS {action}"));
    }

    fn esc_dispatch(&mut self, intermediates: &[u8], _ignore: bool, byte: u8) {
        if intermediates.is_empty() && byte == b'\\' {
            self.ends += 1;
        } else {
            self.foreign
                .push(format!("ESC {intermediates:?} {byte:#04x}"));
        }
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
    let copied = "sent to the terminal's clipboard";
    terminal.press("c");
    terminal.wait_for(copied);
    // A sheet, with the names, the requests in full and a reason being typed.
    terminal.open_sheet("A");
    for keys in ["d", "d", "4"] {
        thread::sleep(BREATH);
        terminal.press(keys);
    }
    terminal.wait_until("a reason being typed", |screen| !screen.contains("press  "));
    terminal.press("x");
    thread::sleep(BREATH);
    terminal.write(b"\x1b");
    terminal.wait_for("press  ");
    thread::sleep(BREATH);
    terminal.write(b"\x1b");
    terminal.wait_for("⏎ open  ");
    for (keys, shown) in [
        (":", "Tab complete"),
        ("approve ", ": approve"),
        ("\t", ": approve"),
    ] {
        terminal.press(keys);
        terminal.wait_for(shown);
    }
    terminal.write(b"\x1b");
    terminal.wait_for("⏎ open  ");
    terminal.press("/hostile\r");
    terminal.wait_for("· / hostile");
    terminal.write(b"\x03");
    terminal.wait_for("again within a second");
    terminal.write(b"\x1c");
    assert_eq!(terminal.exit_code(), 0);

    let mut grammar = Grammar::default();
    Parser::new().advance(&mut grammar, &terminal.raw());
    assert_eq!(grammar.foreign, Vec::<String>::new());
    assert!(!grammar.copied.is_empty());
    assert_eq!(grammar.ends, grammar.copied.len());
    for copied in &grammar.copied {
        let bad: Vec<char> = copied
            .chars()
            .filter(|character| character.is_control() || is_hidden(*character))
            .collect();
        assert!(bad.is_empty() && !copied.is_empty(), "{copied:?}: {bad:?}");
    }
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
    let hidden: Vec<char> = grammar
        .text
        .chars()
        .filter(|character| is_hidden(*character))
        .collect();
    assert!(hidden.is_empty(), "{hidden:?}");
    // A stack of marks climbs over the lines above it; scripts need a few.
    let mut stack = 0;
    for character in grammar.text.chars() {
        stack = if is_mark(character) { stack + 1 } else { 0 };
        assert!(stack < 8, "{stack} marks on one character");
    }
}

/// Takes no room, or changes how its neighbours are read. From the property
/// `Default_Ignorable_Code_Point` of the Unicode Character Database, with the
/// C1 controls, the line separators and the interlinear annotations.
fn is_hidden(character: char) -> bool {
    matches!(
        character,
        '\u{80}'..='\u{9f}'
            | '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

/// The combining marks the story stacks.
fn is_mark(character: char) -> bool {
    matches!(character, '\u{300}'..='\u{36f}')
}
