"""What tools/growth found: a table and plots with a logarithmic x axis. Pure; standard library only."""

import math
import xml.sax.saxutils

COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 620, 260, 80, 150, 40, 40
# {part: (title, what x is, what y is)}
PARTS = {"partitions": ("publishing to more and more partitions", "partitions", "messages/s"),
         "connections": ("publishing over more and more connections", "connections", "messages/s"),
         "stored": ("with more and more stored", "GB of payloads", "bytes/s")}


def short(number):
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:.3g} {unit}"
    return f"{number:.3g}"


def lines_of(points, part):
    """{name of a line: [(x, y)]}, in the order in which they were measured."""
    lines = {}
    for point in points:
        if point["part"] == part:
            lines.setdefault(point["line"], []).append((point["x"], point["y"]))
    return lines


def table(points, idle, not_done):
    """Markdown. `idle`: [(what, value, unit)]."""
    out = []
    for part, (title, x_name, y_name) in PARTS.items():
        lines = lines_of(points, part)
        if not lines:
            continue
        out += [f"**{title}**", "", f"| {x_name} | " + " | ".join(f"{name}, {y_name}" for name in lines) + " |",
                "|---" * (len(lines) + 1) + "|"]
        for x in sorted({x for line in lines.values() for x, _ in line}):
            cells = [dict(line).get(x) for line in lines.values()]
            out.append(f"| {x:,} | " + " | ".join("-" if y is None else short(y) for y in cells) + " |")
        first = next(iter(lines.values()))
        out += ["", f"least of most: {min(y for _, y in first) / max(y for _, y in first):.2f}", ""]
    if idle:
        out += ["| idle | |", "|---|---|"] + [f"| {what} | {value:.3g} {unit} |" for what, value, unit in idle] + [""]
    out += [f"not done: {what}" for what in not_done]
    return "\n".join(out).rstrip() + "\n"


def chart(part, lines, top):
    """One plot, whose upper edge is at `top`."""
    text = xml.sax.saxutils.escape
    title, x_name, y_name = PARTS[part]
    xs = sorted({x for line in lines.values() for x, _ in line})
    most = max(y for line in lines.values() for _, y in line) or 1
    low, high = math.log10(xs[0]), math.log10(xs[-1])
    span = high - low or 1
    wide, tall = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM

    def at(x, y):
        return LEFT + (math.log10(x) - low) / span * wide, top + TOP + tall * (1 - y / most)

    out = [f'<text x="{LEFT}" y="{top + 20}" font-weight="bold">{text(title)}, {y_name}</text>']
    for part_of_most in (0, 0.5, 1):
        y = at(xs[0], most * part_of_most)[1]
        out.append(f'<path d="M{LEFT} {y:.1f}H{LEFT + wide}" stroke="#dddddd"/>')
        out.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{short(most * part_of_most)}</text>')
    for x in xs:
        out.append(f'<text x="{at(x, 0)[0]:.1f}" y="{top + HEIGHT - BOTTOM + 16}" text-anchor="middle">{x:,}</text>')
    out.append(f'<text x="{LEFT + wide}" y="{top + HEIGHT - 6}" text-anchor="end">{text(x_name)}</text>')
    for (name, line), color in zip(lines.items(), COLORS):
        places = [at(x, y) for x, y in line]
        out.append(f'<polyline points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in places)}" fill="none" stroke="{color}"/>')
        out += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{color}"/>' for x, y in places]
        x, y = places[-1]
        out.append(f'<text x="{x + 8:.1f}" y="{y + 4:.1f}" fill="{color}">{text(name)}</text>')
    return out


def plot(points):
    """SVG: a plot for each part that was measured."""
    out, top = [], 0
    for part in PARTS:
        lines = lines_of(points, part)
        if lines:
            out += chart(part, lines, top)
            top += HEIGHT
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {top}" font-family="sans-serif" '
            f'font-size="12">\n<rect width="{WIDTH}" height="{top}" fill="white"/>\n' + "\n".join(out) + "\n</svg>\n")
