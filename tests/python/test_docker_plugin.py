# SPDX-License-Identifier: LGPL-2.1-or-later
"""examples/docker-volume-plugin on a real pool: the protocol as Docker speaks it, and Podman itself."""

import concurrent.futures
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import time

import pytest

import kvol
from conftest import MIB

PLUGIN = os.path.join(os.environ["KV_SRCDIR"], "examples", "docker-volume-plugin",
                      "kvol-docker-plugin")
ENV = dict(os.environ, PYTHONPATH=os.pathsep.join(sys.path), PYTHONUNBUFFERED="1")
A, B = "a" * 64, "b" * 64  # container ids


class Unix(http.client.HTTPConnection):
    """HTTP on a unix socket."""

    def __init__(self, path):
        super().__init__("plugin.moby.localhost")
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.connect(self.path)


class Plugin:
    """The plugin as a process, and Docker's side of the protocol."""

    def __init__(self, pool, directory):
        self.pool_path = pool
        self.directory = directory
        self.socket = directory + "/kvol.sock"
        self.mounts = directory + "/mounts"
        self.arguments = [pool, "--directory", self.mounts, "--size", "64M"]
        self.process = None

    def start(self, command=None, **options):
        self.process = subprocess.Popen(
            command or [sys.executable, PLUGIN, "--socket", self.socket] + self.arguments,
            env=ENV, **options)
        deadline = time.monotonic() + 120
        while not self.answers():
            assert self.process.poll() is None and time.monotonic() < deadline
            time.sleep(0.05)
        return self

    def answers(self):
        try:
            return self.post("/Plugin.Activate")[1] == {"Implements": ["VolumeDriver"]}
        except OSError:
            return False

    def post(self, path, body=b"", headers=None):
        connection = Unix(self.socket)
        try:
            connection.request("POST", path, body, headers or {})
            response = connection.getresponse()
            return response.status, json.loads(response.read())
        finally:
            connection.close()

    def call(self, method, **request):
        """The reply of a call that must succeed."""
        status, reply = self.post("/VolumeDriver." + method, json.dumps(request).encode())
        assert (status, reply.pop("Err")) == (200, ""), reply
        return reply

    def refuse(self, method, **request):
        """The error of a call that must not."""
        status, reply = self.post("/VolumeDriver." + method, json.dumps(request).encode())
        assert status == 500 and reply["Err"] and "\n" not in reply["Err"]
        return reply["Err"]

    def create(self, name, **options):
        options = {k.replace("_", "-"): v for k, v in options.items()}
        assert self.call("Create", Name=name, Opts=options) == {}

    def mount(self, name, caller):
        return self.call("Mount", Name=name, ID=caller)["Mountpoint"]

    def unmount(self, name, caller):
        assert self.call("Unmount", Name=name, ID=caller) == {}

    def names(self):
        return [v["Name"] for v in self.call("List")["Volumes"]]

    def kill(self, number=signal.SIGKILL):
        self.process.send_signal(number)
        return self.process.wait()


@pytest.fixture(scope="module")
def pool_path(tmp_path_factory):
    directory = os.environ.get("KVOL_GUEST_SCRATCH", str(tmp_path_factory.mktemp("pool")))
    path = directory + "/docker.img"
    kvol.Pool.format("docker", path, size=4 << 30)
    yield path
    with kvol.Pool.open(path) as pool:
        pool.deactivate()
    os.unlink(path)


@pytest.fixture
def pool(pool_path):
    """The pool itself, beside the plugin; nothing of a test stays in it."""
    with kvol.Pool.open(pool_path) as pool:
        yield pool
    with kvol.Pool.open(pool_path) as pool:
        for publish in list(pool.publishes()):
            pool.unpublish(publish.volume, publish.target)
            if "@" in publish.target:  # the plugin's
                os.rmdir(publish.target)
        for volume in list(pool.list()):
            pool.delete(volume.name)


@pytest.fixture(scope="module")
def started(pool_path, tmp_path_factory):
    """The plugin: starting Python takes a while in the guest, so it serves until a test kills it."""
    plugin = Plugin(pool_path, str(tmp_path_factory.mktemp("plugin")))
    yield plugin
    if plugin.process and plugin.process.poll() is None:
        plugin.kill()


@pytest.fixture
def plugin(started, pool):
    """The plugin, at work on a pool without volumes."""
    if not started.process or started.process.poll() is not None:
        started.start()
    return started


