#!/usr/bin/env python3
"""Table and plots of tools/growth, from points that were never measured."""

import pathlib
import sys
import unittest
import xml.etree.ElementTree

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools" / "support"))
import growth_report as report  # noqa: E402


def point(part, line, x, y):
    return {"part": part, "line": line, "x": x, "y": y}


class GrowthReport(unittest.TestCase):
    def setUp(self):
        self.points = [point("partitions", "a<b", 1, 1000.0), point("partitions", "a<b", 100, 250.0),
                       point("partitions", "c", 100, 500.0), point("stored", "publish", 1, 7e6)]

    def circles(self):
        root = xml.etree.ElementTree.fromstring(report.plot(self.points))
        return [(float(c.get("cx")), float(c.get("cy"))) for c in root.iter() if c.tag.endswith("circle")]

    def test_each_x_is_a_row_and_each_line_a_column(self):
        text = report.table(self.points, [("memory", 12.3, "MB")], ["20 GB stored: no room"])
        self.assertIn("| partitions | a<b, messages/s | c, messages/s |", text)
        self.assertIn("| 1 | 1 k | - |", text)
        self.assertIn("| 100 | 250 | 500 |", text)
        self.assertIn("least of most: 0.25", text)
        self.assertIn("| memory | 12.3 MB |", text)
        self.assertIn("not done: 20 GB stored: no room", text)
        self.assertNotIn("connections", text)

    def test_the_x_axis_is_logarithmic(self):
        self.points.insert(1, point("partitions", "a<b", 10, 1000.0))
        (first, _), (middle, _), (last, _) = self.circles()[:3]
        self.assertAlmostEqual(middle - first, last - middle, delta=0.2)

    def test_a_fourth_is_a_fourth_as_high(self):
        (_, most), (_, fourth) = self.circles()[:2]
        bottom = report.HEIGHT - report.BOTTOM
        self.assertAlmostEqual((bottom - fourth) / (bottom - most), 0.25, places=2)

    def test_a_line_of_one_point_is_drawn(self):
        self.assertEqual(len(self.circles()), len(self.points))


if __name__ == "__main__":
    unittest.main()
