"""chart.py - a few lines over time as an SVG that any browser shows: panels below one another with one time axis."""
# SPDX-License-Identifier: Apache-2.0
from html import escape

WIDTH, PANEL, GAP, LEFT, RIGHT, TOP, BOTTOM = 860, 130, 44, 64, 110, 60, 40
COLORS = ("#0b6e99", "#d1495b", "#3d8b37")


def nice_top(value):
    """The end of an axis: 1, 2, 2.5 or 5 times a power of ten."""
    if value <= 0:
        return 1.0
    power = 1.0
    while power * 10 <= value:
        power *= 10
    while power > value:
        power /= 10
    return next(power * step for step in (1, 2, 2.5, 5, 10) if power * step >= value)


class Panel:
    def __init__(self, title):
        self.title = title
        self.lines = []  # (name, xs, ys, area)

    def line(self, name, xs, ys, area=False):
        self.lines.append((name, xs, ys, area))

    @property
    def top(self):
        return nice_top(max((max(ys) for _, _, ys, _ in self.lines if ys), default=1))


class Chart:
    def __init__(self, title, x_title):
        self.title = title
        self.x_title = x_title
        self.panels = []

    def panel(self, title):
        self.panels.append(Panel(title))
        return self.panels[-1]

    def svg(self):
        x_top = max(max(xs) for panel in self.panels for _, xs, _, _ in panel.lines if xs)
        height = TOP + len(self.panels) * (PANEL + GAP) + BOTTOM - GAP + 16
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" '
            'font-size="12" fill="#333">',
            f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
            f'<text x="{LEFT}" y="26" font-size="16">{escape(self.title)}</text>',
        ]
        for i, panel in enumerate(self.panels):
            parts += _panel(panel, TOP + i * (PANEL + GAP), x_top)
        bottom = TOP + len(self.panels) * (PANEL + GAP) - GAP
        step = nice_top(x_top / 8)
        second = 0
        while second * step <= x_top:
            x = _x(second * step, x_top)
            parts.append(f'<text x="{x:.1f}" y="{bottom + 16}" text-anchor="middle">{second * step:g}</text>')
            second += 1
        parts.append(f'<text x="{WIDTH - RIGHT}" y="{bottom + 34}" text-anchor="end">{escape(self.x_title)}</text>')
        return "\n".join([*parts, "</svg>", ""])


def _x(value, x_top):
    return LEFT + value / x_top * (WIDTH - LEFT - RIGHT)


def _panel(panel, top, x_top):
    bottom, y_top = top + PANEL, panel.top
    parts = [f'<text x="{LEFT}" y="{top - 6}" fill="#666">{escape(panel.title)}</text>']
    for part in (0, 0.5, 1):
        y = bottom - part * PANEL
        parts.append(f'<path d="M{LEFT} {y}H{WIDTH - RIGHT}" stroke="#ddd"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y + 4}" text-anchor="end">{part * y_top:g}</text>')
    for i, (name, xs, ys, area) in enumerate(panel.lines):
        points = [f"{_x(x, x_top):.1f},{bottom - y / y_top * PANEL:.1f}" for x, y in zip(xs, ys)]
        color = COLORS[i % len(COLORS)]
        if area and points:
            closed = f"{_x(xs[0], x_top):.1f},{bottom} {' '.join(points)} {_x(xs[-1], x_top):.1f},{bottom}"
            parts.append(f'<polygon points="{closed}" fill="{color}" fill-opacity="0.12"/>')
        parts.append(f'<polyline points="{" ".join(points)}" fill="none" stroke="{color}" stroke-width="1.5"/>')
        parts.append(f'<text x="{WIDTH - RIGHT + 10}" y="{top + 14 + 16 * i}" fill="{color}">{escape(name)}</text>')
    return parts