def write(path, text):
    with open(path, "w", encoding="ascii") as f:
        f.write(text)


def read(path):
    with open(path, encoding="ascii") as f:
        return f.read()


# --- The protocol ---


def test_a_volume_s_life(plugin):
    assert plugin.call("Capabilities") == {"Capabilities": {"Scope": "local"}}
    assert plugin.names() == []
    plugin.create("data", size="128M", fs="ext4", label="app=web,tier=gold")
    plugin.create("data", size="128M", fs="ext4")  # Docker asks again when an answer was lost
    assert plugin.names() == ["data"]
    assert plugin.call("Path", Name="data") == {"Mountpoint": ""}
    at = plugin.mount("data", A)
    assert os.path.ismount(at) and plugin.mount("data", A) == at
    write(at + "/file", "kept")
    found = plugin.call("Get", Name="data")["Volume"]
    assert (found["Name"], found["Mountpoint"]) == ("data", at)
    assert time.strptime(found["CreatedAt"], "%Y-%m-%dT%H:%M:%SZ")
    assert found["Status"]["size"] == 128 * MIB and found["Status"]["callers"] == 1
    assert plugin.call("Path", Name="data") == {"Mountpoint": at}
    plugin.unmount("data", A)
    plugin.unmount("data", A)
    assert not os.path.exists(at) and os.listdir(plugin.mounts) == []
    with open(plugin.mount("data", B) + "/file", encoding="ascii") as f:
        assert f.read() == "kept"
    plugin.unmount("data", B)
    assert plugin.call("Remove", Name="data") == {}
    assert plugin.call("Remove", Name="data") == {}
    assert plugin.names() == []
    for method in ("Get", "Path", "Mount", "Unmount"):
        assert "no such volume" in plugin.refuse(method, Name="data", ID=A)


def test_callers_are_counted(plugin, pool):
    plugin.create("data")
    first, second = plugin.mount("data", A), plugin.mount("data", B)
    assert first != second
    write(first + "/file", "one volume")
    assert read(second + "/file") == "one volume"
    assert "published" in plugin.refuse("Remove", Name="data")
    plugin.unmount("data", A)
    assert os.path.ismount(second)
    assert "published" in plugin.refuse("Remove", Name="data")
    plugin.unmount("data", B)
    assert pool.volume("data").n_targets == 0
    plugin.call("Remove", Name="data")


def test_a_killed_plugin_forgets_nothing(plugin, pool):
    plugin.create("data")
    first = plugin.mount("data", A)
    second = plugin.mount("data", B)
    assert plugin.kill() == -signal.SIGKILL
    assert os.path.ismount(first)  # containers go on
    plugin.start()  # over the socket that was left
    assert plugin.call("Get", Name="data")["Volume"]["Status"]["callers"] == 2
    assert plugin.mount("data", A) == first
    plugin.unmount("data", A)
    plugin.kill()
    plugin.start()
    assert os.path.ismount(second) and not os.path.exists(first)
    assert "published" in plugin.refuse("Remove", Name="data")
    plugin.unmount("data", B)
    plugin.call("Remove", Name="data")


def test_a_plugin_that_is_killed_in_a_call(plugin, pool):
    """Wherever it was, the same call again has one result."""
    for delay in (0.02, 0.1, 0.4):
        with concurrent.futures.ThreadPoolExecutor() as executor:
            call = executor.submit(plugin.create, "data", fs="xfs", size="512M")
            time.sleep(delay)
            plugin.kill()
            assert call.exception() is None or isinstance(
                call.exception(), (OSError, http.client.HTTPException))
        plugin.start()
        plugin.create("data", fs="xfs", size="512M")
        with concurrent.futures.ThreadPoolExecutor() as executor:
            call = executor.submit(plugin.mount, "data", A)
            time.sleep(delay)
            plugin.kill()
        plugin.start()
        plugin.unmount("data", A)
        assert pool.volume("data").n_targets == 0
        plugin.call("Remove", Name="data")


