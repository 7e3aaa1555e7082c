#!/usr/bin/env python3
"""Medians, ratios, table and plot of tools/compare, from runs that were never made."""

import pathlib
import sys
import unittest
import xml.etree.ElementTree

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools" / "support"))
import compare_report as report  # noqa: E402


def run(contestant, rate, **more):
    return {"workload": "publish-100", "contestant": contestant, "system": contestant.split()[0].lower(),
            "fsync": True, "messages_per_s": rate, "p50_ms": None, "p99_ms": None, "cpu_us": 0.5,
            "write_factor": 2.0, **more}


class CompareReport(unittest.TestCase):
    def setUp(self):
        self.runs = [run("Andy X", 1000.0), run("Peer <1>", 100.0), run("Andy X", 3000.0),
                     run("Peer <1>", 300.0), run("Andy X", 2000.0), run("Peer <1>", 500.0)]

    def test_medians_and_ratios(self):
        ours, theirs = report.summarize(self.runs)
        self.assertEqual((ours["messages_per_s"], ours["least"], ours["most"], ours["runs"]), (2000, 1000, 3000, 3))
        self.assertEqual(theirs["messages_per_s"], 300)
        self.assertAlmostEqual(theirs["andyx_ratio"], 2000 / 300)
        self.assertEqual(ours["andyx_ratio"], 1)

    def test_without_andy_x_there_is_no_ratio(self):
        self.assertIsNone(report.summarize([run("Peer", 7.0)])[0]["andyx_ratio"])

    def test_two_shares_of_the_machine(self):
        limits = {"publish-100": {"bare": 4000.0, "writing": 2500.0, "write_factor": 2.0}}
        share, = report.shares(report.summarize(self.runs), limits)
        self.assertEqual((share["limit_share"], share["limit_of_writes_share"]), (0.5, 0.8))
        self.assertEqual(report.shares(report.summarize(self.runs), {}), [])

    def test_the_table_names_what_was_not_run(self):
        text = report.table(report.summarize(self.runs), [], {"Iggy": "no crate"})
        self.assertIn("| publish-100 | Peer <1> | 300 | 100 … 500 | 6.67 × |", text)
        self.assertIn("not run: Iggy: no crate", text)

    def test_the_table_has_what_a_sync_writes(self):
        text = report.table(report.summarize([run("Andy X", 1.0, bytes_per_sync=size) for size in (5e5, 7e5, 6e5)]), [], {})
        self.assertIn("| 600 |", text)

    def test_the_plot_is_well_formed(self):
        root = xml.etree.ElementTree.fromstring(report.plot(report.summarize(self.runs)))
        bars = [rect for rect in root.iter() if rect.tag.endswith("rect")]
        self.assertEqual(len(bars), 3)  # the ground, and one for each contestant
        self.assertAlmostEqual(float(bars[1].get("width")) / float(bars[2].get("width")), 2000 / 300, places=1)


if __name__ == "__main__":
    unittest.main()
