"""Draws a bar chart (SVG) of one column of a Markdown table.

    benches/plot.py TITLE COLUMN [log] < table > plot.svg
"""

import math
import sys
from html import escape

BAR, GAP, LEFT, WIDTH = 18, 6, 290, 420


def rows(column):
    """Yields (label, figure) of each row. Columns count from 1. The cells before the column are the label."""
    for line in sys.stdin:
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        try:
            figure = float(cells[column - 1].split()[0].strip("*").replace(",", ""))
            yield " ".join(cell for cell in cells[: column - 1] if not is_figure(cell)), figure
        except (IndexError, ValueError):
            continue


def is_figure(cell):
    return cell.replace(".", "").isdigit()


def main():
    title, column, *rest = sys.argv[1:]
    found = list(rows(int(column)))
    most = max(figure for _, figure in found)
    least = min(min(figure for _, figure in found), 1.0)
    # On a logarithmic scale, the added 0.3 makes the smallest bar visible.
    share = (lambda figure: (math.log(figure / least) + 0.3) / (math.log(most / least) + 0.3)) if rest else (
        lambda figure: figure / most
    )
    height = 30 + len(found) * (BAR + GAP)
    print(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {LEFT + WIDTH + 70} {height}" font-family="sans-serif" font-size="12">')
    print(f'<rect width="100%" height="100%" fill="#fff"/><text x="{LEFT}" y="18" font-weight="bold">{escape(title)}</text>')
    for index, (what, figure) in enumerate(found):
        y = 30 + index * (BAR + GAP)
        width = max(1, WIDTH * share(figure))
        fill = "#c33" if "stagegate" in what else "#47a"
        print(f'<text x="{LEFT - 8}" y="{y + 13}" text-anchor="end">{escape(what)}</text>')
        print(f'<rect x="{LEFT}" y="{y}" width="{width:.1f}" height="{BAR}" fill="{fill}"/>')
        print(f'<text x="{LEFT + width + 6:.1f}" y="{y + 13}">{figure:g}</text>')
    print("</svg>")


main()
