# SPDX-License-Identifier: MPL-2.0
"""Peers on networks of their own. Needs root; otherwise these tests are skipped."""

import os
import random
import re
import socket
import time
import unittest

from network_test import Host, Line, NetworkTest, Switch
from program import PATIENCE

PORT = 5670  # every host has its own


class Test(NetworkTest):
    def node(self, name, host=None, evasive=1000, expired=20000, port=PORT, interfaces=()):
        command = [os.environ["PARLEY_NODE"], name, str(port), str(evasive), str(expired), *interfaces]
        node = self.start(*(host.inside(*command) if host else command))
        self.await_line(node, "ready ")
        return node

    def await_line(self, node, pattern):
        """The first line that matches."""
        end = time.monotonic() + 3 * PATIENCE
        while time.monotonic() < end:
            line = node.line()
            if re.match(pattern, line):
                return line
        raise AssertionError(f"no {pattern!r}; {node.describe()}")

    def status(self, node):
        node.write("status\n")
        lines = []
        while not lines or not lines[-1].startswith("status "):
            lines.append(node.line())
        return lines

    def await_status(self, node, holds):
        end = time.monotonic() + PATIENCE
        while not holds(lines := self.status(node)):
            self.assertLess(time.monotonic(), end, lines)
            time.sleep(0.05)  # between questions

    def assert_talk(self, **nodes):
        """Each hears each other."""
        for name, node in nodes.items():
            for other, hearing in nodes.items():
                if other != name:
                    text = f"hello-{random.random()}"
                    node.write(f"whisper {other} {text}\n")
                    self.await_line(hearing, f"whisper {name} {re.escape(text)}$")

    def assert_here(self, node, count):
        self.assertIn(f"status here {count} ", self.status(node)[-1])

    def test_peers_find_each_other_over_a_switch(self):
        _, one, other, _ = self.pair()
        ada, bob = self.node("ada", one), self.node("bob", other)
        self.assertIn("tcp://10.1.0.2:", self.await_line(ada, "enter bob"))
        self.assert_talk(ada=ada, bob=bob)

    def test_peers_with_two_networks_keep_talking_when_either_is_cut(self):
        for silently in (True, False):
            for which in (0, 1):
                one, other = Host(self, "one"), Host(self, "other")
                switches = [Switch(self, "first"), Switch(self, "second")]
                for number, switch in enumerate(switches):
                    switch.plug(one, f"eth{number}", f"10.{number}.0.1/24")
                    switch.plug(other, f"eth{number}", f"10.{number}.0.2/24")
                ada, bob = self.node("ada", one), self.node("bob", other)
                self.assert_talk(ada=ada, bob=bob)
                for node in (ada, bob):
                    self.await_status(node, lambda lines: all(
                        any(re.match(rf"interface eth{number} .* heard [1-9]", line) for line in lines)
                        for number in (0, 1)))
                if silently:
                    switches[which].cut("port2")
                else:
                    other.ip(f"link set eth{which} down")
                # It may take until the silence of one is noticed; then they talk by the other.
                gone = rf"10\.{which}\."
                for node in (ada, bob):
                    self.await_status(node, lambda lines: lines[0].startswith("peer ")
                                      and not re.search(gone, lines[0]))
                self.assert_talk(ada=ada, bob=bob)

    def test_an_interface_that_comes_up_late_is_used(self):
        switch, one, other = Switch(self, "switch"), Host(self, "one"), Host(self, "other")
        ada, bob = self.node("ada", one), self.node("bob", other)
        self.assert_here(ada, 0)
        switch.plug(one, "eth0", "10.1.0.1/24")
        switch.plug(other, "eth0", "10.1.0.2/24")
        self.assert_talk(ada=ada, bob=bob)

    def test_a_peer_on_two_networks_sees_both_and_they_do_not_see_each_other(self):
        left, right = Switch(self, "left"), Switch(self, "right")
        hosts = [Host(self, name) for name in ("ada", "bob", "eve")]
        left.plug(hosts[0], "eth0", "10.1.0.1/24")
        left.plug(hosts[1], "eth0", "10.1.0.2/24")
        right.plug(hosts[1], "eth1", "10.2.0.2/24")
        right.plug(hosts[2], "eth0", "10.2.0.3/24")
        ada, bob, eve = (self.node(host.name, host) for host in hosts)
        self.assert_talk(ada=ada, bob=bob)
        self.assert_talk(eve=eve, bob=bob)
        self.assert_here(bob, 2)
        self.assert_here(ada, 1)
        self.assert_here(eve, 1)

    def test_only_the_interfaces_that_are_named_are_used(self):
        first, second = Switch(self, "first"), Switch(self, "second")
        one, other = Host(self, "one"), Host(self, "other")
        for number, switch in enumerate((first, second)):
            switch.plug(one, f"eth{number}", f"10.{number}.0.1/24")
            switch.plug(other, f"eth{number}", f"10.{number}.0.2/24")
        ada = self.node("ada", one, interfaces=["eth1"])
        bob = self.node("bob", other)
        self.assertIn("10.1.0.1", self.await_line(bob, "enter ada"))
        self.assertFalse([line for line in self.status(ada) if line.startswith("interface eth0")])

    def test_a_line_without_broadcast_is_served_by_multicast(self):
        one, other = Host(self, "one"), Host(self, "other")
        Line(self, one, other)
        ada, bob = self.node("ada", one), self.node("bob", other)
        self.assert_talk(ada=ada, bob=bob)
        sent = [line for line in self.status(ada) if line.startswith("interface line 239.")]
        self.assertEqual(len(sent), 1)

    def test_where_there_is_neither_broadcast_nor_multicast_the_books_say_so(self):
        one, other = Host(self, "one"), Host(self, "other")
        Line(self, one, other)
        for host in (one, other):
            host.ip("link set line multicast off")
        ada, bob = self.node("ada", one), self.node("bob", other)
        for node in (ada, bob):
            self.assert_here(node, 0)
            self.assertTrue([line for line in self.status(node)
                             if line.startswith("interface line - sent 0 heard 0 ")])

    def test_a_line_that_loses_and_delays_packets_loses_no_message(self):
        one, other = Host(self, "one"), Host(self, "other")
        Line(self, one, other, loss=0.1, delay=0.06)
        ada = self.node("ada", one, evasive=5000, expired=60000)
        bob = self.node("bob", other, evasive=5000, expired=60000)
        self.assert_talk(ada=ada, bob=bob)
        ada.write("count bob 500\n")
        bob.write("count ada 500\n")
        for node, other_name in ((bob, "ada"), (ada, "bob")):
            for number in range(500):
                self.await_line(node, f"whisper {other_name} {number}$")
            self.assertIn(" exited 0 ", self.status(node)[-1])

    def test_peers_that_were_parted_say_so_and_find_each_other_again(self):
        switch, one, other, ports = self.pair()
        ada = self.node("ada", one, expired=4000)
        bob = self.node("bob", other, expired=4000)
        self.assert_talk(ada=ada, bob=bob)
        switch.cut(ports[1])
        self.await_line(ada, "evasive bob")
        self.await_line(ada, "exit bob timed out")
        self.await_line(bob, "exit ada timed out")
        switch.mend(ports[1])
        self.await_line(ada, "enter bob")
        self.assert_talk(ada=ada, bob=bob)

    def test_a_short_cut_of_the_network_loses_nothing(self):
        switch, one, other, ports = self.pair()
        ada = self.node("ada", one, expired=60000)
        bob = self.node("bob", other, expired=60000)
        self.assert_talk(ada=ada, bob=bob)
        switch.cut(ports[1])
        ada.write("count bob 100\n")
        self.await_line(ada, "evasive bob")
        switch.mend(ports[1])
        self.await_line(ada, "returned bob")
        for number in range(100):
            self.await_line(bob, f"whisper ada {number}$")
        for node in (ada, bob):
            self.assertIn(" exited 0 ", self.status(node)[-1])

    def test_ipv6_with_link_local_addresses_only_is_enough(self):
        switch, one, other = Switch(self, "switch"), Host(self, "one"), Host(self, "other")
        switch.plug(one, "eth0")
        switch.plug(other, "eth0")
        if not socket.has_ipv6 or not os.path.exists("/proc/sys/net/ipv6"):
            self.skipTest("no IPv6 here")
        ada, bob = self.node("ada", one), self.node("bob", other)
        self.assertIn("tcp://[fe80:", self.await_line(ada, "enter bob"))
        self.assert_talk(ada=ada, bob=bob)

    def test_fifty_peers_on_one_host_stay(self):
        host = Host(self, "crowd")
        nodes = [self.node(f"node{number}", host, evasive=5000, expired=30000) for number in range(50)]
        for node in nodes:
            for _ in range(49):
                self.await_line(node, "enter ")
        # Long enough that who is not heard would be asked, and be evasive.
        time.sleep(8)
        for node in nodes:
            lines = self.status(node)
            self.assertIn("status here 49 entered 49 exited 0 ", lines[-1])
            self.assertFalse([line for line in lines if "evasive" in line])


if __name__ == "__main__":
    unittest.main()
