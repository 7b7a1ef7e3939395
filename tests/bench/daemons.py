"""Daemons on one private PostgreSQL, for the benchmarks beside this file."""
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request


class Daemon:
    """`gathering serve` on a free port of loopback, without rate limits."""

    def __init__(self, build, directory, environment):
        self.directory = directory
        self.log = open(os.path.join(directory, "log"), "w+")
        self.process = subprocess.Popen([f"{build}/gathering", "serve", "--data-dir", directory, "--listen", "127.0.0.1:0"],
                                        stderr=self.log, stdout=self.log,
                                        env={**os.environ, "GATHERING_RATE_LIMITS_ENABLED": "false", **environment})
        self.port = self.password = None

    def wait(self, needs_password):
        while True:
            text = open(self.log.name).read()
            found = re.search(r"127\.0\.0\.1:(\d{2,})", text)
            password = re.search(r"with the password (\S+)", text)
            if found and (password or not needs_password):
                self.port = int(found[1])
                self.password = password and password[1]
                return
            if self.process.poll() is not None:
                sys.exit(text)
            time.sleep(0.05)

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def ask(self, path, body=None, token=None, method=None):
        request = urllib.request.Request(f"http://{self.address}{path}", method=method,
                                         data=None if body is None else json.dumps(body).encode(),
                                         headers={"Content-Type": "application/json"})
        if token:
            request.add_header("Authorization", f"Bearer {token}")
        with urllib.request.urlopen(request) as answer:
            return json.loads(answer.read() or "null")

    def resident(self):
        """In KiB."""
        with open(f"/proc/{self.process.pid}/status") as status:
            return int(re.search(r"VmRSS:\s+(\d+)", status.read())[1])


@contextlib.contextmanager
def daemons(build, count, environment=None):
    """So many on one database, and an administrator's token."""
    root = tempfile.mkdtemp(prefix="bench-")
    os.chmod(root, 0o711)  # started by root, the database runs as another user
    running = []
    shared = dict(environment or {})
    try:
        for number in range(count):
            directory = os.path.join(root, str(number))
            os.mkdir(directory)
            running.append(Daemon(build, directory, shared))
            running[-1].wait(number == 0)
            if number == 0:
                place = next(path for path, _, files in os.walk(directory) for file in files
                             if file.startswith(".s.PGSQL."))
                shared |= {"DATABASE_URL": f"host={place} user=gathering dbname=gathering",
                           "SECRET_KEY": open(os.path.join(directory, "secret_key")).read().strip()}
        first = running[0]
        token = first.ask("/auth/login/json", {"email": "admin@localhost", "password": first.password})["access_token"]
        yield running, token
    finally:
        for daemon in reversed(running):
            daemon.process.send_signal(signal.SIGTERM)
            daemon.process.wait(30)
        shutil.rmtree(root, ignore_errors=True)
