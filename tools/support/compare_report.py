"""What tools/compare found: medians and ratios, one table, one plot. Pure; standard library only."""

import statistics
import xml.sax.saxutils

COLORS = {"andyx": "#0072b2", "nats": "#d55e00", "redis": "#009e73", "kafka": "#cc79a7",
          "rabbitmq": "#e69f00"}
REFERENCE = "Andy X"


def median(values):
    values = [value for value in values if value is not None]
    return statistics.median(values) if values else None


def summarize(runs):
    """One row for each contestant and workload, in the order in which they first ran."""
    rows = {}
    for run in runs:
        rows.setdefault((run["workload"], run["contestant"]), []).append(run)
    summary = []
    for (workload, contestant), those in rows.items():
        rates = [run["messages_per_s"] for run in those]
        summary.append({
            "workload": workload, "contestant": contestant, "system": those[0]["system"],
            "fsync": those[0]["fsync"], "runs": len(those), "messages_per_s": median(rates),
            "least": min(rates), "most": max(rates),
            **{field: median([run.get(field) for run in those])
               for field in ("p50_ms", "p99_ms", "cpu_us", "write_factor", "bytes_per_sync")}})
    reference = {row["workload"]: row for row in summary if row["contestant"] == REFERENCE}
    for row in summary:
        ours = reference.get(row["workload"])
        row["andyx_ratio"] = ours["messages_per_s"] / row["messages_per_s"] if ours else None
    return summary


def shares(summary, limits):
    """Andy X beside the bare machine: shares of `limit`, and of one that writes as much as it does."""
    found = []
    for row in summary:
        limit = limits.get(row["workload"])
        if row["contestant"] != REFERENCE or not limit:
            continue
        writing = limit.get("writing")
        found.append({"workload": row["workload"], "limit_share": row["messages_per_s"] / limit["bare"],
                      "write_factor": limit.get("write_factor"),
                      "limit_of_writes_share": row["messages_per_s"] / writing if writing else None})
    return found


def short(number):
    if number is None:
        return "-"
    for size, unit in ((1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:.3g} {unit}"
    return f"{number:.3g}"


def table(summary, share_rows, not_run):
    """Markdown."""
    lines = ["| workload | | messages/s | least … most | Andy X is | p50, p99 ms | server CPU, µs each | "
             "written / payload | KB for each sync |",
             "|---|---|---|---|---|---|---|---|---|"]
    for row in sorted(summary, key=lambda row: row["workload"]):
        latency = "-" if row["p50_ms"] is None else f"{row['p50_ms']:.3g}, {row['p99_ms']:.3g}"
        ratio = "-" if row["andyx_ratio"] is None else f"{row['andyx_ratio']:.2f} ×"
        cpu, factor, synced = row["cpu_us"], row["write_factor"], row["bytes_per_sync"]
        lines.append(f"| {row['workload']} | {row['contestant']} | {short(row['messages_per_s'])} | "
                     f"{short(row['least'])} … {short(row['most'])} | {ratio} | {latency} | "
                     f"{'-' if cpu is None else f'{cpu:.3g}'} | {'-' if factor is None else f'{factor:.2f}'} | "
                     f"{'-' if synced is None else f'{synced / 1000:.0f}'} |")
    if share_rows:
        lines += ["", "| workload | Andy X of `limit` | of `limit` that writes as much | written / payload |", "|---|---|---|---|"]
        for row in share_rows:
            writing = row["limit_of_writes_share"]
            lines.append(f"| {row['workload']} | {row['limit_share']:.2f} | "
                         f"{'-' if writing is None else f'{writing:.2f}'} | {row['write_factor'] or 0:.2f} |")
    for name, why in not_run.items():
        lines.append(f"\nnot run: {name}: {why}")
    return "\n".join(lines) + "\n"


def plot(summary):
    """SVG: a bar for each contestant, a block for each workload; a thin line from least to most."""
    text = xml.sax.saxutils.escape
    width, left, right, bar, block = 900, 220, 100, 20, 44
    out, y = [], 10
    for workload in sorted({row["workload"] for row in summary}):
        rows = [row for row in summary if row["workload"] == workload]
        most = max(row["most"] for row in rows) or 1
        out.append(f'<text x="10" y="{y + 18}" font-weight="bold">{text(workload)}, messages/s</text>')
        y += 28
        for row in rows:
            scale = (width - left - right) / most
            length = row["messages_per_s"] * scale
            color = COLORS.get(row["system"], "#999999")
            out.append(f'<text x="{left - 8}" y="{y + 14}" text-anchor="end">{text(row["contestant"])}</text>')
            out.append(f'<rect x="{left}" y="{y}" width="{length:.1f}" height="{bar - 4}" fill="{color}" '
                       f'fill-opacity="{1 if row["fsync"] else 0.5}"/>')
            out.append(f'<path d="M{left + row["least"] * scale:.1f} {y + 8}H{left + row["most"] * scale:.1f}" '
                       f'stroke="black"/>')
            out.append(f'<text x="{left + row["most"] * scale + 6:.1f}" y="{y + 14}">{short(row["messages_per_s"])}</text>')
            y += bar
        y += block - bar
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {y}" font-family="sans-serif" '
            f'font-size="12">\n<rect width="{width}" height="{y}" fill="white"/>\n' + "\n".join(out) + "\n</svg>\n")
