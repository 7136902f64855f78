# SPDX-License-Identifier: MPL-2.0
"""zeromq.js on both sides of our calls, publish-subscribe and pipelines. ./dev deps installs it."""

import json
import os
import shutil
import unittest

from program import ProgramTest

HERE = os.path.dirname(os.path.abspath(__file__))


class Test(ProgramTest):
    def setUp(self):
        there = shutil.which("node") and os.path.isdir(os.path.join(HERE, "node_modules", "zeromq"))
        if not there and not os.environ.get("CI"):
            self.skipTest("needs node and zeromq.js: ./dev deps installs both")

    def zeromq_js(self, *words):
        return self.start("node", os.path.join(HERE, "zeromq_js.mjs"), *words)

    def calling(self, kind, *calls):
        """What zeromq.js makes of our server: error and result of each call."""
        there = self.start(os.environ["PARLEY_CALCULATOR"]).bound()
        program = self.zeromq_js(kind, there, *(json.dumps(call) for call in calls))
        code = program.process.wait(20)
        result = program.finish()
        self.assertEqual(code, 0, result.err)
        return [json.loads(line) for line in result.out.splitlines()]

    def test_a_zeromq_js_request_calls_our_server(self):
        self.assertEqual(self.calling("request", ["add", [2, 3]], ["describe", ["Grüße"]]),
                         [[None, 5], [None, {"name": "Grüße"}]])

    def test_a_zeromq_js_request_is_told_what_went_wrong(self):
        replies = self.calling("request", ["refuse", ["not on Sundays"]], ["multiply", [2, 3]],
                               ["add", [1]])
        for (error, result), reason in zip(replies, ("not on Sundays", "multiply", "expected 2 parameters")):
            self.assertIn(reason, str(error))
            self.assertIsNone(result)

    def test_a_zeromq_js_dealer_has_many_calls_in_flight(self):
        self.assertEqual(self.calling("dealer", *(["add", [number, 1]] for number in range(200))),
                         [[None, number + 1] for number in range(200)])

    def test_our_client_calls_a_zeromq_js_reply(self):
        there = self.zeromq_js("reply").bound()
        self.assert_done(self.parley("call", there, "add", 2, 3), "5\n")
        self.assert_fails(self.parley("call", there, "multiply", 2, 3), 4,
                          "no method multiply")

    def test_our_client_tells_the_replies_of_a_zeromq_js_router_apart(self):
        there = self.zeromq_js("router").bound()
        self.assert_done(self.start(os.environ["PARLEY_CALLER"], there, 200).finish(),
                         "200 calls, each with its own reply\n")

    def test_a_zeromq_js_subscriber_reads_our_publisher(self):
        publisher = self.start_parley("pub", "tcp://127.0.0.1:0", "news", "{counter}", "--template",
                                      "--count", 2)
        subscriber = self.zeromq_js("subscribe", publisher.bound(), "new", 2)
        for number in (1, 2):
            topic, body, mark = json.loads(subscriber.line())
            self.assertEqual([topic, body], ["news", str(number)])
            self.assertRegex(mark, f"^0150527701[0-9a-f]{{16}}(000000000000000{number}){{2}}$")
        self.assert_done(publisher.finish())

    def test_our_subscriber_reads_a_zeromq_js_publisher(self):
        there = self.zeromq_js("publish", "news", "Grüße").bound()
        self.assert_done(self.parley("sub", there, "new", "--count", 2), "news\tGrüße\n" * 2)

    def tasks(self, count):
        return [f"task {number}" for number in range(1, count + 1)]

    def test_our_worker_takes_the_tasks_of_a_zeromq_js_push(self):
        for binds in (True, False):
            with self.subTest(binds=binds):
                count = 2000
                arguments = ["--plain", "--count", count]
                if binds:
                    worker = self.start_parley("pull", "bind:tcp://127.0.0.1:0", *arguments)
                    self.zeromq_js("push", count, worker.bound())
                else:
                    there = self.zeromq_js("push", count).bound()
                    worker = self.start_parley("pull", "connect:" + there, *arguments)
                result = worker.finish()
                self.assertEqual(result.code, 0, result.err)
                self.assertEqual(result.out.splitlines(), self.tasks(count))

    def test_a_zeromq_js_pull_takes_the_tasks_of_our_source(self):
        for binds in (True, False):
            with self.subTest(binds=binds):
                tasks = self.tasks(500)
                if binds:
                    source = self.start_parley("push", "--plain", "bind:tcp://127.0.0.1:0", *tasks)
                    worker = self.zeromq_js("pull", len(tasks), source.bound())
                else:
                    worker = self.zeromq_js("pull", len(tasks))
                    source = self.start_parley("push", "--plain", "connect:" + worker.bound(), *tasks)
                self.assert_done(source.finish())
                result = worker.finish()
                self.assertEqual(result.code, 0, result.err)
                self.assertEqual(result.out.splitlines(), tasks)

    def test_work_runs_a_command_for_each_task_of_a_zeromq_js_push(self):
        there = self.zeromq_js("push", 3).bound()
        worker = self.start_parley("work", there, "--plain", "--count", 3, "--json", "--exec",
                                   "tr a-z A-Z")
        results = [json.loads(line)["result"] for line in worker.finish().out.splitlines()]
        self.assertEqual(results, ["TASK 1", "TASK 2", "TASK 3"])


if __name__ == "__main__":
    unittest.main()
