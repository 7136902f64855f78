# SPDX-License-Identifier: MPL-2.0
import json
import os
import stat
import tempfile
import unittest

import zmq.auth

from program import ProgramTest


class Test(ProgramTest):
    def setUp(self):
        super().setUp()
        home = tempfile.TemporaryDirectory()
        self.addCleanup(home.cleanup)
        self.name = os.path.join(home.name, "desk")

    def test_keygen_prints_the_public_key_and_writes_both_files(self):
        result = self.parley("keygen", self.name)
        self.assertEqual(result.code, 0, result.err)
        # pyzmq, which we did not write, reads the files.
        public, _ = zmq.auth.load_certificate(self.name)
        self.assertEqual(public.decode(), result.out.strip())
        public, secret = zmq.auth.load_certificate(self.name + "_secret")
        self.assertEqual(public.decode(), result.out.strip())
        self.assertEqual(len(secret), 40)
        self.assertEqual(stat.S_IMODE(os.stat(self.name + "_secret").st_mode), 0o600)

    def test_keygen_with_json(self):
        result = self.parley("keygen", self.name, "--json")
        self.assertEqual(len(json.loads(result.out)["public_key"]), 40)

    def test_keygen_does_not_overwrite_keys(self):
        self.assertEqual(self.parley("keygen", self.name).code, 0)
        self.assert_fails(self.parley("keygen", self.name), 1, "File exists")

    def test_keygen_where_nothing_can_be_written(self):
        self.assert_fails(self.parley("keygen", "/nonexistent/desk"), 1, "cannot be written")


if __name__ == "__main__":
    unittest.main()
