"""Writes what ansible-core did as JSON, a line per result, to the file that CONFORMANCE_OUT names."""
import json
import os

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: results
type: aggregate
short_description: results as JSON lines
description: Results of tasks and the recap, for comparison.
"""


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "results"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self):
        super().__init__()
        self.out = open(os.environ["CONFORMANCE_OUT"], "w", encoding="utf-8")

    def write(self, **what):
        self.out.write(json.dumps(what, default=str) + "\n")
        self.out.flush()

    def result(self, result, status):
        task = result._task
        data = json.loads(self._dump_results(result._result, indent=None, sort_keys=False))
        self.write(event="task", host=result._host.get_name(), task=task.get_name(), module=task.action, status=status, result=data)

    def v2_runner_on_ok(self, result):
        self.result(result, "changed" if result._result.get("changed") else "ok")

    def v2_runner_on_failed(self, result, ignore_errors=False):
        self.result(result, "ignored" if ignore_errors else "failed")

    def v2_runner_on_skipped(self, result):
        self.result(result, "skipped")

    def v2_runner_on_unreachable(self, result):
        self.result(result, "unreachable")

    def v2_playbook_on_stats(self, stats):
        for host in sorted(stats.processed):
            self.write(event="recap", host=host, counts=stats.summarize(host))
