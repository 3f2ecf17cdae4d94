"""Certificates that are over or not believed, on the plane that belongs to lane `faults`."""

import base64
import copy
import json
import re
import socket
import ssl

from support.bench import eventually, expect, run, same
from support.cockpit import Cockpit
from support.screen import Screen

# As the real server is sure to be asked anew only when a watch ends, which gonogo lets happen each 50 s.
LIFE = 40
UNTIL_ASKED = 90


def checks(bench, site, gonogo, back):
    client(bench, site, gonogo, back)
    authority(bench, site, gonogo, back)
    server(bench, site, back)


class Signed:
    """A cockpit whose kubeconfig this lane writes anew while it is open."""

    def __init__(self, site, gonogo, name):
        self.site = site
        self.file = site.folder / f"{name}.yaml"
        self.cockpit = Cockpit(gonogo, site.folder, name, site.text.replace(str(site.kubeconfig), str(self.file)))

    def write(self, authority=None, user=None):
        """The kubeconfig of this site with another authority or another user."""
        known = copy.deepcopy(self.site.known)
        if authority:
            known["clusters"][0]["cluster"]["certificate-authority-data"] = embedded(authority)
        if user:
            known["users"][0]["user"] = user
        self.file.write_text(json.dumps(known), encoding="utf-8")


def embedded(file):
    return base64.b64encode(file.read_bytes()).decode()


def pki(site, *words):
    """Has the plane's authority, or another one, make certificates."""
    code, _, err = run(site.plane.program("pki"), *words)
    same(code, 0, f"code of pki ({err})")


def signed_in(site, seconds):
    """The release manager's client certificate, good for so long from now."""
    folder = site.plane.folder / "pki"
    pki(site, folder, "client", "release-manager", "gonogo:release-managers", seconds)
    return {
        "client-certificate-data": embedded(folder / "release-manager.crt"),
        "client-key-data": embedded(folder / "release-manager.key"),
    }


def words(cockpit, said):
    """What `doctor` and a forced hold answer; both must say what is wrong, and nothing may be sent."""
    code, out, err = cockpit.run("doctor")
    same(code, 5, f"code of doctor ({out[-600:]} {err[-600:]})")
    told = [line.strip() for line in out.splitlines() if said in line]
    expect(told, f"`{said}` is not in what doctor says: {out[-900:]}")
    code, out, err = cockpit.run("hold", "web", "--yes", "--timeout", "3s")
    same(code, 5, f"code of a hold ({out[-600:]} {err[-600:]})")
    expect(said in out + err, f"`{said}` is not in what a hold says: {out[-900:]} {err[-600:]}")
    return told[0], " ".join((out + err).split())[:300]


def client(bench, site, gonogo, back):
    one = Signed(site, gonogo, "faults-client")
    one.write(user=signed_in(site, LIFE))
    before = len(site.sent())
    terminal = one.cockpit.open()
    try:
        screen = Screen(terminal)
        with bench.check("a client certificate expires under an open cockpit: said so with an age, and in words by a command"):
            screen.live(back)
            head, after = screen.says("credentials refused", LIFE + UNTIL_ASKED)
            doctor, hold = words(one.cockpit, "the kubeconfig's client certificate expired on 20")
            bench.say(f"       `{head}` after {after:.0f} s; doctor: {doctor}; hold: {hold}")
        with bench.check("renewed in the file: back by itself, and nothing is sent later"):
            one.write(user=signed_in(site, 3600))
            bench.say(f"       back after {screen.live(back):.1f} s")
            same(len(site.sent()), before, "changes in the audit log")
            same(one.cockpit.lines(), [], "the ledger: nothing was begun")
    finally:
        terminal.stop()


def authority(bench, site, gonogo, back):
    other = site.folder / "other-authority"
    pki(site, other)
    one = Signed(site, gonogo, "faults-authority")
    one.write(authority=other / "ca.crt")
    terminal = one.cockpit.open()
    try:
        screen = Screen(terminal)
        with bench.check("the kubeconfig trusts another authority: said so, and in words by a command"):
            head = unreached(terminal, screen)
            doctor, hold = words(one.cockpit, "the server's certificate comes from an authority that is not trusted")
            bench.say(f"       `{head}`; doctor: {doctor}; hold: {hold}")
        with bench.check("the right authority in the file: back by itself"):
            one.write()
            bench.say(f"       back after {screen.live(back):.1f} s")
    finally:
        terminal.stop()


def server(bench, site, back):
    folder = site.plane.folder / "pki"
    good = {name: (folder / name).read_bytes() for name in ("server.crt", "server.key")}
    pki(site, folder, "server", "old", -60)
    old = {name: (folder / name.replace("server", "old")).read_bytes() for name in good}
    # The server reads its files again by itself.
    put(folder, old)
    try:
        eventually("the server shows the old certificate", 90, lambda: "expired" in handshake(site))
        # An open cockpit need not notice: who takes up an earlier TLS session is shown no certificate.
        terminal = site.cockpit.open()
        try:
            screen = Screen(terminal)
            with bench.check("the API server's own certificate has expired: said so, and in words by a command"):
                head = unreached(terminal, screen)
                doctor, hold = words(site.cockpit, "the server's certificate expired on 20")
                bench.say(f"       `{head}`; doctor: {doctor}; hold: {hold}")
            with bench.check("with a good one: back by itself"):
                put(folder, good)
                terminal.until("the server shows the good certificate", 90, lambda _: handshake(site) == "")
                bench.say(f"       back after {screen.live(back):.1f} s")
        finally:
            terminal.stop()
    finally:
        put(folder, good)


def unreached(terminal, screen):
    """What the head says of a backend that has never answered; there is no age then."""
    return terminal.until("prod is not reached", 30, lambda text: re.search(r"prod \S +not reached", screen.head(text)))[0]


def put(folder, files):
    for name, data in files.items():
        (folder / name).write_bytes(data)


def handshake(site):
    """Why a client would not believe the server; empty if it would."""
    try:
        with socket.create_connection((site.api.host, site.api.port), timeout=5) as plain:
            with site.api.context.wrap_socket(plain, server_hostname=site.api.host):
                return ""
    except ssl.SSLError as why:
        return str(why)