def test_after_a_boot_counting_begins_at_zero(plugin, pool, pool_path):
    """What a boot does: the mounts, the records in /run and the devices are gone."""
    plugin.create("data")
    target = plugin.mount("data", A)
    write(target + "/file", "kept")
    plugin.kill()
    pool.unpublish("data", target)
    os.rmdir(target)
    os.rmdir(plugin.mounts)
    pool.deactivate()
    pool.close()
    plugin.start()
    assert plugin.call("Get", Name="data")["Volume"]["Status"]["callers"] == 0
    assert read(plugin.mount("data", B) + "/file") == "kept"
    plugin.unmount("data", B)
    plugin.call("Remove", Name="data")


def test_options(plugin, pool):
    plugin.create("small")
    assert pool.volume("small").size == 64 * MIB and pool.volume("small").fs_type == "ext4"
    at = plugin.mount("small", A)
    write(at + "/file", "copied")
    pool.snapshot("small", "small@monday")
    plugin.create("copy", **{"from": "small@monday", "size": "1g", "label": "of=monday"})
    assert pool.volume("copy").size == 1 << 30 and pool.get_label("copy", "of") == "monday"
    assert plugin.names() == ["copy", "small"]
    assert read(plugin.mount("copy", A) + "/file") == "copied"
    for options, text in (({"size": "0"}, "size"), ({"size": "-1"}, "size"), ({"size": "1X"}, "size"),
                          ({"size": "9" * 40}, "size"), ({"size": ""}, "size"),
                          ({"size": "9999P"}, "other"),
                          ({"fs": "ntfs"}, "ntfs"), ({"fs": ""}, "fs"), ({"frobnicate": "1"}, "frob"),
                          ({"from": "nobody"}, "nobody"), ({"label": "key"}, "label"),
                          ({"label": "a b=c"}, "a b"), ({"label": "docker-volume=no"}, "label"),
                          ({"from": "small@monday", "size": "1M"}, "less"),
                          ({"from": "small@monday", "fs": "xfs"}, "xfs"),
                          ({"secret-file": "relative"}, "absolute")):
        assert text in plugin.refuse("Create", Name="other", Opts=options)
    assert "other" not in [v.name for v in pool.list()]
    plugin.refuse("Create", Name="small", Opts={"size": "128M"})
    assert pool.volume("small").size == 64 * MIB


def test_names_are_docker_s(plugin, pool):
    for name in ("", ".", "..", "../x", "a/b", "-x", "a\0b", "a b", "ä", "x" * 182):
        plugin.refuse("Create", Name=name, Opts={})
        for method in ("Mount", "Unmount", "Get", "Path"):
            plugin.refuse(method, Name=name, ID=A)
    assert list(pool.list()) == []


def test_a_caller_s_id_is_no_path(plugin):
    plugin.create("data")
    for caller in ("../../../etc", "", "a/b", "é", "x" * 300, "a\0b"):
        at = plugin.mount("data", caller)
        assert os.path.dirname(at) == plugin.mounts and os.path.ismount(at)
        plugin.unmount("data", caller)
        assert not os.path.exists(at)


def test_other_volumes_of_the_pool_are_left_alone(plugin, pool, tmp_path):
    pool.create("theirs", 64 * MIB, fs_type="ext4")
    target = tmp_path / "theirs"
    target.mkdir()
    pool.publish("theirs", target)
    assert plugin.names() == []
    for method in ("Mount", "Unmount", "Get", "Path"):
        assert "no such volume" in plugin.refuse(method, Name="theirs", ID=A)
    assert "not Docker's" in plugin.refuse("Remove", Name="theirs")
    assert "not Docker's" in plugin.refuse("Create", Name="theirs", Opts={})
    assert pool.volume("theirs").n_targets == 1 and pool.labels("theirs") == {}


