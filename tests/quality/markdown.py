"""How the page is written."""


def paragraph(text):
    """A paragraph in lines of up to 120 characters, and an empty line."""
    lines = [""]
    for word in text.split():
        if len(lines[-1]) + 1 + len(word) > 120:
            lines.append("")
        lines[-1] += f" {word}" if lines[-1] else word
    print("\n".join(lines) + "\n")


def table(head, *bodies):
    """A table, and an empty line."""
    for cells in [head, ["---"] * len(head), *(row for rows in bodies for row in rows)]:
        print(f"| {' | '.join(cells)} |".replace("|  |", "| |").replace("|  |", "| |"))
    print()


def heading(text, level=2):
    print(f"{'#' * level} {text}\n")


def slashed(figures, form=".3f"):
    return " / ".join(format(figure, form) for figure in figures)


def percent(share):
    return f"{100 * share:.2g} %" if share < 0.1 else f"{100 * share:.0f} %"
