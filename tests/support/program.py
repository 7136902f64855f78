# SPDX-License-Identifier: MPL-2.0
"""Programs under test, seen from outside: their lines, their exit code. Nothing waits for ever."""

import json
import os
import queue
import signal
import subprocess
import threading
import time
import unittest
from typing import NamedTuple

PATIENCE = 20  # seconds for one event; only a broken program ever needs them


class Result(NamedTuple):
    code: int
    out: str
    err: str


class Program:
    """A running program. Its output is read all the time, so that it never blocks on a pipe."""

    def __init__(self, command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options):
        self.command = command
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=stdout, stderr=stderr,
                                        **options)
        self.lines = {"out": queue.Queue(), "err": queue.Queue()}
        self.seen = {"out": b"", "err": b""}
        self.readers = [
            threading.Thread(target=self._read, args=(name, stream), daemon=True)
            for name, stream in (("out", self.process.stdout), ("err", self.process.stderr))
            if stream]
        for reader in self.readers:
            reader.start()

    def _read(self, name, stream):
        for line in stream:
            self.seen[name] += line
            self.lines[name].put(line.decode(errors="replace").rstrip("\n"))
        self.lines[name].put(None)

    def describe(self):
        return (f"{' '.join(self.command)}\nstdout so far:\n{self.seen['out'].decode(errors='replace')}"
                f"stderr so far:\n{self.seen['err'].decode(errors='replace')}")

    def line(self, stream="out"):
        """The next line of stdout."""
        try:
            line = self.lines[stream].get(timeout=PATIENCE)
        except queue.Empty:
            raise AssertionError(f"no line on std{stream} from {self.describe()}") from None
        if line is None:
            raise AssertionError(f"std{stream} ended; {self.describe()}")
        return line

    def bound(self):
        """The endpoint that the program says it is bound to."""
        line = self.line("err")
        word, _, endpoint = line.partition(" ")
        if word != "bound":
            raise AssertionError(f"expected a bound line, not {line!r}")
        return endpoint

    def write(self, text):
        self.process.stdin.write(text.encode())
        self.process.stdin.flush()

    def stop(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        return self.finish()

    def finish(self):
        """What it printed in all, and its exit code."""
        self.process.stdin.close()
        try:
            code = self.process.wait(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"did not end: {self.describe()}") from None
        for reader in self.readers:
            reader.join(PATIENCE)
        return Result(code, self.seen["out"].decode(), self.seen["err"].decode())

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for reader in self.readers:
            reader.join(PATIENCE)
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream and not stream.closed:
                try:
                    stream.close()
                except BrokenPipeError:
                    pass


def is_running(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


class ProgramTest(unittest.TestCase):
    """Tests of programs; what they start is gone when they end."""

    maxDiff = None

    def start(self, *command, **options):
        program = Program([str(word) for word in command], **options)
        self.addCleanup(program.close)
        return program

    def start_parley(self, *arguments, **options):
        return self.start(os.environ["PARLEY_PROGRAM"], *arguments, **options)

    def parley(self, *arguments, stdin=""):
        """Runs parley to its end."""
        program = self.start_parley(*arguments)
        try:
            program.write(stdin)
        except BrokenPipeError:
            pass  # it did not want to read
        return program.finish()

    def assert_done(self, result, out=""):
        self.assertEqual((result.code, result.out), (0, out), f"stderr:\n{result.err}")

    def assert_gone(self, pid):
        end = time.monotonic() + PATIENCE
        while is_running(pid):
            self.assertLess(time.monotonic(), end, "the command runs on")

    def assert_fails(self, result, code, reason):
        self.assertEqual((result.code, result.out), (code, ""), f"stderr:\n{result.err}")
        self.assertIn(reason, result.err)

    def assert_json_lines(self, text, *objects):
        self.assertEqual([json.loads(line) for line in text.splitlines()], list(objects))
