# SPDX-License-Identifier: Apache-2.0
"""Debian's swupdate as a device: what it may install, how it is started, what became of it."""
import dataclasses
import hashlib
import pathlib

from program import Program, make_payload, run, version_in

BOARD = "demo"
LIFE_S = 900  # then a swupdate ends, whoever has forgotten it
AGAIN, SUCCESS, FAILED = 1, 2, 3  # what a bootloader says after the restart


@dataclasses.dataclass
class Signer:
    certificate: pathlib.Path
    key: pathlib.Path


def make_signer(folder, name):
    signer = Signer(folder / f"{name}.pem", folder / f"{name}.key")
    run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
        "-nodes", "-keyout", signer.key, "-out", signer.certificate, "-days", "2",
        "-subj", f"/CN={name}", "-addext", "extendedKeyUsage=emailProtection")
    return signer


DESCRIPTION = """software =
{{
	version = "{version}";
	hardware-compatibility: [ "{hardware}" ];
	files: (
		{{ filename = "payload"; path = "installed"; sha256 = "{sha256}"; }}
	);
}}
"""


def make_bundle(folder, signer, version, hardware="1.0", size=20000):
    """A signed .swu in `folder` (made here); its path.  Installed, it is the file `installed`."""
    folder.mkdir(parents=True)
    payload = make_payload(version, size)
    (folder / "payload").write_bytes(payload)
    (folder / "sw-description").write_text(DESCRIPTION.format(
        version=version, hardware=hardware, sha256=hashlib.sha256(payload).hexdigest()))
    run("openssl", "cms", "-sign", "-in", "sw-description", "-out", "sw-description.sig",
        "-signer", signer.certificate, "-inkey", signer.key, "-outform", "DER", "-nosmimecap",
        "-binary", cwd=folder)
    # This order: the description and its signature are read first.
    archive = run("cpio", "-o", "-H", "crc", "--quiet", cwd=folder,
                  input=b"sw-description\nsw-description.sig\npayload\n")
    bundle = folder / f"{version}.swu"
    bundle.write_bytes(archive.stdout)
    return bundle


CONFIG = """globals : {{
	verbose = false; loglevel = {loglevel}; public-key-file = "{signer}"; bootloader = "none";
}};
identify : ( {identify} );
suricatta : {{
	tenant = "{tenant}"; id = "{name}"; url = "{url}"; cafile = "{certificate}";
	polldelay = {poll_s}; retry = {retry}; retrywait = 1; enable = true;
	{credential}
}};
"""


class SwUpdate(Program):
    """A device.  `folder` is its own, short (sockets lie in it), and has what it installed.

    Without a token it is known by `client`, (certificate, key), or not at all.  `post` is a shell
    command after an installation."""

    def __init__(self, folder, url, certificate, signer, **options):
        super().__init__(folder)
        self.name = options.get("name", "dev-0001")
        self.hardware = options.get("hardware", "1.0")
        self.post = options.get("post", "true")
        (folder / "tmp").mkdir(parents=True, exist_ok=True)
        identify = options.get("identify", {"hwVersion": "333", "serialNo": "1234567890"})
        (folder / "swupdate.cfg").write_text(CONFIG.format(
            loglevel=options.get("loglevel", 4), signer=signer.certificate,
            tenant=options.get("tenant", "DEFAULT"), name=self.name, url=url,
            certificate=certificate, poll_s=options.get("poll_s", 1),
            retry=options.get("retry", 4),
            identify=", ".join('{ name = "%s"; value = "%s"; }' % i for i in identify.items()),
            credential=self.credential(options)))

    @staticmethod
    def credential(options):
        text = ""
        for name in ("targettoken", "gatewaytoken"):
            if options.get(name):
                text += f'{name} = "{options[name]}"; '
        if "client" in options:
            text += 'sslcert = "%s"; sslkey = "%s";' % options["client"]
        return text

    def start(self, confirm=None):
        """Phase 1 polls, downloads, installs and then only waits; phase 2 is the start after the
        reboot, which tells the server with `confirm` how it went."""
        self.spawn(["swupdate", "-l", "4", "-f", "swupdate.cfg", "-H", f"{BOARD}:{self.hardware}",
                    "-p", self.post, "-u", f"-c {confirm} -m 1" if confirm else ""],
                   {"TMPDIR": str(self.folder / "tmp")}, LIFE_S)

    def restart(self, confirm):
        self.stop()
        self.start(confirm)

    def installed(self):
        """The version it has installed here; None before the first."""
        return version_in(self.folder / "installed")
