# SPDX-License-Identifier: MPL-2.0
"""The example file_drop: what one program sends stands in the other's directory."""
import os
import pathlib
import tempfile
import unittest

from lan_test import LanTest


class Test(LanTest):
    def drop(self, directory, *files):
        return self.start(os.environ["PARLEY_FILE_DROP"], "--on", self.port, "lo", directory, *files)

    def line(self, program):
        """The next line that tells no progress."""
        while True:
            line = program.line()
            if not line.endswith(" %"):
                return line

    def test_file_drop_takes_what_others_send_and_keeps_what_it_has(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        directory = pathlib.Path(holder.name)
        (directory / "cat.jpg").write_bytes(b"miaow" * 100_000)
        here = self.drop(directory / "here")
        for name in "cat.jpg", "2 cat.jpg":
            there = self.drop(directory / "there", directory / "cat.jpg")
            self.assertEqual(self.line(here), "cat.jpg: 500000 bytes are coming")
            self.assertEqual(self.line(here), "cat.jpg is here")
            self.assertEqual(self.line(there), "cat.jpg was taken")
            self.assertEqual((directory / "here" / name).read_bytes(), b"miaow" * 100_000)
            there.stop()
            there.finish()
        self.assertEqual(sorted(os.listdir(directory / "here")), ["2 cat.jpg", "cat.jpg"])


if __name__ == "__main__":
    unittest.main()
