# SPDX-License-Identifier: MPL-2.0
"""What the doctor says of networks with one trouble each. Needs root; otherwise these tests are skipped."""

import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import unittest

from network_test import Host, Line, NetworkTest, Switch

# Sends these datagrams to a host or to all, over and over: PORT TO... -- HEX...
SENDER = """
import socket, sys, time
port, where, what = int(sys.argv[1]), sys.argv[2], [bytes.fromhex(each) for each in sys.argv[3:]]
out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
out.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
while True:
    for each in what:
        out.sendto(each, (where, port))
    time.sleep(0.2)  # A beacon's interval: whoever begins to listen later hears the next one.
"""

# Sends whatever beacon it hears of others, for another mailbox.
ECHO = """
import socket, sys
both = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
both.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
both.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
both.bind(("", 5670))
while True:
    heard, (host, port) = both.recvfrom(100)
    if host == sys.argv[1]:
        both.sendto(heard[:20] + b"\\x12\\x34", (sys.argv[2], 5670))
"""

# Takes a port, and shares it with nobody.
TAKER = """
import socket, time
taken = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
taken.bind(("", 5670))
print("taken", flush=True)
time.sleep(250)
"""

# Says hello in version 1 of ZRE to whoever sends beacons.
OLD_NODE = """
import socket, sys, zmq
heard = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
heard.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
heard.bind(("", 5670))
beacon, (host, port) = heard.recvfrom(100)
line = zmq.Context().socket(zmq.DEALER)
line.setsockopt(zmq.IDENTITY, b"\\x01" + b"j" * 16)
line.connect(f"tcp://{host}:{int.from_bytes(beacon[20:22], 'big')}")
while True:
    line.send(bytes.fromhex("aaa1010100010a31302e312e302e32") + b"\\0" * 20)
    heard.recvfrom(100)
"""


def beacon(identity, port, version=1, rest=b""):
    return (b"ZRE" + bytes([version]) + identity + port.to_bytes(2, "big") + rest).hex()


