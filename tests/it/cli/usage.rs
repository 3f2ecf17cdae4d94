//! Arguments, help, completions, and output that nobody reads to its end.

use std::{ffi::OsStr, io::Read as _, os::unix::ffi::OsStrExt as _, process::Stdio};

use super::run::{command, finish, run};

#[test]
fn help_names_every_command_and_every_exit_code() {
    let home = tempfile::tempdir().unwrap();
    insta::assert_snapshot!("help", run(home.path(), &["--help"]).expect(0).out);
}

#[test]
fn wrong_arguments_are_64_and_not_clap_s_own_2() {
    let home = tempfile::tempdir().unwrap();
    for arguments in [
        &["chekc"][..],
        &["status", "--colour"],
        &["hold"],
        &["check", "--timeout", "soon"],
        &["demo", "--speed", "0"],
        &["audit", "verify", "--checkpoint", "17"],
        &["hold", "x", "--override"],
    ] {
        let ran = run(home.path(), arguments).expect(64);
        assert!(
            ran.out.is_empty() && !ran.err.is_empty(),
            "{arguments:?}: {ran:?}"
        );
    }
    run(home.path(), &["--version"]).expect(0).says("gonogo ");
}

#[test]
fn what_is_wrong_with_arguments_is_said_without_their_hidden_characters() {
    let home = tempfile::tempdir().unwrap();
    // Turns the line around, takes no room, and is an escape sequence in one byte.
    let bad = "\u{202e}\u{200b}X\u{9b}31m\u{1b}]0;y\u{7}";
    for arguments in [
        &[bad][..],
        &[&format!("--{bad}")],
        &["check", "--timeout", bad],
        &["audit", "verify", "--checkpoint", bad],
        &["completions", bad],
        &["status", "a", bad],
        &["man", "--dir"],
    ] {
        let ran = run(home.path(), arguments).expect(64);
        let hidden = |sign: char| {
            (sign.is_control() && sign != '\n') || matches!(sign, '\u{202e}' | '\u{200b}')
        };
        assert!(ran.err.starts_with("error: "), "{arguments:?}: {ran:?}");
        assert!(!ran.err.contains(hidden), "{arguments:?}: {ran:?}");
    }
}

#[test]
fn a_variable_that_is_no_text_is_not_taken_for_one_that_is_not_set() {
    let home = tempfile::tempdir().unwrap();
    let usual = home.path().join(".config/gonogo");
    std::fs::create_dir_all(&usual).unwrap();
    std::fs::write(usual.join("config.toml"), "").unwrap();
    run(home.path(), &["config", "check"]).expect(0);

    let odd = OsStr::from_bytes(b"odd-\xff.toml");
    let check = || {
        let mut check = command(home.path(), &["config", "check"]);
        check.env("GONOGO_CONFIG", odd);
        finish(check)
    };
    check().expect(64).says("odd-");
    std::fs::write(home.path().join(odd), "").unwrap();
    check().expect(0).says("odd-");
}

#[test]
fn a_kubeconfig_whose_name_is_no_text_is_not_replaced_by_the_usual_one() {
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir(home.path().join(".kube")).unwrap();
    std::fs::write(
        home.path().join(".kube/config"),
        "{apiVersion: v1, kind: Config, current-context: a, \
         clusters: [{name: a, cluster: {server: 'http://127.0.0.1:1'}}], \
         contexts: [{name: a, context: {cluster: a}}]}",
    )
    .unwrap();
    let config = home.path().join("gonogo.toml");
    std::fs::write(&config, "[backend.prod]\nkind = \"kubernetes\"\n").unwrap();
    let check = |kubeconfig: Option<&[u8]>| {
        let mut check = command(home.path(), &["--config", "gonogo.toml", "config", "check"]);
        if let Some(path) = kubeconfig {
            check.env("KUBECONFIG", OsStr::from_bytes(path));
        }
        finish(check)
    };
    check(None).expect(0);
    check(Some(b"/else/\xff")).expect(64).says("no kubeconfig");
}

#[test]
fn a_first_run_says_where_it_looked_and_offers_demo_and_init() {
    let home = tempfile::tempdir().unwrap();
    for arguments in [&[][..], &["status"]] {
        let place = home.path().join(".config/gonogo/config.toml");
        run(home.path(), arguments)
            .expect(64)
            .says(place.to_str().unwrap())
            .says("gonogo demo")
            .says("gonogo init");
    }
    let answer = run(home.path(), &["status", "--json"]).expect(64).json();
    assert_eq!(
        (&answer["code"], &answer["word"], &answer["schema"]),
        (&64.into(), &"usage".into(), &1.into())
    );
}

#[test]
fn a_configuration_in_the_current_folder_counts_only_when_it_is_named() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("gonogo.toml"), "").unwrap();
    run(home.path(), &["config", "check"])
        .expect(64)
        .says("counts only when it is named");
    run(home.path(), &["--config", "gonogo.toml", "config", "check"]).expect(0);
    let mut named = command(home.path(), &["config", "check"]);
    named.env("GONOGO_CONFIG", "gonogo.toml");
    finish(named).expect(0).says("gonogo.toml is right");
}

#[test]
fn completions_and_manual_pages_are_made_from_the_arguments() {
    let home = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        run(home.path(), &["completions", shell])
            .expect(0)
            .says("rollback");
    }
    let page = run(home.path(), &["man"]).expect(0).says("EXIT STATUS").out;
    for word in [
        "no\\-go",
        "waiting",
        "not proven",
        "refused",
        "failed",
        "unsettled",
        "usage",
    ] {
        assert!(
            page.contains(word) || page.contains(&word.replace("\\-", "-")),
            "{word}"
        );
    }
    run(home.path(), &["man", "--dir", "man"]).expect(0);
    for page in ["gonogo.1", "gonogo-check.1", "gonogo-audit-verify.1"] {
        assert!(home.path().join("man").join(page).exists(), "{page}");
    }
}

#[test]
fn a_closed_pipe_ends_the_output_quietly_and_keeps_the_code() {
    let home = tempfile::tempdir().unwrap();
    let mut child = command(home.path(), &["completions", "bash"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // One byte, as `| head -c 1` reads, and then nobody any more.
    let mut byte = [0];
    child.stdout.take().unwrap().read_exact(&mut byte).unwrap();
    let ended = child.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(0));
    assert_eq!(String::from_utf8(ended.stderr).unwrap(), "");
}