def test_secrets_are_in_files_of_root_s(plugin, pool, tmp_path):
    secret = tmp_path / "secret"
    secret.write_bytes(b"not for the options\n")
    for mode in (0o644, 0o640, 0o604):
        secret.chmod(mode)
        assert "nobody else" in plugin.refuse("Create", Name="safe",
                                              Opts={"secret-file": str(secret)})
    secret.chmod(0o600)
    os.chown(secret, 4711, 4711)
    assert "root" in plugin.refuse("Create", Name="safe", Opts={"secret-file": str(secret)})
    os.chown(secret, 0, 0)
    (tmp_path / "link").symlink_to(secret)
    (tmp_path / "empty").touch(mode=0o600)
    os.mkfifo(tmp_path / "fifo", 0o600)
    for name in ("link", "empty", "fifo", "none", ""):
        assert "secret-file=" in plugin.refuse("Create", Name="safe",
                                               Opts={"secret-file": str(tmp_path / name)})
    assert list(pool.list()) == []

    plugin.create("safe", secret_file=str(secret))
    assert pool.volume("safe").encrypted
    write(plugin.mount("safe", A) + "/file", "kept")
    plugin.create("copy", **{"from": "safe"})  # has its secret, in the same file
    plugin.unmount("safe", A)
    plugin.mount("copy", A)
    plugin.unmount("copy", A)
    for text in (json.dumps(plugin.call("Get", Name="safe")), str(pool.labels("safe"))):
        assert "not for the options" not in text
    secret.write_bytes(b"another")
    assert "secret" in plugin.refuse("Mount", Name="safe", ID=A)
    assert os.listdir(plugin.mounts) == []
    plugin.create("plain")
    assert "not encrypted" in plugin.refuse(
        "Create", Name="other", Opts={"from": "plain", "secret-file": str(secret)})


def test_requests_that_are_none(plugin):
    for body in (b"", b"{}", b"[]", b"null", b"1", b"{", b"\xff", b"[" * 100000,
                 b'{"Name": 1}', b'{"Name": "x", "Opts": []}', b'{"Name": "x", "Opts": {"size": 1}}',
                 b'{"Name": "x", "Opts": {"size": null}}'):
        status, reply = plugin.post("/VolumeDriver.Create", body)
        assert status == 500 and reply["Err"], body
    for path in ("/", "/VolumeDriver.Explode", "/VolumeDriver.__init__", "/VolumeDriver.need"):
        assert plugin.post(path, b"{}")[0] == 500
    assert plugin.post("/VolumeDriver.List", b"", {"Content-Length": "1048577"})[0] == 500
    assert plugin.post("/VolumeDriver.List", b"", {"Content-Length": "-1"})[0] == 500
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(plugin.socket)
        s.sendall(b"POST /VolumeDriver.List HTTP/1.1\r\nContent-Length: 100\r\n\r\n{")
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(plugin.socket)
        s.sendall(b"\x16\x03\x01 nonsense\r\n\r\n")
        s.recv(1000)
    assert plugin.names() == []


def test_many_callers_at_once(plugin, pool):
    for i in range(3):
        plugin.create("v%d" % i)

    def use(i):
        at = plugin.mount("v%d" % (i % 3), "%064x" % i)
        write("%s/%d" % (at, i), str(i))
        plugin.unmount("v%d" % (i % 3), "%064x" % i)

    with concurrent.futures.ThreadPoolExecutor(8) as executor:
        list(executor.map(use, range(24)))
    assert list(pool.publishes()) == [] and os.listdir(plugin.mounts) == []
    at = plugin.mount("v0", A)
    assert sorted(n for n in os.listdir(at) if n.isdigit()) == sorted(
        str(i) for i in range(24) if i % 3 == 0)


# --- The process ---


def test_the_socket_is_root_s_alone(plugin):
    assert os.stat(plugin.socket).st_mode & 0o777 == 0o600


def test_a_second_plugin_does_not_take_the_socket(plugin):
    second = subprocess.run([sys.executable, PLUGIN, "--socket", plugin.socket] + plugin.arguments,
                            env=ENV, stderr=subprocess.PIPE)
    assert second.returncode == 1 and b"another plugin" in second.stderr
    assert plugin.answers()


def test_it_ends_when_it_is_told(plugin):
    plugin.create("data")
    at = plugin.mount("data", A)
    assert plugin.kill(signal.SIGTERM) == 0
    assert os.path.ismount(at)


def test_a_socket_of_systemd_s(pool, pool_path, tmp_path):
    plugin = Plugin(pool_path, str(tmp_path))
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(plugin.socket)
        listener.listen(8)
        script = ('exec 3<&"$1"; shift; export LISTEN_FDS=1 LISTEN_PID=$$; exec "$@"')
        command = ["bash", "-c", script, "sh", str(listener.fileno()), sys.executable, PLUGIN]
        plugin.start(command + plugin.arguments, pass_fds=[listener.fileno()])
        plugin.create("data")
        plugin.kill()
        # The socket outlives the plugin: a call that comes now is answered by the next one.
        with concurrent.futures.ThreadPoolExecutor() as executor:
            waiting = executor.submit(plugin.names)
            plugin.start(command + plugin.arguments, pass_fds=[listener.fileno()])
            assert waiting.result() == ["data"]
        assert plugin.kill(signal.SIGTERM) == 0
        assert os.path.exists(plugin.socket)


