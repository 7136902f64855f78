# SPDX-License-Identifier: MPL-2.0
"""What the doctor makes of the programs that print a firewall. Networks with a trouble: tests/faults/doctor_test.py."""

import json
import os
import pathlib
import tempfile
import unittest

from program import ProgramTest

DROPS = "echo '*filter'; echo '[0:0] -A INPUT -p udp --dport 5670 -j DROP'; echo COMMIT"


class Test(ProgramTest):
    def look(self, **programs):
        """What the doctor could not look at, where these programs are there and say so."""
        home = tempfile.TemporaryDirectory(prefix="parley-")
        self.addCleanup(home.cleanup)
        for name, says in programs.items():
            file = pathlib.Path(home.name, name.replace("_", "-"))
            file.write_text("#!/bin/sh\n" + says + "\n")
            file.chmod(0o700)
        found = self.start_parley("doctor", "--json", "--port", "0", "--timeout", "0.1",
                                  env=os.environ | {"PATH": home.name + ":" + os.environ["PATH"]}).finish()
        return " ".join(json.loads(found.out)["not_looked_at"])

    def test_a_firewall_without_rules_that_nft_could_read_has_been_read_whatever_iptables_says(self):
        self.assertNotIn("firewall", self.look(nft="exit 0", iptables_save="echo no >&2; exit 1"))

    def test_a_firewall_that_only_iptables_could_read_has_been_read(self):
        self.assertNotIn("firewall", self.look(nft="echo no >&2; exit 1", iptables_save=DROPS))

    def test_a_firewall_that_nobody_could_read_says_why(self):
        self.assertIn("the firewall: ", self.look(nft="echo no >&2; exit 1", iptables_save="echo no >&2; exit 1"))


if __name__ == "__main__":
    unittest.main()
