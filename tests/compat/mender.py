# SPDX-License-Identifier: Apache-2.0
"""Debian's mender-client as a device: artifacts it accepts, how it is started and rebooted.

Its paths are fixed, so each device runs in a mount namespace of its own, where its folder's
`etc`, `share` and `lib` lie over /etc/mender, /usr/share/mender and /var/lib."""
import base64
import hashlib
import io
import json
import os
import shutil
import tarfile
import time

from program import Program, make_payload, run, version_in

LIFE_S = 900  # then a mender ends, whoever has forgotten it
REBOOT_WAIT_S = 120
KEYS = {"rsa": ("-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"),
        "ecdsa": ("-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"),
        "ed25519": ("-algorithm", "ED25519")}

# An update module with two slots of one file each: what is installed counts after a reboot, and
# a build that the file `bad-boot` names does not come up.
SLOT = """#!/bin/sh
set -e
lib=/var/lib/mender
case $1 in
NeedsArtifactReboot) echo Automatic ;;
SupportsRollback) echo Yes ;;
ArtifactInstall)
	if [ -e $lib/installed ]; then cp $lib/installed $lib/other; else touch $lib/none; fi
	cp "$2/files/payload" $lib/installed ;;
ArtifactVerifyReboot)
	! { [ -e $lib/bad-boot ] && head -n 1 $lib/installed | grep -qxFf $lib/bad-boot; } ;;
ArtifactRollback)
	[ ! -e $lib/other ] || mv $lib/other $lib/installed
	[ ! -e $lib/none ] || rm -f $lib/installed $lib/none ;;
ArtifactCommit) rm -f $lib/other $lib/none ;;
esac
"""
REBOOT = """#!/bin/sh
touch /var/lib/mender/reboots
"""
# $1: the device's folder.
ENTER = """
mount --make-rprivate /
mount --bind "$1/etc" /etc/mender
mount --bind "$1/share" /usr/share/mender
mount --bind "$1/lib" /var/lib
shift
exec "$@"
"""


def make_key(path, kind="rsa"):
    run("openssl", "genpkey", *KEYS[kind], "-out", path)
    return path