class Test(NetworkTest):
    def run_in(self, host, *command):
        return self.start(*host.inside(*command))

    def python_in(self, host, program, *arguments):
        return self.run_in(host, sys.executable, "-c", program, *map(str, arguments))

    def doctor(self, host, *arguments):
        """Begins it."""
        return self.run_in(host, os.environ["PARLEY_PROGRAM"], "doctor", "--json", "--name", host.name,
                           *map(str, arguments))

    def report(self, doctor):
        result = doctor.finish()
        self.assertIn(result.code, (0, 3), result.err)
        report = json.loads(result.out)
        self.assertEqual(report["well"], result.code == 0, result.out)
        return report

    def examine(self, host, *arguments):
        return self.report(self.doctor(host, "--timeout", 3, *arguments))

    def examine_both(self, one, other):
        """By two doctors that look at the same time."""
        doctors = [self.doctor(host, "--timeout", 6) for host in (one, other)]
        return [self.report(each) for each in doctors]

    def examine_by_seed(self, one, other):
        first = self.doctor(one, "--count", 1, "--gossip", "tcp://10.1.0.1:7000")
        self.assertEqual(first.line("err"), "seed tcp://10.1.0.1:7000")
        return [self.report(each) for each in (first, self.doctor(other, "--count", 1, "--seed", "tcp://10.1.0.1:7000"))]

    def found(self, report):
        return {each["finding"] for each in report["findings"]}

    def finding(self, report, what):
        for each in report["findings"]:
            if each["finding"] == what:
                return each
        raise AssertionError(f"no {what} in {json.dumps(report, indent=1)}")

    def trouble(self, report, what):
        each = self.finding(report, what)
        self.assertTrue(each["trouble"], each)
        return each

    def note(self, report, what):
        each = self.finding(report, what)
        self.assertFalse(each["trouble"], each)
        return each

    def drop(self, host, hook, rule):
        if not shutil.which("nft"):
            self.skipTest("needs nft of nftables for a firewall")
        for words in ("add table inet wall",
                      f"add chain inet wall gate {{ type filter hook {hook} priority 0; }}",
                      f"add rule inet wall gate {rule}"):
            subprocess.run(host.inside("nft", words), check=True)

    def heal(self, host, finding):
        """Does as the doctor says."""
        subprocess.run(host.inside(*shlex.split(finding["advice"].replace("on that host: ", ""))), check=True)

    def test_two_doctors_on_a_network_that_works_find_nothing(self):
        _, one, other, _ = self.pair()
        doctors = [self.doctor(host, "--count", 1) for host in (one, other)]
        for report, there in zip([self.report(each) for each in doctors], (other, one)):
            self.assertEqual(self.found(report), set())
            checked = report["checked_with"][0]
            self.assertEqual((checked["name"], checked["hears_itself"], checked["large_messages"]),
                             (there.name, True, True))
            self.assertLess(checked["round_trip_microseconds"], 1_000_000)
            self.assertLessEqual({"broadcast", "multicast"}, {each["by"] for each in checked["heard_of_us"]})
            self.assertEqual([each["name"] for each in report["peers"]], [there.name])

    def test_the_doctor_is_plain_to_people(self):
        _, one, _, _ = self.pair()
        self.drop(one, "input", "udp dport 5670 counter drop")
        result = self.run_in(one, os.environ["PARLEY_PROGRAM"], "doctor", "--timeout", "3").finish()
        self.assertEqual(result.code, 3)
        self.assertIn("trouble: UDP 5670 is dropped on its way in over eth0 by this host's firewall (rule: udp dport "
                      "5670 drop): not even our own beacons come back\n"
                      "  do: nft insert rule inet wall gate udp dport 5670 accept\n", result.out)

    def test_one_who_is_alone_is_told_how_to_go_on(self):
        _, one, _, _ = self.pair()
        self.assertIn("run parley doctor on another host", self.note(self.examine(one), "nobody")["advice"])

    def test_an_interface_that_is_down(self):
        _, one, _, _ = self.pair()
        one.ip("link set eth0 down")
        report = self.examine(one, "--interface", "eth0")
        self.assertIn("ip link set dev eth0 up", self.trouble(report, "interface-down")["advice"])
        self.assertEqual([each["name"] for each in report["interfaces"]], ["eth0"])

    def test_an_interface_without_carrier(self):
        switch, one, _, ports = self.pair()
        switch.ip(f"link set {ports[0]} down")
        self.trouble(self.examine(one, "--interface", "eth0"), "no-carrier")

    def test_an_interface_without_address(self):
        switch, one = Switch(self, "switch"), Host(self, "one")
        switch.plug(one, "eth0")
        one.ip("-6 address flush dev eth0")
        self.trouble(self.examine(one, "--interface", "eth0"), "no-address")

    def test_an_interface_that_is_not_there(self):
        _, one, _, _ = self.pair()
        self.assertIn("there are: lo, eth0",
                      self.trouble(self.examine(one, "--interface", "wlan7"), "no-such-interface")["advice"])

    def test_loopback_only(self):
        self.trouble(self.examine(Host(self, "one")), "only-loopback")

    def test_no_interface_at_all(self):
        host = Host(self, "one")
        host.ip("link set lo down")
        self.trouble(self.examine(host), "no-interface")

    def test_a_tunnel_without_broadcast(self):
        one, other = Host(self, "one"), Host(self, "other")
        Line(self, one, other)
        one.ip("link set line multicast off")
        trouble = self.trouble(self.examine(one), "no-broadcast")
        self.assertIn("interface line carries no broadcast", trouble["sentence"])
        self.assertIn("--seed", trouble["advice"])

    def test_a_port_that_another_program_does_not_share(self):
        _, one, _, _ = self.pair()
        taker = self.python_in(one, TAKER)
        self.assertEqual(taker.line(), "taken")
        trouble = self.trouble(self.examine(one), "port-taken")
        self.assertIn(f"(process {taker.process.pid})", trouble["sentence"])

    def test_a_firewall_that_drops_beacons_on_their_way_in(self):
        _, one, _, _ = self.pair()
        self.drop(one, "input", "udp dport 5670 counter drop")
        trouble = self.trouble(self.examine(one, "--interface", "eth0"), "dropped-in")
        self.assertIn("(rule: udp dport 5670 drop)", trouble["sentence"])
        self.heal(one, trouble)
        self.assertEqual(self.found(self.examine(one, "--interface", "eth0")), {"nobody"})

    def test_a_firewall_that_drops_all_by_default(self):
        _, one, _, _ = self.pair()
        self.drop(one, "input", "iif lo accept")
        subprocess.run(one.inside("nft", "chain inet wall gate { policy drop; }"), check=True)
        trouble = self.trouble(self.examine(one), "dropped-in")
        self.assertIn("(rule: policy drop of chain gate in table inet wall)", trouble["sentence"])
        self.heal(one, trouble)
        self.assertNotIn("dropped-in", self.found(self.examine(one)))

    def test_a_firewall_that_drops_beacons_on_their_way_out(self):
        _, one, _, _ = self.pair()
        self.drop(one, "output", "udp dport 5670 drop")
        trouble = self.trouble(self.examine(one, "--interface", "eth0"), "dropped-out")
        self.assertIn("(rule: udp dport 5670 drop)", trouble["sentence"])
        self.heal(one, trouble)
        self.assertEqual(self.found(self.examine(one, "--interface", "eth0")), {"nobody"})

    def test_iptables_is_read_too(self):
        if not shutil.which("iptables"):
            self.skipTest("needs iptables")
        _, one, _, _ = self.pair()
        subprocess.run(one.inside("iptables", "-A", "INPUT", "-p", "udp", "--dport", "5670", "-j", "DROP"), check=True)
        trouble = self.trouble(self.examine(one), "dropped-in")
        self.assertIn("udp dport 5670", trouble["sentence"])
        self.heal(one, trouble)
        self.assertNotIn("dropped-in", self.found(self.examine(one)))

    def test_beacons_that_are_dropped_at_one_end_only(self):
        _, one, other, _ = self.pair()
        self.drop(other, "input", "udp dport 5670 counter drop")
        here, there = self.examine_both(one, other)
        self.assertIn("its firewall drops them", self.trouble(here, "not-heard-there")["sentence"])
        self.trouble(there, "dropped-in")
        self.heal(other, self.trouble(here, "not-heard-there") | {
            "advice": self.trouble(there, "dropped-in")["advice"]})
        self.assertEqual([self.found(each) for each in self.examine_both(one, other)], [set(), set()])

    def test_connections_that_are_dropped_in_one_direction(self):
        _, one, other, _ = self.pair()
        self.drop(other, "input", "ip saddr 10.1.0.1 tcp flags & (syn | ack) == syn counter drop")
        self.drop(other, "input", "meta nfproto ipv6 drop")
        here, there = self.examine_both(one, other)
        self.trouble(here, "one-way")
        trouble = self.trouble(there, "does-not-greet")
        self.assertIn("rule: ip saddr 10.1.0.1 tcp flags", trouble["sentence"])

    def test_a_secured_network_on_the_same_port(self):
        _, one, other, _ = self.pair()
        self.python_in(other, SENDER, 5670, "10.1.0.255", beacon(b"s" * 16, 5000, 3, b"k" * 32))
        self.assertIn("10.1.0.2", self.note(self.examine(one), "secured-network")["sentence"])

    def keys(self, *names):
        """Options of programs with these keys, all on one list."""
        made = tempfile.TemporaryDirectory(prefix="parley-")
        self.addCleanup(made.cleanup)
        directory = made.name
        public = [subprocess.run([os.environ["PARLEY_PROGRAM"], "keygen", os.path.join(directory, name)], check=True,
                                 capture_output=True, text=True).stdout.strip() for name in names]
        allowed = os.path.join(directory, "allowed")
        with open(allowed, "w") as file:
            file.write("".join(key + "\n" for key in public))
        return [["--curve-keys", os.path.join(directory, name), "--curve-allow", allowed] for name in names]

    def test_two_doctors_with_keys_find_nothing(self):
        _, one, other, _ = self.pair()
        doctors = [self.doctor(host, "--count", 1, *keys) for host, keys in zip((one, other), self.keys("one", "other"))]
        for report in [self.report(each) for each in doctors]:
            self.assertEqual(self.found(report), set())
            self.assertEqual(report["checked_with"][0]["large_messages"], True)

    def test_doctors_that_are_on_each_others_list_in_one_direction_only(self):
        _, one, other, _ = self.pair()
        mine, = self.keys("one")
        both = self.keys("other")
        stranger = self.doctor(other, "--timeout", 6, *both[0][:2])
        report = self.examine(one, *mine)
        self.trouble(report, "not-allowed")
        self.assertEqual(report["peers"], [])
        self.report(stranger)

    def test_a_doctor_with_keys_and_one_without(self):
        _, one, other, _ = self.pair()
        keys, = self.keys("one")
        secured, plain = self.doctor(one, "--timeout", 6, *keys), self.doctor(other, "--timeout", 6)
        for report in (self.report(secured), self.report(plain)):
            self.note(report, "secured-network")
            self.assertEqual(report["peers"], [])

    def test_beacons_of_another_version_and_nonsense(self):
        _, one, other, _ = self.pair()
        self.python_in(other, SENDER, 5670, "10.1.0.255", beacon(b"s" * 16, 5000, 2), b"hello".hex())
        report = self.examine(one)
        self.assertIn("version 2", self.note(report, "other-version")["sentence"])
        self.assertIn("10.1.0.2", self.note(report, "nonsense")["sentence"])

    def test_messages_of_version_1(self):
        try:
            import zmq  # noqa: F401
        except ImportError:
            self.skipTest("needs pyzmq")
        _, one, other, _ = self.pair()
        self.python_in(other, OLD_NODE)
        self.assertIn("jyre", self.note(self.examine(one), "other-version")["advice"])

    def test_two_peers_with_one_id(self):
        _, one, other, _ = self.pair()
        for port in (5000, 5001):
            self.python_in(other, SENDER, 5670, "10.1.0.255", beacon(b"t" * 16, port))
        self.trouble(self.examine(one), "same-id")

    def test_our_own_id_taken_by_another(self):
        _, one, other, _ = self.pair()
        self.python_in(other, ECHO, "10.1.0.1", "10.1.0.255")
        self.assertIn("10.1.0.2", self.trouble(self.examine(one), "own-id")["sentence"])

    def test_a_neighbour_whose_address_does_not_answer(self):
        _, one, other, _ = self.pair()
        self.drop(other, "input", "meta l4proto tcp drop")
        self.python_in(other, SENDER, 5670, "10.1.0.255", beacon(b"u" * 16, 5000))
        trouble = self.trouble(self.examine(one), "no-answer")
        self.assertIn("tcp://10.1.0.2:5000", trouble["sentence"])
        self.assertIn("ip saddr 10.1.0.0/24 tcp dport 32768-60999 accept", trouble["advice"])

    def test_a_neighbour_that_names_a_port_where_nobody_is(self):
        _, one, other, _ = self.pair()
        self.python_in(other, SENDER, 5670, "10.1.0.255", beacon(b"u" * 16, 5000))
        self.assertIn("tcp://10.1.0.2:5000", self.trouble(self.examine(one), "refused")["sentence"])

    def test_packets_of_full_size_that_get_lost(self):
        one, other = Host(self, "one"), Host(self, "other")
        Line(self, one, other, largest=1000)
        for report in self.examine_both(one, other):
            trouble = self.trouble(report, "large-lost")
            self.assertIn("MTU 1500", trouble["sentence"])
            self.assertIn("ip link set dev line mtu", trouble["advice"])

    def test_two_networks_with_a_router_between_them(self):
        left, right = Switch(self, "left"), Switch(self, "right")
        one, other, router = Host(self, "one"), Host(self, "other"), Host(self, "router")
        left.plug(one, "eth0", "10.1.0.1/24")
        left.plug(router, "eth0", "10.1.0.9/24")
        right.plug(other, "eth0", "10.2.0.1/24")
        right.plug(router, "eth1", "10.2.0.9/24")
        subprocess.run(router.inside("sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"), check=True)
        one.ip("route add default via 10.1.0.9")
        other.ip("route add default via 10.2.0.9")
        for report in self.examine_by_seed(one, other):
            self.assertEqual(self.found(report), {"other-subnet"})
            self.assertIn("--seed", self.note(report, "other-subnet")["advice"])

    def test_a_network_that_carries_no_broadcasts(self):
        switch, one, other, ports = self.pair()
        for port in ports:
            switch.ip(f"link set {port} type bridge_slave bcast_flood off mcast_flood off")
        links = {host: json.loads(subprocess.run(host.inside("ip", "-j", "link", "show", "eth0"), check=True,
                                                 capture_output=True).stdout)[0]["address"] for host in (one, other)}
        one.ip(f"neighbour add 10.1.0.2 lladdr {links[other]} dev eth0")
        other.ip(f"neighbour add 10.1.0.1 lladdr {links[one]} dev eth0")
        alone = self.note(self.examine(one), "nobody")
        self.assertIn("--seed", alone["advice"])
        for report in self.examine_by_seed(one, other):
            self.assertIn("in either direction", self.note(report, "not-heard-there")["sentence"])

    def test_seeds_that_are_not_there(self):
        _, one, other, _ = self.pair()
        self.drop(other, "input", "tcp dport 7001 drop")
        report = self.examine(one, "--seed", "tcp://10.1.0.2:7000", "--seed", "tcp://10.1.0.2:7001")
        self.assertIn(":7000", self.trouble(report, "seed-refused")["sentence"])
        self.assertIn(":7001", self.trouble(report, "seed-silent")["sentence"])


if __name__ == "__main__":
    unittest.main()
