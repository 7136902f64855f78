# SPDX-License-Identifier: MPL-2.0
"""Networks for tests: hosts in namespaces, switches and bad lines between them. Needs root; otherwise these
tests are skipped."""

import ctypes
import fcntl
import heapq
import os
import random
import select
import shutil
import struct
import subprocess
import threading
import time
import unittest

from program import PATIENCE, ProgramTest

CLONE_NEWNET = 0x40000000
TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 1, 0x1000


def may_make_networks():
    if os.geteuid() != 0 or not all(map(shutil.which, ("ip", "unshare", "nsenter"))):
        return False
    # A container's root may not.
    return subprocess.run(["unshare", "-n", "ip", "link", "add", "name", "b0", "type", "bridge"],
                          capture_output=True, check=False).returncode == 0


class Host:
    """A network namespace, held by a process that ends with the test, or after a while."""

    def __init__(self, test, name):
        self.name = name
        self.holder = subprocess.Popen(["unshare", "-n", "sleep", "250"])
        test.addCleanup(self.close)
        self.pid = str(self.holder.pid)
        end = time.monotonic() + PATIENCE
        while os.readlink(f"/proc/{self.pid}/ns/net") == os.readlink("/proc/self/ns/net"):
            if time.monotonic() > end:
                raise AssertionError("no network namespace")
            time.sleep(0.01)  # nobody tells when it is made
        self.ip("link set lo up")

    def close(self):
        self.holder.kill()
        self.holder.wait()

    def inside(self, *command):
        return ["nsenter", "-t", self.pid, "-n", *command]

    def ip(self, words):
        subprocess.run(self.inside("ip", *words.split()), check=True)


class Switch(Host):
    def __init__(self, test, name):
        super().__init__(test, name)
        self.ip("link add name b0 type bridge forward_delay 0 mcast_snooping 0")
        self.ip("link set b0 up")
        self.ports = 0

    def plug(self, host, interface, address=None):
        """Returns the name of the port that the host is plugged into."""
        self.ports += 1
        port = f"port{self.ports}"
        self.ip(f"link add name {port} type veth peer name {interface} netns {host.pid}")
        self.ip(f"link set {port} master b0 up")
        if address:
            host.ip(f"address add {address} broadcast + dev {interface}")
        host.ip(f"link set {interface} up")
        return port

    def cut(self, port):
        """Silently: the host keeps its carrier."""
        self.ip(f"link set {port} nomaster")

    def mend(self, port):
        self.ip(f"link set {port} master b0")


class Line:
    """A line between two hosts without broadcast, that delays packets and loses some, and those larger than largest."""

    def __init__(self, test, one, other, loss=0.0, delay=0.0, largest=65536):
        self.loss, self.delay, self.largest = loss, delay, largest
        self.random = random.Random(1)
        self.ends = [self._open(host) for host in (one, other)]
        self.stop_read, self.stop_write = os.pipe()
        self.thread = threading.Thread(target=self._carry, daemon=True)
        for number, host in enumerate((one, other)):
            host.ip(f"address add 10.9.0.{number + 1} peer 10.9.0.{2 - number} dev line")
            host.ip("link set line up")
        self.thread.start()
        test.addCleanup(self.close)

    @staticmethod
    def _open(host):
        made = []

        def make():  # in a thread, since a namespace is a thread's
            libc = ctypes.CDLL(None, use_errno=True)
            with open(f"/proc/{host.pid}/ns/net", "rb") as namespace:
                if libc.setns(namespace.fileno(), CLONE_NEWNET) != 0:
                    return
            end = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
            fcntl.ioctl(end, TUNSETIFF, struct.pack("16sH22x", b"line", IFF_TUN | IFF_NO_PI))
            made.append(end)

        thread = threading.Thread(target=make)
        thread.start()
        thread.join()
        if not made:
            raise unittest.SkipTest("no /dev/net/tun here")
        return made[0]

    def _carry(self):
        under_way = []
        while True:
            pause = max(0, under_way[0][0] - time.monotonic()) if under_way else None
            ready = select.select([*self.ends, self.stop_read], [], [], pause)[0]
            if self.stop_read in ready:
                return
            for end in ready:
                try:
                    packet = os.read(end, 65536)
                except OSError:
                    continue
                if len(packet) <= self.largest and self.random.random() >= self.loss:
                    when = time.monotonic() + self.random.uniform(self.delay / 2, self.delay)
                    other = self.ends[1 - self.ends.index(end)]
                    heapq.heappush(under_way, (when, len(packet), other, packet))
            while under_way and under_way[0][0] <= time.monotonic():
                _, _, end, packet = heapq.heappop(under_way)
                try:
                    os.write(end, packet)
                except OSError:
                    pass  # its interface is down

    def close(self):
        os.write(self.stop_write, b"x")
        self.thread.join()
        for each in (*self.ends, self.stop_read, self.stop_write):
            os.close(each)


class NetworkTest(ProgramTest):
    def setUp(self):
        super().setUp()
        if not may_make_networks():
            self.skipTest("needs root, and ip of iproute2, to make networks")

    def pair(self):
        switch = Switch(self, "switch")
        one, other = Host(self, "one"), Host(self, "other")
        ports = switch.plug(one, "eth0", "10.1.0.1/24"), switch.plug(other, "eth0", "10.1.0.2/24")
        return switch, one, other, ports
