//! Which process wrote a line, and whether it still lives.
//!
//! A process id alone is re-used; together with the process's start time (and
//! the boot it was counted from) it is not. An unfinished action is only taken
//! over once its writer is known to be dead.

use std::{fs, process::Command, time::Duration};

use crate::domain::{Timestamp, text::Clean};

/// After this long an unfinished action from another machine counts as
/// abandoned: no step of ours waits half as long for its effect.
const ELSEWHERE_LIMIT: Duration = Duration::from_secs(3600);

/// One process on one machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Writer {
    /// Its id.
    pub pid: u32,
    /// When it started, in the system's own terms; `None` = could not be learnt.
    pub start: Option<Clean>,
    /// The machine's name.
    pub host: Clean,
}

impl Writer {
    /// The process this runs in.
    pub fn this_process() -> Self {
        let pid = std::process::id();
        Self {
            pid,
            start: start_of(pid),
            host: Clean::name(&whoami::fallible::hostname().unwrap_or_default()),
        }
    }

    /// Whether the process that wrote something at `since` still lives, as seen
    /// from `here` at `now`.
    pub(super) fn is_alive(&self, here: &Self, since: Option<Timestamp>, now: Timestamp) -> bool {
        if self.host != here.host {
            let age = since.and_then(|since| (now - since).to_std().ok());
            return age.is_none_or(|age| age < ELSEWHERE_LIMIT);
        }
        if self.pid == here.pid {
            return self.start == here.start;
        }
        match (start_of(self.pid), &self.start) {
            (None, _) => false,
            (Some(now), Some(then)) => now == *then,
            (Some(_), None) => true,
        }
    }
}

/// When a process started, in the system's own terms; `None` = it is not there.
fn start_of(pid: u32) -> Option<Clean> {
    if cfg!(target_os = "linux") {
        linux_start(pid)
    } else {
        let output = Command::new("ps")
            .args(["-o", "lstart=", "-p", &pid.to_string()])
            .output()
            .ok()?;
        let start = Clean::bytes(&output.stdout);
        let start = start.trim();
        (!start.is_empty()).then(|| Clean::line(start))
    }
}

fn linux_start(pid: u32) -> Option<Clean> {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the program's name and may hold anything, so counting
    // starts after its closing bracket: state is field 3, start time field 22.
    let mut fields = stat.get(stat.rfind(')')? + 1..)?.split_ascii_whitespace();
    // A zombie has ended; only its parent has not noticed.
    if matches!(fields.next()?, "Z" | "X") {
        return None;
    }
    let ticks = fields.nth(18)?;
    Some(Clean::line(&format!(
        "{}:{ticks}",
        boot.trim().get(..8).unwrap_or_default()
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_timestamp(seconds, 0).unwrap()
    }

    #[test]
    fn this_process_lives_and_a_finished_child_does_not() {
        let here = Writer::this_process();
        assert!(here.is_alive(&here, None, at(0)));
        let mut child = Command::new("true").spawn().unwrap();
        let pid = child.id();
        child.wait().unwrap();
        let gone = Writer {
            pid,
            start: Some("then".into()),
            host: here.host.clone(),
        };
        assert!(!gone.is_alive(&here, None, at(0)));
    }

    #[test]
    fn a_reused_process_id_is_another_process() {
        let here = Writer::this_process();
        let before = Writer {
            start: Some("0:1".into()),
            ..here.clone()
        };
        assert!(!before.is_alive(&here, None, at(0)));
        let parent = Writer {
            pid: 1,
            start: Some("0:1".into()),
            host: here.host.clone(),
        };
        assert!(!parent.is_alive(&here, None, at(0)));
    }

    #[test]
    fn a_writer_on_another_machine_is_left_alone_for_an_hour() {
        let here = Writer::this_process();
        let other = Writer {
            pid: 1,
            start: None,
            host: "elsewhere".into(),
        };
        assert!(other.is_alive(&here, Some(at(0)), at(3599)));
        assert!(!other.is_alive(&here, Some(at(0)), at(3601)));
    }
}