def pack(mode, files):
    """A tar of (name, bytes), in memory."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as tar:
        for name, data in files:
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(data), 0o644
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def as_json(value):
    return json.dumps(value).encode()


def payload_of(module, version, size):
    if module == "slot":
        return [("payload", make_payload(version, size))]
    return [("dest_dir", b"/var/lib/mender\n"), ("filename", b"installed\n"),
            ("permissions", b"644\n"), ("installed", make_payload(version, size))]


def make_artifact(folder, name, signer=None, **options):
    """An artifact (format 3) in `folder` (made here); its path.  `module` is slot, which reboots,
    or single-file, which does not; both install what installed() tells.  `signer` is a key."""
    folder.mkdir(parents=True)
    module = options.get("module", "slot")
    files = payload_of(module, name, options.get("size", 20000))
    version = as_json({"format": "mender", "version": 3})
    header = pack("w:gz", [
        ("header-info", as_json({
            "payloads": [{"type": module}], "artifact_provides": {"artifact_name": name},
            "artifact_depends": {"device_type": [options.get("device_type", "phone-x")]}})),
        ("headers/0000/type-info", as_json({
            "type": module, "artifact_provides": {f"rootfs-image.{module}.version": name},
            "clears_artifact_provides": [f"rootfs-image.{module}.*"]})),
        ("headers/0000/meta-data", b"{}")])
    sums = [(f"data/0000/{n}", d) for n, d in files]
    sums += [("header.tar.gz", header), ("version", version)]
    manifest = "".join(f"{hashlib.sha256(d).hexdigest()}  {n}\n" for n, d in sums).encode()
    whole = [("version", version), ("manifest", manifest)]
    if signer is not None:
        signature = run("openssl", "dgst", "-sha256", "-sign", signer, input=manifest).stdout
        whole.append(("manifest.sig", base64.b64encode(signature)))
    whole += [("header.tar.gz", header), ("data/0000.tar.gz", pack("w:gz", files))]
    artifact = folder / f"{name}.mender"
    artifact.write_bytes(pack("w", whole))
    return artifact


class Mender(Program):
    """A device.  `folder` is its own and has what it installed.

    `signer` is the private key whose artifacts it takes; without, it takes all."""

    def __init__(self, folder, url, certificate, **options):
        super().__init__(folder)
        self.identity = options.get("identity", {"imei": "356938035643809"})
        self.device_type = options.get("device_type", "phone-x")
        self.lib = folder / "lib" / "mender"
        poll_s = options.get("poll_s", 1)
        self.config = {
            "ServerURL": url, "ServerCertificate": str(certificate),
            "TenantToken": options.get("tenant_token", ""),
            "UpdatePollIntervalSeconds": poll_s, "InventoryPollIntervalSeconds": poll_s,
            "RetryPollIntervalSeconds": poll_s, "DBus": {"Enabled": False},
            "DeviceTypeFile": "/var/lib/mender/device_type"}
        if "client" in options:
            self.config["HttpsClient"] = {
                "Certificate": str(options["client"][0]), "Key": str(options["client"][1])}
        self.make_folders()
        if options.get("signer"):
            public = folder / "etc" / "artifact-verify-key.pem"
            run("openssl", "pkey", "-in", options["signer"], "-pubout", "-out", public)
            self.config["ArtifactVerifyKey"] = "/etc/mender/artifact-verify-key.pem"
        (folder / "etc" / "mender.conf").write_text(json.dumps(self.config))
        # Brought along, because making one of RSA takes seconds.
        make_key(self.lib / "mender-agent.pem", options.get("key", "ecdsa"))

    def make_folders(self):
        share = self.folder / "share"
        for folder in (self.folder / "etc", share / "identity", share / "inventory",
                       share / "modules" / "v3", self.lib, self.folder / "bin"):
            folder.mkdir(parents=True, exist_ok=True)
        modules = share / "modules" / "v3"
        shutil.copy("/usr/share/mender/modules/v3/single-file", modules)
        identity = "".join(f"echo {n}={v}\n" for n, v in self.identity.items())
        for path, text in ((share / "identity" / "mender-device-identity",
                            "#!/bin/sh\n" + identity),
                           (modules / "slot", SLOT), (self.folder / "bin" / "reboot", REBOOT)):
            path.write_text(text)
            path.chmod(0o755)
        (self.folder / "etc" / "artifact_info").write_text("artifact_name=release-1\n")
        (self.lib / "device_type").write_text(f"device_type={self.device_type}\n")

    def start(self):
        owner = [] if os.geteuid() == 0 else ["--map-root-user"]
        self.spawn(["unshare", *owner, "--mount", "sh", "-euc", ENTER, "sh", self.folder,
                    "mender", "--no-syslog", "--log-level", "debug", "daemon"],
                   {"PATH": f"{self.folder}/bin:{os.environ['PATH']}"}, LIFE_S)

    def restart(self):
        self.stop()
        self.start()

    def reboot(self):
        """Waits until it asks for one; then it starts again, and goes on where it was."""
        asked, end = self.lib / "reboots", time.monotonic() + REBOOT_WAIT_S
        while not asked.exists():
            assert time.monotonic() < end, self.log()[-4000:]
            assert self.runs(), self.log()[-4000:]
            time.sleep(0.05)
        self.kill()
        asked.unlink()
        self.start()

    def bad_boot(self, name):
        """The release of that name will not come up, and is rolled back."""
        (self.lib / "bad-boot").write_text(name + "\n")

    def installed(self):
        """The release whose file is in place; None before the first."""
        return version_in(self.lib / "installed")

    def public_key(self):
        key = self.lib / "mender-agent.pem"
        return run("openssl", "pkey", "-in", key, "-pubout").stdout.decode()