def test_a_pool_that_is_not_there(tmp_path):
    failed = subprocess.run([sys.executable, PLUGIN, str(tmp_path / "none")], env=ENV,
                            stderr=subprocess.PIPE)
    assert failed.returncode == 1 and failed.stderr.count(b"\n") == 1


# --- Podman ---


def settle(condition):
    """Podman cleans up behind its own back."""
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def executable(member):
    """For tar: root's program, whoever owns it here."""
    member.mode, member.uid, member.gid = 0o755, 0, 0
    return member


class Podman:
    """Podman with a storage of its own, and an image of busybox alone. (Of a container with --rootfs
    Podman 4.3 never unmounts the volumes.)"""

    def __init__(self, plugin, directory):
        write(directory + "/containers.conf", """
[engine]
cgroup_manager = "cgroupfs"
events_logger = "none"
runtime = "crun"
volume_plugin_timeout = 60
[engine.volume_plugins]
kvol = "%s"
""" % plugin.socket)
        self.env = dict(os.environ, CONTAINERS_CONF=directory + "/containers.conf",
                        XDG_RUNTIME_DIR=directory, TMPDIR=directory)
        with tarfile.open(directory + "/image.tar", "w") as tar:
            tar.add(shutil.which("busybox"), "bin/busybox", filter=executable)
        self.command = ["podman", "--root", directory + "/root", "--runroot", directory + "/run",
                        "--tmpdir", directory + "/libpod", "--storage-driver", "vfs"]
        self("import", directory + "/image.tar", "busybox")

    def start(self, *args):
        return subprocess.Popen(self.command + list(args), env=self.env, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)

    def finish(self, process):
        out, err = process.communicate()
        assert process.returncode == 0, err.decode()
        return out.decode().strip()

    def __call__(self, *args):
        return self.finish(self.start(*args))

    def fails(self, *args):
        process = self.start(*args)
        err = process.communicate()[1].decode()
        assert process.returncode != 0
        return err

    def container(self, script, *options):
        """The arguments of a container that runs a script, with the volume at /data."""
        return ("run", "--rm", "--network", "none", "--cgroups", "disabled", "-v", "data:/data",
                *options, "busybox", "/bin/busybox", "sh", "-c", script)


@pytest.fixture
def podman(plugin, tmp_path):
    if not shutil.which("podman") or not shutil.which("crun"):
        pytest.skip("podman is not installed (packages podman crun)")
    directory = os.environ.get("KVOL_GUEST_SCRATCH", str(tmp_path)) + "/podman"
    os.makedirs(directory)
    yield Podman(plugin, directory)
    shutil.rmtree(directory, ignore_errors=True)


def test_podman(plugin, pool, podman):
    podman("volume", "create", "--driver", "kvol", "--opt", "size=128M", "--opt", "fs=ext4", "data")
    assert pool.volume("data").size == 128 * MIB
    inspected = json.loads(podman("volume", "inspect", "data"))[0]
    assert (inspected["Driver"], inspected["Options"]["size"]) == ("kvol", "128M")
    assert podman("volume", "ls", "-q") == "data"
    podman(*podman.container("echo kept > /data/file"))
    settle(lambda: not list(pool.publishes()))
    plugin.kill()
    plugin.start()
    assert podman(*podman.container("busybox cat /data/file")) == "kept"

    # A container that runs while the plugin is killed, and ends after it was started again.
    running = podman.start(*podman.container(
        ": >/data/here; until [ -e /data/end ]; do busybox sleep 0.2; done; busybox cat /data/file"))
    settle(lambda: plugin.call("Path", Name="data")["Mountpoint"])
    at = plugin.call("Path", Name="data")["Mountpoint"]
    settle(lambda: os.path.exists(at + "/here"))
    plugin.kill()
    plugin.start()
    assert "data" in podman.fails("volume", "rm", "data")
    write(at + "/end", "")
    assert podman.finish(running) == "kept"
    settle(lambda: not list(pool.publishes()))
    podman("volume", "rm", "data")
    assert [v.name for v in pool.list()] == []

    err = podman.fails("volume", "create", "--driver", "kvol", "--opt", "size=much", "data")
    assert "size=much" in err
